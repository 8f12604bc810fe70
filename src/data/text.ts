import { constants, isUtf8 } from 'node:buffer';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from './errors.js';

export interface LoadedText {
  readonly text: string;
  /** The files it came from, in order. */
  readonly files: readonly string[];
}

/** Offset of the first byte that does not belong to a UTF-8 character; the length of the bytes if all do. */
function firstInvalidByte(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at] as number;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (at + length > bytes.length || !isUtf8(bytes.subarray(at, at + length))) return at;
    at += length;
  }
  return at;
}

/**
 * The text that the bytes of a file stand for; a leading byte order mark is not part of it.
 * @throws DataError naming the file, and the byte offset where it turns out not to be UTF-8 text.
 */
export function decodeText(file: string, bytes: Uint8Array): string {
  const zero = bytes.indexOf(0);
  if (zero >= 0)
    throw new DataError(`${file}: Expected text but received a zero byte at offset ${zero}: a binary file?`);
  if (!isUtf8(bytes)) {
    const at = firstInvalidByte(bytes);
    const byte = `0x${(bytes[at] as number).toString(16).padStart(2, '0')}`;
    throw new DataError(`${file}: Expected UTF-8 text but received byte ${byte} at offset ${at}`);
  }
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw new DataError(`${file}: Expected at most ${constants.MAX_STRING_LENGTH} bytes but received ${bytes.length}`);
  }
  return new TextDecoder().decode(bytes);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission was denied',
};

function unreadable(path: string, cause: unknown): never {
  const { code, message } = cause as NodeJS.ErrnoException;
  throw new DataError(`${path}: Expected text but ${reasons[code ?? ''] ?? `reading failed: ${message}`}`, { cause });
}

/** The file itself, or all files of a folder and its folders by name, without hidden ones. */
async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = (await readdir(path)).filter((name) => !name.startsWith('.')).sort();
  const files: string[] = [];
  for (const name of entries) files.push(...(await filesOf(join(path, name))));
  return files;
}

/**
 * The text of some files and folders, one after another; a line break is put between two files where the first ends without one.
 * @throws DataError for a file that is missing, unreadable or not UTF-8 text, and if there is no text at all.
 */
export async function loadText(paths: readonly string[]): Promise<LoadedText> {
  const files: string[] = [];
  for (const path of paths) files.push(...(await filesOf(path).catch((cause) => unreadable(path, cause))));
  let text = '';
  for (const file of files) {
    const bytes = await readFile(file).catch((cause) => unreadable(file, cause));
    if (text !== '' && !text.endsWith('\n')) text += '\n';
    text += decodeText(file, bytes);
  }
  if (text === '') {
    const found = ['there is no file', 'the file is empty'][files.length] ?? `all ${files.length} files are empty`;
    throw new DataError(`${paths.join(', ')}: Expected text but ${found}`);
  }
  return { text, files };
}
