/** Runs programs by a WASM build over a heap, in the thread that calls. */
import { describeFault, faults, MalformedProgramError } from '../program/check.js';
import { aligned } from '../program/variable.js';
import { RESERVED_ELEMENTS } from './executor.js';
import type { MemoryHeap } from './heap.js';
import { type Loader, type Runnable, timed } from './machine.js';

/** A program stopped on a trap; what it was to write is undefined. */
export class ProgramTrappedError extends Error {
  readonly code = 'ERR_SEQGRAD_TRAP';
  override readonly name = 'ProgramTrappedError';
}

/** What assembly/index.ts exports. */
export interface WasmExports {
  contract(): number;
  relaxed(): number;
  /** 1 in builds for shared memory. */
  shared(): number;
  check(words: number, count: number, heapElements: number): number;
  faultRecord(): number;
  workspace(words: number): number;
  run(words: number, first: number, last: number, workspace: number): void;
  /** How many threads will work on each instruction, this one included. */
  setLanes(lanes: number): void;
  /** The life of a helper. */
  help(lane: number): void;
}

export const instantiate = (module: WebAssembly.Module, memory: WebAssembly.Memory): WasmExports =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmExports;

export class WasmLoader implements Loader {
  readonly #heap: MemoryHeap;
  readonly #wasm: WasmExports;
  /** Behind these elements lie the words of the program that runs, then its workspace. */
  #dataElements = RESERVED_ELEMENTS;

  constructor(heap: MemoryHeap, module: WebAssembly.Module, lanes: number) {
    this.#heap = heap;
    this.#wasm = instantiate(module, heap.memory);
    if (lanes > 1) this.#wasm.setLanes(lanes);
  }

  load(program: Int32Array, dataElements: number): Runnable {
    this.#dataElements = Math.max(this.#dataElements, aligned(dataElements));
    this.#makeRoom(program.length);
    const result = this.#wasm.check(this.#place(program), program.length, dataElements);
    if (result !== 0) {
      const fault = { fault: faults[result & 0xff] ?? 'header', item: result >> 8, record: this.#wasm.faultRecord() };
      throw new MalformedProgramError(describeFault(program, fault, dataElements));
    }
    const privateElements = aligned(program.length) + this.#wasm.workspace(this.#place(program));
    this.#makeRoom(privateElements);
    return {
      recordCount: program[2] as number,
      run: (first, last, milliseconds) => {
        this.#makeRoom(privateElements); // a later program may have moved the end of the data
        const at = this.#place(program);
        if (milliseconds === undefined) this.#run(program, at, first, last);
        else timed(first, last, milliseconds, (record) => this.#run(program, at, record, record + 1));
      },
    };
  }

  #makeRoom(privateElements: number): void {
    this.#heap.grow(this.#dataElements + privateElements);
  }

  /** Copies the words behind the data: another program's may be there. */
  #place(words: Int32Array): number {
    this.#heap.views().ints.set(words, this.#dataElements);
    return this.#dataElements * 4;
  }

  #run(words: Int32Array, at: number, first: number, last: number): void {
    try {
      this.#wasm.run(at, first, last, at + aligned(words.length) * 4);
    } catch (cause) {
      const message = `records ${first} to ${last} of a program of ${words[2]} stopped`;
      throw new ProgramTrappedError(`${message}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  }
}
