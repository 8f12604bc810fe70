/** The addon itself, without the executor over it, and programs for it to run. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Numerics, RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import { type AnyCall, encode, HEADER_WORDS } from '../../src/program/encode.js';

export interface AddonProgram {
  readonly recordCount: number;
  check(elements: number): { readonly fault: number } | null;
}

export interface AddonThread {
  run(
    program: AddonProgram,
    heap: Uint8Array,
    elements: number,
    first: number,
    last: number,
    milliseconds: Float64Array | null,
  ): Promise<void>;
  close(): void;
}

/** What native/addon.cc exports. */
export interface Addon {
  readonly contract: number;
  candidates(): { readonly isa: string; readonly usable: boolean }[];
  peak(isa: string, numerics: Numerics, milliseconds: number): number;
  barrier(threads: number, milliseconds: number): number;
  preferHugePages(heap: Uint8Array): void;
  readonly Program: new (words: Int32Array, isa: string, numerics: Numerics) => AddonProgram;
  readonly Thread: new (threads: number) => AddonThread;
}

export const file = fileURLToPath(new URL('../../../build/Release/seqgrad.node', import.meta.url));

/** Why the addon is not there; undefined if it is. */
export const absence: string | undefined = existsSync(file) ? undefined : 'the addon has not been built';

export const loadAddon = (): Addon => createRequire(import.meta.url)(file);

/** Elements that the programs below have to themselves, and those of their heaps. */
export const DATA = 3 * 65536;
export const ELEMENTS = RESERVED_ELEMENTS + DATA;

export interface Heap {
  /** What programs may touch: element 0 is the first that is not reserved, here and in the calls below. */
  readonly floats: Float32Array;
  readonly bytes: Uint8Array;
}

export function newHeap(): Heap {
  const { buffer } = new WebAssembly.Memory({ initial: (ELEMENTS * 4) / 65536, maximum: 64 });
  return { floats: new Float32Array(buffer, RESERVED_ELEMENTS * 4), bytes: new Uint8Array(buffer) };
}

export const fill = (y: number, n: number, value: number): AnyCall<number> => ({
  instruction: 'fill',
  operands: { y: RESERVED_ELEMENTS + y },
  dims: { n },
  scalars: { value },
});

export const scale = (x: number, n: number, factor: number): AnyCall<number> => ({
  instruction: 'scale',
  operands: { x: RESERVED_ELEMENTS + x, y: RESERVED_ELEMENTS + x },
  dims: { n },
  scalars: { factor },
});

/** c = a·b, square, from the first third of the data and the second to the last. */
export function product(size: number): AnyCall<number> {
  const third = DATA / 3;
  return {
    instruction: 'matmul',
    operands: { a: RESERVED_ELEMENTS, b: RESERVED_ELEMENTS + third, c: RESERVED_ELEMENTS + 2 * third },
    dims: {
      ...{ batch: 1, M: size, N: size, K: size, aBatch: 0, aRow: size, aColumn: 1 },
      ...{ bBatch: 0, bRow: size, bColumn: 1, cBatch: 0, cRow: size, bfloat16: 0, activation: 0 },
    },
    scalars: {},
  };
}

function checked(addon: Addon, words: Int32Array): AddonProgram {
  const program = new addon.Program(words, 'auto', 'fast');
  if (program.check(ELEMENTS) !== null) throw new Error('Expected a program without faults');
  return program;
}

/** A program that has been checked for such a heap. */
export const checkedProgram = (addon: Addon, calls: readonly AnyCall<number>[]): AddonProgram =>
  checked(addon, encode(calls));

/** A program that nobody will see the end of: minutes of products. */
export function endlessProgram(addon: Addon): AddonProgram {
  const records = 200_000;
  const one = encode([product(256)]);
  const record = one.subarray(HEADER_WORDS);
  const words = new Int32Array(HEADER_WORDS + records * record.length);
  words.set([one[0]!, words.length, records]);
  for (let at = HEADER_WORDS; at < words.length; at += record.length) words.set(record, at);
  return checked(addon, words);
}
