/**
 * The reference backend: every instruction in plain TypeScript. It is the definition the other backends are compared with, and
 * the last resort where there is neither native code nor WASM SIMD. In float64 it works on a Float64Array with the same offsets.
 */
import { findFault, refuse } from '../program/check.js';
import { decode } from '../program/encode.js';
import type { Backend, Numerics } from './executor.js';
import { Float64Heap, type Heap, MemoryHeap } from './heap.js';
import { localExecutor } from './local.js';
import { type Loader, timed } from './machine.js';
import { execute } from './reference/definitions.js';
import { bindable } from './reference/tensor.js';

export interface ReferenceOptions {
  /** `float32` rounds what it stores, not what it computes. */
  readonly isa?: 'float32' | 'float64';
  /** Carried along: there is one way to compute here. */
  readonly numerics?: Numerics;
  /** There is one, whatever is asked. */
  readonly threads?: number;
  readonly reason?: string;
}

const loaderOver = (heap: Heap): Loader => ({
  load(words, dataElements) {
    const fault = findFault(words, dataElements);
    if (fault !== undefined) refuse(words, fault, dataElements);
    const records = decode(words).map(bindable);
    return {
      recordCount: records.length,
      run(first, last, milliseconds) {
        const views = heap.views();
        const run = (record: number): void => execute((records[record] as (typeof records)[number])(views));
        if (milliseconds !== undefined) timed(first, last, milliseconds, run);
        else for (let record = first; record < last; record++) run(record);
      },
    };
  },
});

export function referenceBackend({
  isa = 'float32',
  numerics = 'fast',
  threads = 1,
  reason = 'asked for by name',
}: ReferenceOptions = {}): Backend {
  return {
    name: 'reference',
    isa,
    threads: 1,
    bfloat16: 'emulated',
    place: 'the calling thread',
    numerics,
    reason: threads === 1 ? reason : `${reason}; threads: not ${threads}: the reference has one`,
    createExecutor() {
      const heap = isa === 'float64' ? new Float64Heap() : new MemoryHeap();
      return localExecutor(heap, loaderOver(heap));
    },
  };
}
