/**
 * The WASM backend: the instructions in AssemblyScript. Programs run in a worker, with helpers over shared memory where there is
 * any, and in the calling thread only where there are no workers. The relaxed builds may fuse multiply and add and need an engine
 * with relaxed SIMD; the SIMD builds never fuse, so strict numerics always takes them.
 */
import type { Backend, Numerics } from './executor.js';
import { MemoryHeap, sharedMemory, whyNotShared } from './heap.js';
import { localExecutor } from './local.js';
import { type AnyWorker, hasWorkers, startWorker, whyNoWorker } from './peer.js';
import { remoteExecutor } from './remote.js';
import { type ThreadCount, threadsWithin } from './threads.js';
import { identify, nameOfBuild, probeWasm, type WasmBuild, type WasmIsa, wasmIsas } from './wasm-builds.js';
import { WasmLoader } from './wasm-loader.js';

/** What the modules are made for: MAX_LANES of assembly/team.ts. */
const MAX_THREADS = 32;

/** Where workers come from: the URL of `seqgrad/worker`, one such worker, or what starts them. `false`: no workers. */
export type WorkerOption = string | URL | AnyWorker | (() => AnyWorker) | false;

export interface WasmOptions {
  /** `fast` takes the relaxed build where the engine accepts it. */
  readonly numerics?: Numerics;
  /** This build and no other. */
  readonly isa?: WasmIsa;
  /** At most so many. Default: what the process may use. One where memory cannot be shared. */
  readonly threads?: number;
  readonly worker?: WorkerOption;
  /** A compiled build, for hosts that cannot fetch or compile one (edge workers). */
  readonly module?: WebAssembly.Module;
  readonly reason?: string;
}

/** No build can be used as asked. */
export class WasmUnavailableError extends Error {
  readonly code = 'ERR_SEQGRAD_BACKEND';
  override readonly name = 'WasmUnavailableError';
}

interface Choice {
  readonly module: WebAssembly.Module;
  readonly build: WasmBuild;
  readonly threads: ThreadCount;
  /** Better builds that cannot be used, each with its cause. */
  readonly passedOver: readonly string[];
}

const alone = (threads: ThreadCount, cause: string): ThreadCount =>
  threads.count === 1 ? threads : { count: 1, reason: `not ${threads.count}: ${cause}` };

/** The build to take. @throws WasmUnavailableError */
async function choose({ numerics, isa, module }: WasmOptions, threads: ThreadCount): Promise<Choice> {
  if (numerics === 'strict' && isa === 'wasm-relaxed') {
    throw new WasmUnavailableError(
      'Expected isa wasm-simd for strict numerics but received wasm-relaxed, which may fuse',
    );
  }
  const wanted = isa ?? (numerics === 'strict' ? 'wasm-simd' : undefined);
  if (module !== undefined) return chooseGiven(module, wanted, threads);
  const builds = (wanted === undefined ? wasmIsas : [wanted]).flatMap((candidate) =>
    (threads.count > 1 ? [true, false] : [false]).map((shared) => ({ isa: candidate, shared })),
  );
  /** What stood in the way, and of which builds. */
  const failures = new Map<string, string[]>();
  const passedOver = (): string[] => [...failures].map(([cause, names]) => `${names.join(', ')}: ${cause}`);
  for (const build of builds) {
    const [{ module: found, cause = '' } = {}] = await probeWasm(build);
    if (found !== undefined) {
      const its = build.shared ? threads : alone(threads, 'there is no build for shared memory');
      return { module: found, build, threads: its, passedOver: passedOver() };
    }
    failures.set(cause, [...(failures.get(cause) ?? []), nameOfBuild(build)]);
  }
  throw new WasmUnavailableError(passedOver().join('; '));
}

function chooseGiven(module: WebAssembly.Module, wanted: WasmIsa | undefined, threads: ThreadCount): Choice {
  const build = identify(module);
  if ('cause' in build) throw new WasmUnavailableError(`the given module: ${build.cause}`);
  if (wanted !== undefined && build.isa !== wanted) {
    throw new WasmUnavailableError(`Expected a ${wanted} module but received ${build.isa}`);
  }
  const its = build.shared ? threads : alone(threads, 'the given module is for one thread');
  return { module, build, threads: its, passedOver: [] };
}

/** Starts workers, or says why there are none. */
function workersFrom(worker: WorkerOption | undefined): { hire: () => AnyWorker; most: number } | string {
  if (worker === false) return 'as asked';
  if (worker === undefined) {
    return hasWorkers() ? { hire: () => startWorker(), most: MAX_THREADS } : 'there are no workers here';
  }
  if (typeof worker === 'function') return { hire: worker, most: MAX_THREADS };
  if (typeof worker === 'string' || worker instanceof URL)
    return { hire: () => startWorker(worker), most: MAX_THREADS };
  let isTaken = false;
  const hire = (): AnyWorker => {
    if (isTaken) throw new Error('Expected a `worker` for each engine (a URL, or a function) but received only one');
    isTaken = true;
    return worker;
  };
  return { hire, most: 1 };
}

/** Whether workers that have a URL start here is found out once. */
const known = new Map<string, Promise<string | undefined>>();

function whyNoWorkerFrom(worker: WorkerOption | undefined, choice: Choice): Promise<string | undefined> {
  if (worker !== undefined && typeof worker !== 'string' && !(worker instanceof URL)) return Promise.resolve(undefined);
  const { module, build } = choice;
  const url = String(worker ?? '');
  let cause = known.get(url);
  if (cause === undefined) {
    const memory = build.shared ? sharedMemory() : undefined;
    cause = whyNoWorker(() => startWorker(worker), { module, memory, lane: 0, lanes: 1 });
    known.set(url, cause);
  }
  return cause;
}

/**
 * The WASM backend with the build that fits.
 * @throws WasmUnavailableError naming each build that was tried and its cause.
 */
export async function wasmBackend({ numerics = 'fast', ...options }: WasmOptions = {}): Promise<Backend> {
  const workers = workersFrom(options.worker);
  if (typeof workers === 'string') return inCallingThread({ ...options, numerics }, workers);
  const { hire, most } = workers;
  const unshared = whyNotShared();
  const threads =
    most === 1 || unshared !== undefined
      ? threadsWithin(1, options.threads, unshared ?? 'one worker is given')
      : threadsWithin(most, options.threads);
  const choice = await choose({ ...options, numerics }, threads);
  const refused = await whyNoWorkerFrom(options.worker, choice);
  if (refused !== undefined) {
    if (options.worker !== undefined) throw new WasmUnavailableError(`the worker does not start: ${refused}`);
    return inCallingThread({ ...options, numerics }, `a worker does not start: ${refused}`);
  }
  const { module, build } = choice;
  return {
    ...describe(choice, numerics, options),
    place: build.shared ? 'a worker, shared memory' : 'a worker',
    createExecutor() {
      const memory = build.shared ? sharedMemory() : undefined;
      return remoteExecutor({ module, lanes: choice.threads.count, memory, hire });
    },
  };
}

async function inCallingThread(options: WasmOptions & { readonly numerics: Numerics }, why: string): Promise<Backend> {
  const choice = await choose(options, threadsWithin(1, options.threads, 'it runs in the calling thread'));
  return {
    ...describe(choice, options.numerics, options),
    place: `the calling thread (${why})`,
    createExecutor() {
      const heap = new MemoryHeap(choice.build.shared ? sharedMemory() : undefined);
      return localExecutor(heap, new WasmLoader(heap, choice.module, 1));
    },
  };
}

function describe({ build, threads, passedOver }: Choice, numerics: Numerics, { isa, reason }: WasmOptions) {
  const why = reason ?? (isa === undefined ? 'the best build that works' : 'asked for by name');
  return {
    name: 'wasm',
    isa: build.isa,
    threads: threads.count,
    numerics,
    bfloat16: 'emulated',
    reason: [why, ...passedOver, `threads: ${threads.reason}`].join('; '),
  } as const;
}
