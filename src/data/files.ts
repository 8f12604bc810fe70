/** Where data comes from: files and folders, or anything that yields text or bytes. */
import { open, readdir, stat } from '../host/node.js';
import { DataError } from './errors.js';

/** Text or bytes that come piece by piece, and what messages call them. */
export interface Stream {
  readonly name: string;
  readonly content: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;
}

/** A file by its path, or a stream. */
export type Source = string | Stream;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission was denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is a file, not a folder',
};

function unreadable(path: string, cause: unknown): DataError {
  const { code, message } = cause as { code?: string; message: string };
  return new DataError(`${path}: Expected text but ${reasons[code ?? ''] ?? `reading failed: ${message}`}`, { cause });
}

export const nameOf = (source: Source): string => (typeof source === 'string' ? source : source.name);

/** The last part of a path without its extension. */
export const stemOf = (path: string): string => baseOf(path).replace(/(?<=.)\.[^.]*$/, '');

/** The last part of a path. */
export const baseOf = (path: string): string => path.replace(/[/\\]+$/, '').replace(/^.*[/\\]/, '');

/** The extension of a source's name in lower case, with its dot; empty without one. */
export const extensionOf = (source: Source): string =>
  /(?<=.)\.[^.]*$/.exec(baseOf(nameOf(source)))?.[0].toLowerCase() ?? '';

/** What a source yields, as it comes. @throws DataError for a file that cannot be read */
export async function* piecesOf(source: Source): AsyncGenerator<string | Uint8Array, void, undefined> {
  if (typeof source !== 'string') {
    yield* source.content;
    return;
  }
  try {
    const file = await open(source);
    try {
      const size = 1 << 18;
      for (;;) {
        const { bytesRead, buffer } = await file.read({ buffer: new Uint8Array(size), length: size });
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw typeof (cause as { syscall?: unknown }).syscall === 'string' ? unreadable(source, cause) : cause;
  }
}

/** Whether a path is a folder. @throws DataError if there is nothing at the path */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    (cause) => {
      throw unreadable(path, cause);
    },
  );
}

/** The paths of what is in a folder, by name, without hidden files. @throws DataError */
export async function entriesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause) => {
    throw unreadable(folder, cause);
  });
  return names
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => `${folder.replace(/[/\\]+$/, '')}/${name}`);
}

/** The file itself, or all files of a folder and its folders by name, without hidden ones. @throws DataError */
export async function filesOf(path: string): Promise<string[]> {
  if (!(await isFolder(path))) return [path];
  const files: string[] = [];
  for (const entry of await entriesOf(path)) files.push(...(await filesOf(entry)));
  return files;
}
