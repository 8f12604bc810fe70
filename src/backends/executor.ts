/** What an engine asks of a backend: an executor, which is a heap and the programs over it. */

export type BackendName = 'native' | 'wasm' | 'reference';
export type Numerics = 'fast' | 'strict';
export type ElementType = 'f32' | 'i32';

/** Numbers that go into a heap. */
export type Values = Float32Array | Float64Array | Int32Array | readonly number[];
/** Numbers that come out of it: Float32Array or Int32Array; Float64Array for the float64 reference. */
export type Result = Float32Array | Float64Array | Int32Array;

export { RESERVED_ELEMENTS } from '../program/check.js';

/** A heap is one 32-bit WebAssembly.Memory. */
export const HEAP_LIMIT_BYTES = 2 ** 32;

/** A heap cannot hold what was asked of it. Nothing that was there is lost. */
export class OutOfMemoryError extends Error {
  readonly code = 'ERR_SEQGRAD_MEMORY';
  override readonly name = 'OutOfMemoryError';
}

/** Something was asked of an executor that has been closed, or was still to be done when it was. */
export class ClosedError extends Error {
  readonly code = 'ERR_SEQGRAD_CLOSED';
  override readonly name = 'ClosedError';
}

/**
 * A heap and the programs over it, in 4-byte elements (8-byte elements for float64). Operations take effect in the order of the
 * calls, each when the one before has settled, and need not be waited for in between; one that fails does not stop the next.
 * None keeps the caller's thread for long, unless the backend has no other thread to run on (`Backend.reason` says so).
 */
export interface Executor {
  readonly elementBytes: 4 | 8;
  /**
   * Makes room for at least `elements`; never shrinks, keeps what is there.
   * @throws OutOfMemoryError naming the bytes asked for.
   */
  grow(elements: number): Promise<void>;
  /** Copies values in from `address` on, as they are when this is called. */
  write(address: number, type: ElementType, values: Values): Promise<void>;
  /** A copy of so many elements from `address` on. */
  read(address: number, type: ElementType, elements: number): Promise<Result>;
  /** Fills elements with zeros. */
  clear(address: number, elements: number): Promise<void>;
  /**
   * Checks a program and makes it ready. The program may touch the first `dataElements` of the heap, which are there;
   * memory behind them is the executor's own until the next call of `load` with a larger number.
   * @throws MalformedProgramError naming the record, the operand, what was expected and what came.
   */
  load(words: Int32Array, dataElements: number): Promise<LoadedProgram>;
  /** Gives threads and memory back at once. What is still to be done, and whatever is asked later, rejects with ClosedError. */
  close(): Promise<void>;
}

export interface LoadedProgram {
  readonly recordCount: number;
  /** Runs records `first` (inclusive) to `last` (exclusive); the whole program when both are left out. */
  run(first?: number, last?: number): Promise<void>;
  /** Runs the whole program once, record by record; the milliseconds of each. */
  profile(): Promise<Float64Array>;
}

/**
 * What computes products of bfloat16 numbers: the processor's matrix unit (AMX), its instruction for pairs (AVX512-BF16), or
 * those for float32.
 */
export type Bfloat16Unit = 'amx' | 'avx512-bf16' | 'emulated';

/** A backend that has been found to work here. */
export interface Backend {
  readonly name: BackendName;
  /** `sse2`, `avx2`, `avx512`, `amx`, `neon`, `wasm-simd`, `wasm-relaxed`, `float32` or `float64` (reference). */
  readonly isa: string;
  readonly threads: number;
  readonly numerics: Numerics;
  readonly bfloat16: Bfloat16Unit;
  /** Where programs run: `a thread of its own`, `a worker`, `a worker, shared memory`, or `the calling thread` and why. */
  readonly place: string;
  /** Why this one was chosen, and so many threads. */
  readonly reason: string;
  createExecutor(): Executor;
}
