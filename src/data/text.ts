/** Text from bytes: strict UTF-8, so that a file in another encoding is an error with its place and never U+FFFD in the data. */
import { DataError } from './errors.js';
import { filesOf, nameOf, piecesOf, type Source } from './files.js';

export interface LoadedText {
  readonly text: string;
  /** The files it came from, in order. */
  readonly files: readonly string[];
}

const BYTE_ORDER_MARK = '\ufeff';

/** Bytes of the UTF-8 character that a byte begins. */
const lengthOf = (lead: number): number => (lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);

/** How many of the bytes form whole characters: the last one may go on in the next piece. */
function completeLength(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte >= 0xc0) return byte < 0xf8 && lengthOf(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** Decodes pieces of UTF-8 and knows the offset of what it refuses. */
class Utf8 {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #offset = 0;
  #rest = new Uint8Array(0);

  constructor(readonly name: string) {}

  /** The text of the next piece; `last` where no other follows. @throws DataError */
  decode(piece: Uint8Array, last = false): string {
    const bytes = this.#rest.length === 0 ? piece : joined(this.#rest, piece);
    const end = last ? bytes.length : completeLength(bytes);
    const text = this.#text(bytes.subarray(0, end));
    this.#rest = bytes.slice(end);
    const isStart = this.#offset === 0;
    this.#offset += end;
    return isStart && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  }

  #text(bytes: Uint8Array): string {
    const zero = bytes.indexOf(0);
    if (zero >= 0) this.#refuse(zero, `text but received a zero byte`, this.#hint(bytes) ?? 'a binary file?');
    try {
      return this.#decoder.decode(bytes);
    } catch {
      const at = this.#firstInvalid(bytes);
      const byte = `0x${(bytes[at] as number).toString(16).padStart(2, '0')}`;
      return this.#refuse(at, `UTF-8 text but received byte ${byte}`, this.#hint(bytes));
    }
  }

  #refuse(at: number, message: string, hint: string | undefined): never {
    throw new DataError(
      `${this.name}: Expected ${message} at offset ${this.#offset + at}${hint === undefined ? '' : `: ${hint}`}`,
    );
  }

  #hint([first, second]: Uint8Array): string | undefined {
    const isMark = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
    return this.#offset === 0 && isMark ? 'a UTF-16 file? Save it as UTF-8' : undefined;
  }

  /** The first byte that does not belong to a UTF-8 character. */
  #firstInvalid(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length) {
      const length = lengthOf(bytes[at] as number);
      try {
        this.#decoder.decode(bytes.subarray(at, at + length));
      } catch {
        return at;
      }
      at += length;
    }
    return at;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

/**
 * The text of a source, piece by piece; a leading byte order mark is not part of it.
 * @throws DataError naming the source, and the byte offset where it turns out not to be UTF-8 text.
 */
export async function* decoded(source: Source): AsyncGenerator<string, void, undefined> {
  const utf8 = new Utf8(nameOf(source));
  let isFirst = true;
  for await (const piece of piecesOf(source)) {
    if (typeof piece === 'string') yield isFirst && piece.startsWith(BYTE_ORDER_MARK) ? piece.slice(1) : piece;
    else yield utf8.decode(piece);
    isFirst = false;
  }
  const end = utf8.decode(new Uint8Array(0), true);
  if (end !== '') yield end;
}

/**
 * The text that the bytes of a file stand for; a leading byte order mark is not part of it.
 * @throws DataError as {@link decoded}
 */
export const decodeText = (name: string, bytes: Uint8Array): string => new Utf8(name).decode(bytes, true);

/** All of a source's text. @throws DataError as {@link decoded}, or if it is longer than a string can be */
export async function readText(source: Source): Promise<string> {
  const pieces: string[] = [];
  for await (const piece of decoded(source)) pieces.push(piece);
  try {
    return pieces.join('');
  } catch (cause) {
    throw new DataError(`${nameOf(source)}: Expected text that fits into one string but it is longer`, { cause });
  }
}

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
}

/** The lines of a text, without their ends (LF or CRLF). */
export async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<Line, void, undefined> {
  const trimmed = (text: string): string => (text.endsWith('\r') ? text.slice(0, -1) : text);
  let begun: string[] = [];
  let number = 1;
  for await (const piece of pieces) {
    const lines = piece.split('\n');
    const rest = lines.pop() as string;
    for (const line of lines) {
      yield { text: trimmed([...begun, line].join('')), number: number++ };
      begun = [];
    }
    if (rest !== '') begun.push(rest);
  }
  if (begun.length > 0) yield { text: trimmed(begun.join('')), number };
}

/**
 * The text of some files and folders, one after another; a line break is put between two files where the first ends without one.
 * @throws DataError for a file that is missing, unreadable or not UTF-8 text, and if there is no text at all.
 */
export async function loadText(paths: readonly string[]): Promise<LoadedText> {
  const files: string[] = [];
  for (const path of paths) files.push(...(await filesOf(path)));
  let text = '';
  for (const file of files) {
    if (text !== '' && !text.endsWith('\n')) text += '\n';
    text += await readText(file);
  }
  if (text === '') {
    const found = ['there is no file', 'the file is empty'][files.length] ?? `all ${files.length} files are empty`;
    throw new DataError(`${paths.join(', ')}: Expected text but ${found}`);
  }
  return { text, files };
}
