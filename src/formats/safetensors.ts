/**
 * safetensors: named tensors in one file, as PyTorch and Hugging Face tools write and read them. A reader takes tensors one by
 * one; a writer streams them. Both assume a little-endian machine, as WebAssembly does.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from '../host/node.js';
import { replaceFile, type Sink } from './atomic.js';
import { FileError, FormatError } from './errors.js';
import { dtypeBytes, LENGTH_BYTES, parseHeader, parseHeaderLength, type TensorInfo } from './safetensors-header.js';

/** Bytes that can be read at any place, from a file or from memory. */
interface Source {
  readonly bytes: number;
  /** A copy of the bytes from `begin` to `end` (exclusive), fewer if the source ends before. */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** One system call reads less than 2 GiB. */
const READ_BYTES = 2 ** 30;

async function openFile(path: string): Promise<Source> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path);
    const file = handle;
    const stats = await file.stat();
    if (stats.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
    return {
      bytes: stats.size,
      async read(begin, end) {
        const buffer = new Uint8Array(end - begin);
        let filled = 0;
        while (filled < buffer.length) {
          const count = Math.min(READ_BYTES, buffer.length - filled);
          const { bytesRead } = await file.read(buffer, filled, count, begin + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
        return buffer.subarray(0, filled);
      },
      close: () => file.close(),
    };
  } catch (cause) {
    await handle?.close();
    throw new FileError('read', path, cause);
  }
}

/** An IEEE 754 half as a number: sign 1 bit, exponent 5 bits (bias 15), fraction 10 bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Reads the tensors of a safetensors file one by one. Close it after use. */
export class SafetensorsReader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #source: Source;

  private constructor(
    /** Path, or whatever else messages shall name. */
    readonly file: string,
    source: Source,
    header: { tensors: ReadonlyMap<string, TensorInfo>; metadata: ReadonlyMap<string, string> },
  ) {
    this.#source = source;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
  }

  static async #from(file: string, source: Source): Promise<SafetensorsReader> {
    try {
      const start = await source.read(0, Math.min(LENGTH_BYTES, source.bytes));
      const length = parseHeaderLength(file, start, source.bytes);
      const header = await source.read(LENGTH_BYTES, LENGTH_BYTES + length);
      return new SafetensorsReader(file, source, parseHeader(file, header, source.bytes));
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * Opens a file and checks its header; reads no tensor yet.
   * @throws FileError if it cannot be opened, FormatError if it is not what it says.
   */
  static async open(path: string): Promise<SafetensorsReader> {
    return SafetensorsReader.#from(path, await openFile(path));
  }

  /** The same for bytes in memory. @throws FormatError */
  static fromBytes(bytes: Uint8Array, name = 'safetensors bytes'): Promise<SafetensorsReader> {
    return SafetensorsReader.#from(name, {
      bytes: bytes.length,
      read: async (begin, end) => new Uint8Array(bytes.subarray(begin, end)),
      close: async () => {},
    });
  }

  /** What the header says of a tensor. @throws FormatError if there is none of that name. */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info === undefined) throw new FormatError(this.file, name, 'a tensor of that name', 'none');
    return info;
  }

  /** The values of an F64, F32, F16 or BF16 tensor, rounded to float32. @throws FormatError */
  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const values = await this.#readFloats(name);
    return values instanceof Float32Array ? values : Float32Array.from(values);
  }

  /** The values of an F64, F32, F16 or BF16 tensor, none of them rounded. @throws FormatError */
  async readFloat64(name: string): Promise<Float64Array<ArrayBuffer>> {
    const values = await this.#readFloats(name);
    return values instanceof Float64Array ? values : Float64Array.from(values);
  }

  /** The values of an I64, I32, U8 or BOOL tensor. @throws FormatError, also for a number that 32 bits cannot hold. */
  async readInt32(name: string): Promise<Int32Array<ArrayBuffer>> {
    const info = this.info(name);
    if (!['I64', 'I32', 'U8', 'BOOL'].includes(info.dtype)) {
      throw new FormatError(this.file, name, 'integers (I64, I32, U8 or BOOL)', info.dtype);
    }
    const { buffer } = await this.#readBytes(info);
    if (info.dtype === 'I32') return new Int32Array(buffer);
    if (info.dtype !== 'I64') return Int32Array.from(new Uint8Array(buffer));
    const wide = new BigInt64Array(buffer);
    const at = wide.findIndex((value) => BigInt.asIntN(32, value) !== value);
    if (at >= 0) throw new FormatError(this.file, name, 'integers of at most 32 bits', `${wide[at]} at element ${at}`);
    return Int32Array.from(wide, Number);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async #readFloats(name: string): Promise<Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>> {
    const info = this.info(name);
    if (!['F64', 'F32', 'F16', 'BF16'].includes(info.dtype)) {
      throw new FormatError(this.file, name, 'floating-point numbers (F64, F32, F16 or BF16)', info.dtype);
    }
    const { buffer } = await this.#readBytes(info);
    if (info.dtype === 'F64') return new Float64Array(buffer);
    if (info.dtype === 'F32') return new Float32Array(buffer);
    const halves = new Uint16Array(buffer);
    if (info.dtype === 'F16') return Float32Array.from(halves, halfToNumber);
    return new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer); // bfloat16: a float32's upper half
  }

  async #readBytes({ name, begin, end }: TensorInfo): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#source.read(begin, end);
    if (bytes.length < end - begin) {
      throw new FormatError(this.file, name, `${end - begin} bytes`, `${bytes.length}: the file has become shorter`);
    }
    return bytes;
  }
}

const arrays = { F64: Float64Array, F32: Float32Array, I32: Int32Array } as const;
type Values = Float64Array | Float32Array | Int32Array;

/** A tensor for a file. Values that have another type than `dtype` are converted; a function is called when it is their turn. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: keyof typeof arrays;
  readonly shape: readonly number[];
  readonly values: Values | (() => Values | Promise<Values>);
}

function elements({ shape }: TensorToWrite): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Length and header; JSON padded with spaces so that the data start at a multiple of 8. */
function encodeHeader(tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set('__metadata__', metadata);
  let end = 0;
  for (const tensor of tensors) {
    if (entries.has(tensor.name) || tensor.name === '__metadata__') {
      throw new RangeError(`safetensors: Expected tensors of different names but received \`${tensor.name}\` twice`);
    }
    const begin = end;
    end += elements(tensor) * dtypeBytes[tensor.dtype];
    entries.set(tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] });
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const bytes = new Uint8Array(LENGTH_BYTES + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - LENGTH_BYTES), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

/**
 * Writes tensors in the safetensors format, holding one at a time; wide elements come first, so that each tensor is aligned.
 * @throws RangeError if two tensors share a name or one has another number of values than its shape.
 */
export async function writeTensors(
  sink: Sink,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = [...tensors].sort((a, b) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype]);
  await sink(encodeHeader(ordered, metadata));
  for (const tensor of ordered) {
    const values = typeof tensor.values === 'function' ? await tensor.values() : tensor.values;
    if (values.length !== elements(tensor)) {
      const shape = `${elements(tensor)} values for [${tensor.shape.join(', ')}]`;
      throw new RangeError(`safetensors: tensor \`${tensor.name}\`: Expected ${shape} but received ${values.length}`);
    }
    const array = arrays[tensor.dtype];
    const { buffer, byteOffset, byteLength } = values instanceof array ? values : array.from(values);
    await sink(new Uint8Array(buffer, byteOffset, byteLength));
  }
}

/**
 * Writes a safetensors file, whole or not at all.
 * @throws FileError naming the file and what stood in the way; RangeError as {@link writeTensors}.
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  return replaceFile(path, (sink) => writeTensors(sink, tensors, metadata));
}
