/** What an engine asks of a backend: a heap, and an executor that loads a program once and runs it over that heap many times. */

export type BackendName = 'native' | 'wasm' | 'reference';
export type Numerics = 'fast' | 'strict';

/** Two views of the same elements; for float64 one array that holds integers as values too. */
export interface HeapViews {
  readonly floats: Float32Array | Float64Array;
  readonly ints: Int32Array | Float64Array;
}

/** The memory that programs work on, in 4-byte elements (8-byte elements for float64). */
export interface Heap {
  readonly elements: number;
  readonly elementBytes: 4 | 8;
  /** Views of all elements, valid until the heap grows. */
  views(): HeapViews;
  /**
   * Makes room for at least `elements`; never shrinks, keeps what is there.
   * @throws OutOfMemoryError naming the bytes asked for.
   */
  grow(elements: number): void;
}

/** A heap cannot hold what was asked of it. */
export class OutOfMemoryError extends Error {
  readonly code = 'ERR_SEQGRAD_MEMORY';
  override readonly name = 'OutOfMemoryError';
}

export interface LoadedProgram {
  readonly recordCount: number;
  /** Runs records `first` (inclusive) to `last` (exclusive); the whole program when both are left out. */
  run(first?: number, last?: number): Promise<void>;
}

export interface Executor {
  /**
   * Checks a program and makes it ready. The program may touch the first `dataElements` of the heap, which are there;
   * memory behind them is the executor's own until the next call of `load` with a larger number.
   * @throws MalformedProgramError naming the record, the operand, what was expected and what came.
   */
  load(words: Int32Array, dataElements: number): LoadedProgram;
}

/** A backend that has been found to work here. */
export interface Backend {
  readonly name: BackendName;
  /** `sse2`, `avx2`, `avx512`, `wasm-simd`, `wasm-relaxed`, `float32` or `float64` (reference). */
  readonly isa: string;
  readonly threads: number;
  readonly numerics: Numerics;
  /** Why this one was chosen. */
  readonly reason: string;
  createHeap(): Heap;
  attach(heap: Heap): Executor;
}
