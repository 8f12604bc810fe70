/** The heaps: one growable WebAssembly.Memory for every float32 backend, a Float64Array for the float64 reference. */
import { type Heap, type HeapViews, OutOfMemoryError } from './executor.js';

const PAGE_BYTES = 65536;
/** A 32-bit memory: 4 GiB. */
const MAX_PAGES = 65536;

/** The first elements belong to the WASM module (its static data), in every backend, so that programs can move between them. */
export const RESERVED_ELEMENTS = PAGE_BYTES / 4;

export class MemoryHeap implements Heap {
  readonly elementBytes = 4;
  readonly memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });

  get elements(): number {
    return this.memory.buffer.byteLength / 4;
  }

  views(): HeapViews {
    const { buffer } = this.memory;
    return { floats: new Float32Array(buffer), ints: new Int32Array(buffer) };
  }

  grow(elements: number): void {
    const pages = Math.ceil((elements * 4) / PAGE_BYTES) - this.memory.buffer.byteLength / PAGE_BYTES;
    if (pages <= 0) return;
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw new OutOfMemoryError(
        `Expected the heap to grow to ${elements * 4} bytes but the limit here is ${MAX_PAGES * PAGE_BYTES} bytes or less`,
        { cause },
      );
    }
  }
}

export class Float64Heap implements Heap {
  readonly elementBytes = 8;
  #array = new Float64Array(RESERVED_ELEMENTS);

  get elements(): number {
    return this.#array.length;
  }

  views(): HeapViews {
    return { floats: this.#array, ints: this.#array };
  }

  grow(elements: number): void {
    if (elements <= this.#array.length) return;
    let grown: Float64Array<ArrayBuffer>;
    try {
      grown = new Float64Array(elements);
    } catch (cause) {
      throw new OutOfMemoryError(`Expected the heap to grow to ${elements * 8} bytes but that cannot be had`, {
        cause,
      });
    }
    grown.set(this.#array);
    this.#array = grown;
  }
}
