/**
 * The reference backend: every instruction in plain TypeScript. It is the definition the other backends are compared with, and
 * the last resort where there is neither native code nor WASM SIMD. In float64 it works on a Float64Array with the same offsets.
 */
import { findFault, refuse } from '../program/check.js';
import { decode } from '../program/encode.js';
import type { Backend, Executor, Heap, LoadedProgram, Numerics } from './executor.js';
import { Float64Heap, MemoryHeap } from './heap.js';
import { execute } from './reference/definitions.js';
import { bindable } from './reference/tensor.js';

export interface ReferenceOptions {
  /** `float32` rounds what it stores, not what it computes. */
  readonly isa?: 'float32' | 'float64';
  /** Carried along: there is one way to compute here. */
  readonly numerics?: Numerics;
  readonly reason?: string;
}

class ReferenceExecutor implements Executor {
  readonly #heap: Heap;

  constructor(heap: Heap) {
    this.#heap = heap;
  }

  load(words: Int32Array, dataElements: number): LoadedProgram {
    const fault = findFault(words, dataElements);
    if (fault !== undefined) refuse(words, fault, dataElements);
    const heap = this.#heap;
    const records = decode(words).map(bindable);
    return {
      recordCount: records.length,
      async run(first = 0, last = records.length): Promise<void> {
        if (
          !(Number.isInteger(first) && Number.isInteger(last) && 0 <= first && first <= last && last <= records.length)
        ) {
          throw new RangeError(`Expected records within 0 to ${records.length} but received ${first} to ${last}`);
        }
        const views = heap.views();
        for (const bind of records.slice(first, last)) execute(bind(views));
      },
    };
  }
}

export function referenceBackend({
  isa = 'float32',
  numerics = 'fast',
  reason = 'asked for by name',
}: ReferenceOptions = {}): Backend {
  const createHeap = (): Heap => (isa === 'float64' ? new Float64Heap() : new MemoryHeap());
  const elementBytes = isa === 'float64' ? 8 : 4;
  return {
    name: 'reference',
    isa,
    threads: 1,
    numerics,
    reason,
    createHeap,
    attach(heap) {
      if (heap.elementBytes !== elementBytes) {
        throw new TypeError(
          `Expected a heap of ${elementBytes}-byte elements for reference ${isa} but received ${heap.elementBytes}-byte elements`,
        );
      }
      return new ReferenceExecutor(heap);
    },
  };
}
