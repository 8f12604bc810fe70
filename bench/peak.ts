/** What the machine can do at most, measured in the process whose work is compared with it. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Backend, Numerics } from '../src/backends/executor.js';
import { probeWasm } from '../src/backends/wasm-builds.js';
import { median } from './statistics.js';

/** Long enough for the timer, short enough to be interleaved with what is measured. */
const MILLISECONDS = 1;

/** GFLOP/s of multiply-adds that never leave the registers, measured anew by each call. */
export type Peak = () => number;

interface NativePeak {
  peak(isa: string, numerics: Numerics, milliseconds: number): number;
}

/** What assembly/peak.ts exports. */
interface WasmPeak {
  multiplyAdds(rounds: number): number;
  readonly ROUND_FLOPS: WebAssembly.Global;
}

function nativePeak({ isa, numerics }: Backend): Peak {
  const file = fileURLToPath(new URL('../../build/Release/seqgrad.node', import.meta.url));
  const addon: NativePeak = createRequire(import.meta.url)(file);
  return () => addon.peak(isa, numerics, MILLISECONDS);
}

async function wasmPeak({ isa }: Backend): Promise<Peak> {
  const module = (await probeWasm({ shared: false })).find((attempt) => attempt.isa === isa)?.module;
  if (module === undefined) throw new Error(`Expected a ${isa} module but there is none`);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const wasm = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmPeak;
  const rounds = 1 << 15;
  const flops = rounds * wasm.ROUND_FLOPS.value;
  return () => {
    const start = performance.now();
    let done = 0;
    let elapsed = 0;
    while (elapsed < MILLISECONDS) {
      wasm.multiplyAdds(rounds);
      done += flops;
      elapsed = performance.now() - start;
    }
    return done / elapsed / 1e6;
  };
}

/** How to measure the peak of a backend; undefined for the reference, which has none worth the name. */
export async function peakOf(backend: Backend): Promise<Peak | undefined> {
  if (backend.name === 'reference') return undefined;
  const once = backend.name === 'native' ? nativePeak(backend) : await wasmPeak(backend);
  for (const start = performance.now(); performance.now() - start < 200; ) once(); // V8 optimises what runs often
  return () => {
    once(); // a processor that has just done something else does not have its widest units ready
    return once();
  };
}

/** What a copy moves for each byte: it reads the source, reads the lines of the target into the cache, and writes them. */
const COPY_PASSES = 3;

/** GB/s of copying where source and target take so many bytes together: the roof of work that only moves data. */
export function copyRate(bytes: number): number {
  const elements = Math.max(1, Math.floor(bytes / 8));
  const [from, to] = [new Float32Array(elements).fill(1), new Float32Array(elements).fill(2)];
  const repetitions = Math.ceil(2e6 / elements);
  const once = (): number => {
    const start = performance.now();
    for (let repetition = 0; repetition < repetitions; repetition++) to.set(from);
    return (repetitions * elements * 4 * COPY_PASSES) / (performance.now() - start) / 1e6;
  };
  return median(Array.from({ length: 15 }, once));
}
