/** Chooses a backend: a named one or an error with every attempt, or the best that works, saying which and why. */
import { anything, checkOptions, OptionError, oneOf, type Rule } from '../program/options.js';
import type { Backend, BackendName, Numerics } from './executor.js';
import { nativeBackend } from './native.js';
import { referenceBackend } from './reference.js';
import { type WasmIsa, wasmBackend } from './wasm.js';

export interface BackendOptions {
  /** Default `auto`: native, else WASM, else the reference. Or the environment's SEQGRAD_BACKEND. */
  readonly backend?: 'auto' | BackendName;
  /**
   * `sse2`, `avx2`, `avx512` (native), `wasm-simd`, `wasm-relaxed`, `float32` or `float64` (reference); default: the best that works.
   * Or SEQGRAD_ISA.
   */
  readonly isa?: string;
  /** `fast` fuses multiply and add where the machine can; `strict` gives the same bits everywhere. Default `fast`, or SEQGRAD_NUMERICS. */
  readonly numerics?: Numerics;
  /** Threads to run on; only 1 is there so far. Or SEQGRAD_THREADS. */
  readonly threads?: number;
  /** A compiled WASM build, for hosts that cannot fetch or compile one. */
  readonly wasm?: WebAssembly.Module;
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
  native: ['sse2', 'avx2', 'avx512'],
  wasm: ['wasm-simd', 'wasm-relaxed'],
  reference: ['float32', 'float64'],
};

const order = Object.keys(isas) as BackendName[];

const rules: Readonly<Record<string, Rule>> = {
  backend: oneOf('auto', ...order),
  isa: oneOf(...Object.values(isas).flat()),
  numerics: oneOf('fast', 'strict'),
  threads: { expected: '1, the only number of threads so far', accepts: (value) => value === 1 },
  wasm: anything,
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
  native: async ({ isa, numerics }, reason) =>
    nativeBackend({ isa: isa ?? 'auto', numerics: numerics ?? 'fast', reason }),
  wasm: ({ isa, numerics = 'fast', wasm }, reason) =>
    wasmBackend({
      numerics,
      reason,
      ...(isa === undefined ? {} : { isa: isa as WasmIsa }),
      ...(wasm === undefined ? {} : { module: wasm }),
    }),
  reference: async ({ isa = 'float32', numerics = 'fast' }, reason) =>
    referenceBackend({ isa: isa as 'float32' | 'float64', numerics, reason }),
};

/**
 * Loads a backend. What is not given comes from the environment, then from the defaults. Only `auto` falls back.
 * @throws OptionError for an option that is unknown or does not fit, BackendError with every attempt and its cause.
 */
export async function loadBackend(options: BackendOptions = {}): Promise<Backend> {
  const given = dropUndefined(options);
  const merged: BackendOptions = { ...fromEnvironment(), ...given };
  checkOptions('loadBackend', merged, rules);
  const { backend = 'auto', isa } = merged;
  const able = order.filter((name) => isa === undefined || isas[name].includes(isa));
  if (backend !== 'auto' && !able.includes(backend)) {
    const from = given.isa === undefined ? ' from SEQGRAD_ISA' : '';
    throw new OptionError(
      `loadBackend: Expected \`isa\` of ${backend} to be one of ${isas[backend].join(', ')} but received ${isa}${from}`,
    );
  }
  const attempts: Attempt[] = [];
  for (const name of backend === 'auto' ? able : [backend]) {
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
