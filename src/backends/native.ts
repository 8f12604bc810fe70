/** The native backend: the instructions in C++, compiled once for each ISA. Programs run on a thread of the executor's own. */
import { builtin } from '../host/node.js';
import { describeFault, faults, MalformedProgramError } from '../program/check.js';
import { fingerprint } from '../program/encode.js';
import type { Backend, Bfloat16Unit, Numerics } from './executor.js';
import { MemoryHeap } from './heap.js';
import { localExecutor } from './local.js';
import type { Loader } from './machine.js';
import { threadsWithin, usableThreads } from './threads.js';

/** What the addon takes. */
const MAX_THREADS = 256;

export interface NativeOptions {
  /** `amx`, `avx512`, `avx2`, `sse2`, `neon`, or `auto` for the best that this machine can use. */
  readonly isa?: string;
  /** `strict` never fuses a multiplication with an addition. */
  readonly numerics?: Numerics;
  /** At most so many. Default: what the process may use. */
  readonly threads?: number;
  /** What multiplies bfloat16 numbers. Default: the best that the ISA has here; strict numerics always emulate. */
  readonly bfloat16?: Bfloat16Unit;
  readonly reason?: string;
}

/** An ISA that was tried. */
export interface NativeAttempt {
  readonly isa: string;
  readonly usable: boolean;
  /** Why it can or cannot be used here. */
  readonly cause: string;
  /** What can multiply bfloat16 numbers, best first. */
  readonly bfloat16: readonly Bfloat16Unit[];
}

/** The addon, or an ISA of it, cannot be used as asked. */
export class NativeUnavailableError extends Error {
  readonly code = 'ERR_SEQGRAD_BACKEND';
  override readonly name = 'NativeUnavailableError';
}

/** What native/addon.cc exports. */
interface Addon {
  readonly contract: number;
  candidates(): {
    readonly isa: string;
    readonly compiled: boolean;
    readonly usable: boolean;
    readonly reason: string;
    readonly hasStrict: boolean;
    readonly bfloat16: readonly Bfloat16Unit[];
  }[];
  /** GFLOP/s of multiply-adds that never leave the registers, by the calling thread. */
  peak(isa: string, numerics: Numerics, milliseconds: number): number;
  /** Nanoseconds that so many threads take to start on a piece of work and to be done with it. */
  barrier(threads: number, milliseconds: number): number;
  /** A wish for memory that has not been touched yet. */
  preferHugePages(heap: Uint8Array): void;
  readonly Program: new (words: Int32Array, isa: string, numerics: Numerics, bfloat16?: Bfloat16Unit) => NativeProgram;
  readonly Thread: new (threads: number) => NativeThread;
}

/** An executor's own thread, with its share of the process's pool. */
interface NativeThread {
  /** The memory must not grow meanwhile. `milliseconds` has a slot for every record that runs. */
  run(
    program: NativeProgram,
    heap: Uint8Array,
    elements: number,
    first: number,
    last: number,
    milliseconds: Float64Array | null,
  ): Promise<void>;
  /** Stops a running program early, which then rejects. */
  close(): void;
}

interface NativeProgram {
  readonly recordCount: number;
  check(elements: number): { readonly fault: number; readonly record: number; readonly item: number } | null;
}

function loadAddon(): Addon {
  const [fs, modules, urls] = [builtin('node:fs'), builtin('node:module'), builtin('node:url')];
  if (fs === undefined || modules === undefined || urls === undefined) {
    throw new NativeUnavailableError('only Node loads addons, and this is another host');
  }
  const file = urls.fileURLToPath(new URL('../../../build/Release/seqgrad.node', import.meta.url));
  if (!fs.existsSync(file)) throw new NativeUnavailableError(`the addon has not been built: ${file} is not there`);
  let addon: Addon;
  try {
    addon = modules.createRequire(import.meta.url)(file);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new NativeUnavailableError(`the addon does not load: ${message}`, { cause });
  }
  if (addon.contract !== fingerprint) {
    throw new NativeUnavailableError(
      `the addon was built from instruction list ${addon.contract}, but this is ${fingerprint}: build again`,
    );
  }
  return addon;
}

/** What the machine can do at most, for benchmarks. @throws NativeUnavailableError */
export const nativeLimits = (): Pick<Addon, 'peak' | 'barrier'> => loadAddon();

const attemptsOf = (addon: Addon, numerics: Numerics): NativeAttempt[] =>
  addon.candidates().map(({ isa, usable, reason, hasStrict, bfloat16 }) => {
    if (numerics === 'fast') return { isa, usable, cause: reason, bfloat16 };
    if (!usable || hasStrict) return { isa, usable, cause: reason, bfloat16: ['emulated'] };
    return {
      isa,
      usable: false,
      cause: 'it adds in an order of its own, which strict numerics never do',
      bfloat16: [],
    };
  });

/** Tries every ISA with these numerics, best first; one attempt named `native` where the addon itself cannot be used. */
export function probeNative(numerics: Numerics = 'fast'): NativeAttempt[] {
  try {
    return attemptsOf(loadAddon(), numerics);
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error;
    return [{ isa: 'native', usable: false, cause: error.message, bfloat16: [] }];
  }
}

/** Backed with huge pages where the system grants them. */
class NativeHeap extends MemoryHeap {
  readonly #addon: Addon;

  constructor(addon: Addon) {
    super();
    this.#addon = addon;
  }

  override grow(elements: number): void {
    super.grow(elements);
    this.#addon.preferHugePages(this.views().bytes);
  }
}

/** Programs that took less are brief. To be woken takes the event loop some 40 µs, a tenth of such a one. */
const BRIEF_MILLISECONDS = 0.6;

/**
 * Lets the event loop turn without sleeping while a program runs that is probably brief. Timers and requests get their turns as ever;
 * what is spent is a core that has nothing else to do.
 */
function stayAwake(run: Promise<void>): void {
  const end = performance.now() + BRIEF_MILLISECONDS;
  let isDone = false;
  const done = (): void => {
    isDone = true;
  };
  run.then(done, done);
  const turn = (): void => {
    if (!isDone && performance.now() < end) setImmediate(turn);
  };
  setImmediate(turn);
}

function loaderOver(
  heap: MemoryHeap,
  addon: Addon,
  { isa, numerics, threads, bfloat16 }: Pick<Backend, 'isa' | 'numerics' | 'threads' | 'bfloat16'>,
): Loader {
  const thread = new addon.Thread(threads);
  const hasIdleCore = threads < usableThreads().count;
  return {
    load(words, dataElements) {
      const program = new addon.Program(words, isa, numerics, bfloat16);
      const found = program.check(dataElements);
      if (found !== null) {
        const fault = { ...found, fault: faults[found.fault] ?? 'header' };
        throw new MalformedProgramError(describeFault(words, fault, dataElements));
      }
      let isBrief = false; // as it was the last time
      return {
        recordCount: program.recordCount,
        async run(first, last, milliseconds) {
          const start = performance.now();
          const run = thread.run(program, heap.views().bytes, dataElements, first, last, milliseconds ?? null);
          if (isBrief) stayAwake(run);
          await run;
          isBrief = hasIdleCore && performance.now() - start < BRIEF_MILLISECONDS;
        },
      };
    },
    close: () => thread.close(),
  };
}

/**
 * The native backend with the ISA asked for, or the best that works.
 * @throws NativeUnavailableError naming the cause.
 */
export function nativeBackend(options: NativeOptions = {}): Backend {
  const { isa = 'auto', numerics = 'fast', reason } = options;
  const addon = loadAddon();
  const attempts = attemptsOf(addon, numerics);
  const chosen = attempts.find((attempt) => (isa === 'auto' ? attempt.usable : attempt.isa === isa));
  if (chosen === undefined || !chosen.usable) {
    const causes = (chosen === undefined ? attempts : [chosen]).map((attempt) => `${attempt.isa}: ${attempt.cause}`);
    throw new NativeUnavailableError(
      `Expected isa ${isa} to be usable here with ${numerics} numerics but ${causes.join('; ')}`,
    );
  }
  const { bfloat16: ways } = chosen;
  const { bfloat16 = ways[0] ?? 'emulated' } = options;
  if (!ways.includes(bfloat16)) {
    throw new NativeUnavailableError(
      `Expected bfloat16 of isa ${chosen.isa} with ${numerics} numerics to be one of ${ways.join(', ')} here but received ${bfloat16}`,
    );
  }
  const { count: threads, reason: whySoMany } = threadsWithin(MAX_THREADS, options.threads);
  const kernels = { isa: chosen.isa, numerics, threads, bfloat16 };
  return {
    name: 'native',
    ...kernels,
    place: 'a thread of its own',
    reason: `${reason ?? (isa === 'auto' ? chosen.cause : 'asked for by name')}; threads: ${whySoMany}`,
    createExecutor() {
      const heap = new NativeHeap(addon);
      return localExecutor(heap, loaderOver(heap, addon, kernels));
    },
  };
}
