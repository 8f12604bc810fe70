/** What it costs to spread work over threads: a fork of all of them and the join afterwards. */
import { Worker } from 'node:worker_threads';
import type { Backend } from '../backends/executor.js';
import { nativeLimits } from '../backends/native.js';
import { probeWasm, type WasmIsa } from '../backends/wasm-builds.js';

const REPETITIONS = 5;
const MILLISECONDS = 10;

/** Nanoseconds of a fork and join at which all of a backend's threads are present, the best of many; undefined for one thread, and where it cannot be measured. */
export async function measureBarrier({ name, isa, threads }: Backend): Promise<number | undefined> {
  if (threads === 1) return undefined;
  if (name === 'native') return nativeBarrier(threads);
  return name === 'wasm' ? wasmBarrier(isa, threads) : undefined;
}

function nativeBarrier(threads: number): number {
  const { barrier } = nativeLimits();
  return Math.min(...Array.from({ length: REPETITIONS }, () => barrier(threads, MILLISECONDS)));
}

/** What assembly/team.ts exports in the builds for shared memory. */
interface WasmTeam {
  setLanes(lanes: number): void;
  help(lane: number): void;
  barrier(rounds: number): number;
  stop(): void;
}

/** What {@link helpIn} takes. */
export interface Helper {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly lane: number;
}

const join = ({ module, memory }: Pick<Helper, 'module' | 'memory'>): WasmTeam =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmTeam;

/** A helper's whole life. */
export const helpIn = ({ module, memory, lane }: Helper): void => join({ module, memory }).help(lane);

/** Rounds that are timed together. */
const ROUNDS = 32;

async function wasmBarrier(isa: string, threads: number): Promise<number | undefined> {
  const [{ module } = {}] = await probeWasm({ isa: isa as WasmIsa, shared: true });
  if (module === undefined) return undefined;
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const team = join({ module, memory });
  team.setLanes(threads);
  const url = new URL('./barrier-worker.js', import.meta.url);
  const helpers = Array.from({ length: threads - 1 }, (_, index) => {
    const helper: Helper = { module, memory, lane: index + 1 };
    return new Worker(url, { workerData: helper });
  });
  await Promise.all(helpers.map((helper) => new Promise((resolve) => helper.once('message', resolve))));
  let best: number | undefined;
  for (const end = performance.now() + REPETITIONS * MILLISECONDS; performance.now() < end; ) {
    const start = performance.now();
    const met = team.barrier(ROUNDS);
    const nanoseconds = ((performance.now() - start) * 1e6) / ROUNDS;
    if (met === ROUNDS && nanoseconds < (best ?? Number.POSITIVE_INFINITY)) best = nanoseconds;
  }
  team.stop();
  await Promise.all(helpers.map((helper) => helper.terminate()));
  return best;
}
