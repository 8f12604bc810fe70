/** Chooses a backend: a named one or an error with every attempt, or the best that works, saying which and why. */
import { checkOptions, OptionError, oneOf, type Rule, wholeNumber } from '../program/options.js';
import type { Backend, BackendName, Numerics } from './executor.js';
import { type NativeOptions, nativeBackend } from './native.js';
import { type ReferenceOptions, referenceBackend } from './reference.js';
import { type WasmOptions, type WorkerOption, wasmBackend } from './wasm.js';

export interface BackendOptions {
  /** Default `auto`: native, else WASM, else the reference. Or the environment's SEQGRAD_BACKEND. */
  readonly backend?: 'auto' | BackendName;
  /**
   * `sse2`, `avx2`, `avx512`, `amx`, `neon` (native), `wasm-simd`, `wasm-relaxed`, `float32` or `float64` (reference); default: the best that works.
   * Or SEQGRAD_ISA.
   */
  readonly isa?: string;
  /** `fast` fuses multiply and add where the machine can; `strict` gives the same bits everywhere. Default `fast`, or SEQGRAD_NUMERICS. */
  readonly numerics?: Numerics;
  /**
   * Threads to work on, at most: WASM takes 32, and one where memory cannot be shared; the reference has one. `reason` says how many
   * and why. Default: what the process may use, by affinity and cgroup quota. Or SEQGRAD_THREADS.
   */
  readonly threads?: number;
  /** A compiled WASM build, for hosts that cannot fetch or compile one. */
  readonly wasm?: WebAssembly.Module;
  /**
   * Where WASM's workers come from: the URL of `seqgrad/worker`, a function that starts one, or one worker (then for one engine, on
   * one thread); `false` runs WASM in the calling thread. Default: found beside this module.
   */
  readonly worker?: WorkerOption;
}

/** No backend can be used as asked: every attempt and its cause. */
export class BackendError extends Error {
  readonly code = 'ERR_SEQGRAD_BACKEND';
  override readonly name = 'BackendError';

  constructor(
    asked: string,
    readonly attempts: readonly Attempt[],
  ) {
    super(
      `Expected ${asked} to load but\n${attempts.map(({ backend, cause }) => `  ${backend}: ${cause}`).join('\n')}`,
    );
  }
}

export interface Attempt {
  readonly backend: BackendName;
  readonly cause: string;
}

const isas: Readonly<Record<BackendName, readonly string[]>> = {
  native: ['sse2', 'avx2', 'avx512', 'amx', 'neon'],
  wasm: ['wasm-simd', 'wasm-relaxed'],
  reference: ['float32', 'float64'],
};

const order = Object.keys(isas) as BackendName[];

const rules: Readonly<Record<string, Rule>> = {
  backend: oneOf('auto', ...order),
  isa: oneOf(...Object.values(isas).flat()),
  numerics: oneOf('fast', 'strict'),
  threads: wholeNumber(1, 256),
  wasm: { expected: 'a WebAssembly.Module', accepts: (value) => value instanceof WebAssembly.Module },
  worker: {
    expected: 'a URL, a Worker, a function that starts one, or false',
    accepts: (value) => (value !== null && ['string', 'object', 'function'].includes(typeof value)) || value === false,
  },
};

/** The options that environment variables give. */
function fromEnvironment(): BackendOptions {
  const environment = globalThis.process?.env ?? {};
  const threads = environment.SEQGRAD_THREADS;
  const given = {
    backend: environment.SEQGRAD_BACKEND,
    isa: environment.SEQGRAD_ISA,
    numerics: environment.SEQGRAD_NUMERICS,
    threads: threads === undefined || threads === '' ? undefined : Number(threads),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== ''));
}

type Load = (options: BackendOptions, reason: string) => Promise<Backend>;

const loaders: Readonly<Record<BackendName, Load>> = {
  native: async ({ isa, numerics, threads }, reason) =>
    nativeBackend(dropUndefined({ isa, numerics, threads, reason }) as NativeOptions),
  wasm: ({ isa, numerics, threads, worker, wasm: module }, reason) =>
    wasmBackend(dropUndefined({ isa, numerics, threads, worker, module, reason }) as WasmOptions),
  reference: async ({ isa, numerics, threads }, reason) =>
    referenceBackend(dropUndefined({ isa, numerics, threads, reason }) as ReferenceOptions),
};

/** What is given, with what the environment adds. @throws OptionError */
function complete(options: BackendOptions): BackendOptions {
  const given = dropUndefined(options);
  const merged: BackendOptions = { ...fromEnvironment(), ...given };
  checkOptions('loadBackend', merged, rules);
  const { backend = 'auto', isa } = merged;
  if (backend !== 'auto' && isa !== undefined && !isas[backend].includes(isa)) {
    const from = given.isa === undefined ? ' from SEQGRAD_ISA' : '';
    throw new OptionError(
      `loadBackend: Expected \`isa\` of ${backend} to be one of ${isas[backend].join(', ')} but received ${isa}${from}`,
    );
  }
  return merged;
}

/** What is tried, the best first. */
const namesFor = ({ backend = 'auto', isa }: BackendOptions): readonly BackendName[] =>
  backend === 'auto' ? order.filter((name) => isa === undefined || isas[name].includes(isa)) : [backend];

/** What is loaded with these options where everything works. @throws OptionError as {@link loadBackend} does. */
export const bestBackend = (options: BackendOptions = {}): BackendName => namesFor(complete(options))[0] as BackendName;

/**
 * Loads a backend. What is not given comes from the environment, then from the defaults. Only `auto` falls back.
 * @throws OptionError for an option that is unknown or does not fit, BackendError with every attempt and its cause.
 */
export async function loadBackend(options: BackendOptions = {}): Promise<Backend> {
  const merged = complete(options);
  const { backend = 'auto' } = merged;
  const attempts: Attempt[] = [];
  for (const name of namesFor(merged)) {
    const reason =
      backend !== 'auto'
        ? 'asked for by name'
        : attempts.length === 0
          ? 'the best backend works'
          : attempts.map((attempt) => `${attempt.backend}: ${attempt.cause}`).join('; ');
    try {
      return await loaders[name](merged, reason);
    } catch (error) {
      attempts.push({ backend: name, cause: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new BackendError(backend === 'auto' ? 'a backend' : `backend ${backend}`, attempts);
}

const dropUndefined = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
