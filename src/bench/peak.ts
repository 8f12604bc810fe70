/** The most arithmetic that a backend's threads can do, measured in the process whose work is compared with it. */
import type { Backend } from '../backends/executor.js';
import { probeWasm } from '../backends/wasm-builds.js';
import { Crew } from './crew.js';
import type { MeterKind } from './meters.js';

/** Long enough for the clock, short enough to be interleaved with what is measured. */
const MILLISECONDS = 1;
/**
 * A reading is the best of so many such times: some processors hold multiply-adds back for up to 3 ms after work that also loads much,
 * and a system may take a core away for a while.
 */
const TIMES = 4;
/** Until V8 has optimised, and the cores run as fast as they will. */
const WARM_UP_MILLISECONDS = 100;

export type PeakOf = Pick<Backend, 'name' | 'isa' | 'numerics' | 'threads'>;

/** A compiled WASM build that needs no shared memory. @throws Error where this engine has none */
export async function wasmModule(isa: string): Promise<WebAssembly.Module> {
  const attempt = (await probeWasm({ shared: false })).find((each) => each.isa === isa);
  if (attempt?.module === undefined)
    throw new Error(`Expected ${isa} to work here but ${attempt?.cause ?? 'it is unknown'}`);
  return attempt.module;
}

async function meterOf({ name, isa, numerics }: PeakOf): Promise<MeterKind | undefined> {
  if (name === 'native') return { kind: 'native', isa, numerics };
  if (name === 'wasm') return { kind: 'wasm', module: await wasmModule(isa) };
  return undefined; // the reference has no peak worth the name
}

/** GFLOP/s of multiply-adds that never leave the registers, on all threads of a backend at once. */
export class Peak {
  readonly #crew: Crew | undefined;
  /** What has been measured so far; empty for the reference. */
  readonly readings: number[] = [];

  private constructor(crew: Crew | undefined) {
    this.#crew = crew;
  }

  static async of(backend: PeakOf): Promise<Peak> {
    const meter = await meterOf(backend);
    if (meter === undefined) return new Peak(undefined);
    const crew = await Crew.gather(meter, backend.threads);
    await crew.measure({ milliseconds: WARM_UP_MILLISECONDS });
    return new Peak(crew);
  }

  async measure(): Promise<void> {
    if (this.#crew === undefined) return;
    let best = 0;
    for (let time = 0; time < TIMES; time++) {
      best = Math.max(best, await this.#crew.measure({ milliseconds: MILLISECONDS }));
    }
    this.readings.push(best);
  }

  async close(): Promise<void> {
    await this.#crew?.disband();
  }
}
