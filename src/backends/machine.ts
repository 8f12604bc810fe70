/** What an executor is in the thread where its memory lives: a heap, and the programs that a backend runs over it. */
import type { ElementType, Result, Values } from './executor.js';
import type { Heap } from './heap.js';

/** A program as a backend has it. */
export interface Runnable {
  readonly recordCount: number;
  /** Runs records `first` to `last`, which are within the program; with `milliseconds`, one by one, each timed into its slot. */
  run(first: number, last: number, milliseconds?: Float64Array): void | Promise<void>;
}

/** What a backend adds to a heap. @throws MalformedProgramError */
export interface Loader {
  load(words: Int32Array, dataElements: number): Runnable;
  /** Gives threads back. */
  close?(): void;
}

/** Its methods are the operations of an executor; programs go by numbers, which the caller gives. */
export class Machine {
  readonly #heap: Heap;
  readonly #loader: Loader;
  readonly #programs = new Map<number, Runnable>();

  constructor(heap: Heap, loader: Loader) {
    this.#heap = heap;
    this.#loader = loader;
  }

  grow(elements: number): void {
    this.#heap.grow(elements);
  }

  write(address: number, type: ElementType, values: Values): void {
    this.#heap.write(address, type, values);
  }

  read(address: number, type: ElementType, elements: number): Result {
    return this.#heap.read(address, type, elements);
  }

  clear(address: number, elements: number): void {
    this.#heap.clear(address, elements);
  }

  load(program: number, words: Int32Array, dataElements: number): number {
    const runnable = this.#loader.load(words, dataElements);
    this.#programs.set(program, runnable);
    return runnable.recordCount;
  }

  unload(program: number): void {
    this.#programs.delete(program);
  }

  run(program: number, first: number, last: number): void | Promise<void> {
    return this.#program(program).run(first, last);
  }

  async profile(program: number): Promise<Float64Array> {
    const { recordCount } = this.#program(program);
    const milliseconds = new Float64Array(recordCount);
    await this.#program(program).run(0, recordCount, milliseconds);
    return milliseconds;
  }

  close(): void {
    this.#programs.clear();
    this.#loader.close?.();
  }

  #program(program: number): Runnable {
    return this.#programs.get(program) as Runnable;
  }
}

/** Runs records one by one and times each. */
export function timed(first: number, last: number, milliseconds: Float64Array, run: (record: number) => void): void {
  for (let record = first; record < last; record++) {
    const start = performance.now();
    run(record);
    milliseconds[record - first] = performance.now() - start;
  }
}
