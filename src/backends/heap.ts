/** The heaps: one growable WebAssembly.Memory for every float32 backend, a Float64Array for the float64 reference. */
import {
  type ElementType,
  HEAP_LIMIT_BYTES,
  OutOfMemoryError,
  RESERVED_ELEMENTS,
  type Result,
  type Values,
} from './executor.js';

const PAGE_BYTES = 65536;
const MAX_PAGES = HEAP_LIMIT_BYTES / PAGE_BYTES;
/** 256 MiB */
const LEAST_SHARED_PAGES = 4096;

/** Two views of the same elements; for float64 one array that holds integers as values too. */
export interface HeapViews {
  readonly floats: Float32Array | Float64Array;
  readonly ints: Int32Array | Float64Array;
}

/** The memory that programs work on. */
export abstract class Heap {
  abstract readonly elementBytes: 4 | 8;
  /** Views of all elements, valid until the heap grows. */
  abstract views(): HeapViews;
  abstract grow(elements: number): void;

  write(address: number, type: ElementType, values: Values): void {
    this.#view(type).set(values, address);
  }

  read(address: number, type: ElementType, elements: number): Result {
    return this.#view(type).slice(address, address + elements);
  }

  clear(address: number, elements: number): void {
    this.#view('f32').fill(0, address, address + elements);
  }

  #view(type: ElementType): Result {
    const { floats, ints } = this.views();
    return type === 'i32' ? ints : floats;
  }
}

/** Why threads cannot share memory here; undefined where they can. */
export function whyNotShared(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined' || globalThis.crossOriginIsolated === false) {
    return 'no shared memory, because this page is not cross-origin isolated';
  }
  return undefined;
}

/** Memory that threads share. It is given as many addresses as it may ever need, so there may be less than 4 GiB of them. */
export function sharedMemory(): WebAssembly.Memory {
  for (let maximum = MAX_PAGES; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared: true });
    } catch (cause) {
      if (maximum > LEAST_SHARED_PAGES) continue;
      throw new OutOfMemoryError(`Expected addresses for ${maximum * PAGE_BYTES} bytes of shared memory`, { cause });
    }
  }
}

interface MemoryViews extends HeapViews {
  readonly bytes: Uint8Array;
}

const viewsOf = ({ buffer }: WebAssembly.Memory): MemoryViews => ({
  bytes: new Uint8Array(buffer),
  floats: new Float32Array(buffer),
  ints: new Int32Array(buffer),
});

/** Nobody else makes its memory grow. */
export class MemoryHeap extends Heap {
  readonly elementBytes = 4;
  #views: MemoryViews;

  constructor(readonly memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES })) {
    super();
    this.#views = viewsOf(memory);
  }

  views(): MemoryViews {
    return this.#views;
  }

  grow(elements: number): void {
    const pages = Math.ceil((elements * 4) / PAGE_BYTES) - this.memory.buffer.byteLength / PAGE_BYTES;
    if (pages <= 0) return;
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw new OutOfMemoryError(
        `Expected the heap to grow to ${elements * 4} bytes but the limit here is ${HEAP_LIMIT_BYTES} bytes or less`,
        {
          cause,
        },
      );
    }
    this.#views = viewsOf(this.memory);
  }
}

export class Float64Heap extends Heap {
  readonly elementBytes = 8;
  #array = new Float64Array(RESERVED_ELEMENTS);

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
