/**
 * The header of a safetensors file: 8 bytes of its length (little-endian), then JSON that gives each tensor's dtype, shape and
 * place in the data that follows. Everything it claims is checked here against the file, so that readers can trust it.
 */
import { FormatError } from './errors.js';

/** Bytes per element of the dtypes that are read. */
export const dtypeBytes = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, U8: 1, BOOL: 1 } as const;
type Dtype = keyof typeof dtypeBytes;

/** Longest header that readers of this format accept, in bytes. */
const MAX_HEADER_BYTES = 100_000_000;
export const LENGTH_BYTES = 8;

export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** First byte within the file, and the one after the last. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * The length of the header, from a file's first bytes.
 * @throws FormatError if the file is too short for it, or the format does not allow it.
 */
export function parseHeaderLength(file: string, start: Uint8Array, fileBytes: number): number {
  if (start.length < LENGTH_BYTES) {
    throw new FormatError(file, undefined, `a safetensors file (at least ${LENGTH_BYTES} bytes)`, `${fileBytes} bytes`);
  }
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw new FormatError(file, undefined, `a header of at most ${MAX_HEADER_BYTES} bytes`, `one of ${length} bytes`);
  }
  if (Number(length) > fileBytes - LENGTH_BYTES) {
    const found = `a file that ends after ${fileBytes - LENGTH_BYTES} of them`;
    throw new FormatError(file, undefined, `a header of ${length} bytes`, found);
  }
  return Number(length);
}

/** A key that stands twice in one object of a (valid) JSON text. `JSON.parse` keeps the last one without a word. */
function findDuplicateKey(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // the keys of each open object; undefined for an array
  let previous = '';
  for (let at = 0; at < json.length; at++) {
    const character = json[at] as string;
    if (character === '"') {
      const start = at++;
      while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
      const keys = open.at(-1);
      if (keys === undefined || (previous !== '{' && previous !== ',')) continue;
      const key: string = JSON.parse(json.slice(start, at + 1));
      if (keys.has(key)) return key;
      keys.add(key);
    } else if ('{}[],:'.includes(character)) {
      if (character === '{') open.push(new Set());
      else if (character === '[') open.push(undefined);
      else if (character === '}' || character === ']') open.pop();
      previous = character;
    }
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A value of the header for an error message: as JSON, cut where it gets long. */
function show(value: unknown): string {
  try {
    const text = JSON.stringify(value) ?? 'nothing';
    return text.length > 60 ? `${text.slice(0, 57)}…` : text;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // JSON.parse reads any depth, JSON.stringify does not write it
    return 'something nested too deeply';
  }
}

function parseMetadata(file: string, value: unknown): Map<string, string> {
  if (value === undefined) return new Map();
  const entries = isObject(value) ? Object.entries(value) : [];
  if (!isObject(value) || !entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    throw new FormatError(file, '__metadata__', 'an object of strings', show(value));
  }
  return new Map(entries as [string, string][]);
}

/** One tensor's entry; `dataStart` and `fileBytes` bound where its bytes can be. */
function parseTensor(file: string, name: string, entry: unknown, dataStart: number, fileBytes: number): TensorInfo {
  const refuse = (expected: string, received: string): never => {
    throw new FormatError(file, name, expected, received);
  };
  if (!isObject(entry)) return refuse('an object with dtype, shape and data_offsets', show(entry));
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeBytes, dtype)) {
    return refuse(`a dtype among ${Object.keys(dtypeBytes).join(', ')}`, show(dtype));
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) return refuse('a shape of sizes from 0', show(shape));
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return refuse('data_offsets [begin, end]', show(offsets));
  }
  const [begin, end] = offsets as [number, number];
  const available = fileBytes - dataStart;
  if (end > available) return refuse(`data that ends within the file's ${available} bytes of data`, `an end at ${end}`);
  const bytes = shape.reduce((product, size) => product * size, dtypeBytes[dtype as Dtype]);
  if (end - begin !== bytes) {
    return refuse(
      `${bytes} bytes for ${dtype} [${shape.join(', ')}]`,
      `${end - begin} (data_offsets ${show(offsets)})`,
    );
  }
  return { name, dtype: dtype as Dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** The tensors must cover the data without overlap, gap or rest. */
function checkCover(file: string, tensors: Iterable<TensorInfo>, dataStart: number, fileBytes: number): void {
  let covered = dataStart;
  let last: TensorInfo | undefined;
  for (const tensor of [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (tensor.begin !== covered) {
      const found = `data that begins at byte ${tensor.begin - dataStart} of the data`;
      const before = last === undefined ? '' : `, where \`${last.name}\` ends`;
      throw new FormatError(file, tensor.name, `data that begins at byte ${covered - dataStart}${before}`, found);
    }
    covered = tensor.end;
    last = tensor;
  }
  if (covered !== fileBytes) {
    throw new FormatError(file, undefined, `a file of ${covered} bytes, as its header says`, `${fileBytes} bytes`);
  }
}

/**
 * Reads and checks the header of a file of `fileBytes` bytes.
 * @throws FormatError naming the file, the tensor, what was expected and what was found.
 */
export function parseHeader(file: string, bytes: Uint8Array, fileBytes: number): Header {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(file, undefined, 'a header in JSON', `something else: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (!isObject(json)) throw new FormatError(file, undefined, 'a header that is a JSON object', show(json));
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) throw new FormatError(file, duplicate, 'the name once in the header', 'it twice');

  const dataStart = LENGTH_BYTES + bytes.length;
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of Object.entries(json)) {
    if (name !== '__metadata__') tensors.set(name, parseTensor(file, name, entry, dataStart, fileBytes));
  }
  checkCover(file, tensors.values(), dataStart, fileBytes);
  return {
    tensors,
    metadata: parseMetadata(file, Object.hasOwn(json, '__metadata__') ? json.__metadata__ : undefined),
  };
}
