/** What one thread measures of the machine. Several at once measure what the machine can do with all of them: see crew.ts. */
import type { Numerics } from '../backends/executor.js';
import { nativeLimits } from '../backends/native.js';

/** Which limit of the machine; it can be sent to another thread. */
export type MeterKind =
  | { readonly kind: 'native'; readonly isa: string; readonly numerics: Numerics }
  | { readonly kind: 'wasm'; readonly module: WebAssembly.Module }
  | { readonly kind: 'memory'; readonly module: WebAssembly.Module };

/** GFLOP/s of arithmetic, GB/s of memory: one measurement of some milliseconds. */
export type Meter = (reading: Reading) => number;

export interface Reading {
  readonly milliseconds: number;
  /** Of memory: what is done, and the bytes of all arrays together. */
  readonly operation?: MemoryOperation;
  readonly bytes?: number;
}

/** `copy` writes half of the bytes from the other half; `triad` a third from the other two, multiplying and adding. */
export const memoryOperations = ['read', 'copy', 'triad'] as const;
export type MemoryOperation = (typeof memoryOperations)[number];

/** Calls `work` until the time is over. @returns how often, per millisecond */
function rateOf(milliseconds: number, work: () => void): number {
  const start = performance.now();
  let elapsed = 0;
  let times = 0;
  while (elapsed < milliseconds || times === 0) {
    work();
    times++;
    elapsed = performance.now() - start;
  }
  return times / elapsed;
}

interface WasmLimits {
  /** assembly/peak.ts */
  multiplyAdds(rounds: number): number;
  readonly ROUND_FLOPS: WebAssembly.Global;
  /** assembly/bandwidth.ts */
  readMemory(from: number, bytes: number): bigint;
  triad(y: number, a: number, b: number, bytes: number): void;
}

const PAGE_BYTES = 65536;
/** Short against a reading, long against the clock. */
const ROUNDS = 1 << 12;

function wasmMeter(module: WebAssembly.Module): Meter {
  const wasm = instantiate(module, new WebAssembly.Memory({ initial: 1 }));
  const flops = ROUNDS * wasm.ROUND_FLOPS.value;
  return ({ milliseconds }) => (rateOf(milliseconds, () => wasm.multiplyAdds(ROUNDS)) * flops) / 1e6;
}

const instantiate = (module: WebAssembly.Module, memory: WebAssembly.Memory): WasmLimits =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmLimits;

/** So many are moved between two looks at the clock. */
const BATCH_BYTES = 2 ** 20;

/** Arrays lie behind the page that belongs to the module, as those of programs do. */
function memoryMeter(module: WebAssembly.Module): Meter {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const wasm = instantiate(module, memory);
  return ({ milliseconds, operation = 'read', bytes = 0 }) => {
    const missing = Math.ceil(bytes / PAGE_BYTES) + 1 - memory.buffer.byteLength / PAGE_BYTES;
    if (missing > 0) memory.grow(missing);
    const length = partOf(operation, bytes);
    const [first, second, third] = [PAGE_BYTES, PAGE_BYTES + length, PAGE_BYTES + 2 * length];
    const heap = new Uint8Array(memory.buffer);
    const source = heap.subarray(second, second + length);
    const pass = {
      read: () => void wasm.readMemory(first, length),
      copy: () => heap.set(source, first),
      triad: () => wasm.triad(first, second, third, length),
    }[operation];
    pass(); // pages are there, and so is what caches can hold
    const passes = Math.ceil(BATCH_BYTES / bytes);
    const batch = (): void => {
      for (let time = 0; time < passes; time++) pass();
    };
    return (rateOf(milliseconds, batch) * passes * length * arraysOf[operation]) / 1e6;
  };
}

const arraysOf: Readonly<Record<MemoryOperation, number>> = { read: 1, copy: 2, triad: 3 };

/** Bytes of each array: whole strides of assembly/bandwidth.ts. */
const partOf = (operation: MemoryOperation, bytes: number): number =>
  Math.max(1, Math.floor(bytes / arraysOf[operation] / 128)) * 128;

export function createMeter(kind: MeterKind): Meter {
  switch (kind.kind) {
    case 'native': {
      const { peak } = nativeLimits();
      return ({ milliseconds }) => peak(kind.isa, kind.numerics, milliseconds);
    }
    case 'wasm':
      return wasmMeter(kind.module);
    case 'memory':
      return memoryMeter(kind.module);
  }
}
