/** The native backend: the instructions in C++, compiled once for each ISA. Programs run on the calling thread. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describeFault, faults, MalformedProgramError } from '../program/check.js';
import { fingerprint } from '../program/encode.js';
import type { Backend, Executor, LoadedProgram, Numerics } from './executor.js';
import { MemoryHeap } from './heap.js';

export interface NativeOptions {
  /** `avx512`, `avx2`, `sse2`, or `auto` for the best that this machine can use. */
  readonly isa?: string;
  /** `strict` never fuses a multiplication with an addition. */
  readonly numerics?: Numerics;
  readonly reason?: string;
}

/** An ISA that was tried. */
export interface NativeAttempt {
  readonly isa: string;
  readonly usable: boolean;
  /** Why it can or cannot be used here. */
  readonly cause: string;
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
  }[];
  readonly Program: new (words: Int32Array, isa: string, numerics: Numerics) => NativeProgram;
}

interface NativeProgram {
  readonly recordCount: number;
  check(elements: number): { readonly fault: number; readonly record: number; readonly item: number } | null;
  run(heap: Uint8Array, elements: number, first: number, last: number): void;
}

const file = fileURLToPath(new URL('../../../build/Release/seqgrad.node', import.meta.url));

function loadAddon(): Addon {
  if (!existsSync(file)) throw new NativeUnavailableError(`the addon has not been built: ${file} is not there`);
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(file);
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

const attemptsOf = (addon: Addon): NativeAttempt[] =>
  addon.candidates().map(({ isa, usable, reason }) => ({ isa, usable, cause: reason }));

/** Tries every ISA, best first; one attempt named `native` where the addon itself cannot be used. */
export function probeNative(): NativeAttempt[] {
  try {
    return attemptsOf(loadAddon());
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error;
    return [{ isa: 'native', usable: false, cause: error.message }];
  }
}

class NativeExecutor implements Executor {
  readonly #addon: Addon;
  readonly #heap: MemoryHeap;
  readonly #isa: string;
  readonly #numerics: Numerics;

  constructor(addon: Addon, heap: MemoryHeap, isa: string, numerics: Numerics) {
    this.#addon = addon;
    this.#heap = heap;
    this.#isa = isa;
    this.#numerics = numerics;
  }

  load(words: Int32Array, dataElements: number): LoadedProgram {
    const program = new this.#addon.Program(words, this.#isa, this.#numerics);
    const found = program.check(dataElements);
    if (found !== null) {
      const fault = { ...found, fault: faults[found.fault] ?? 'header' };
      throw new MalformedProgramError(describeFault(words, fault, dataElements));
    }
    const heap = this.#heap;
    const { recordCount } = program;
    return {
      recordCount,
      run: async (first = 0, last = recordCount) => {
        if (
          !(Number.isInteger(first) && Number.isInteger(last) && 0 <= first && first <= last && last <= recordCount)
        ) {
          throw new RangeError(`Expected records within 0 to ${recordCount} but received ${first} to ${last}`);
        }
        program.run(new Uint8Array(heap.memory.buffer), dataElements, first, last);
      },
    };
  }
}

/**
 * The native backend with the ISA asked for, or the best that works.
 * @throws NativeUnavailableError naming the cause.
 */
export function nativeBackend({ isa = 'auto', numerics = 'fast', reason }: NativeOptions = {}): Backend {
  const addon = loadAddon();
  const attempts = attemptsOf(addon);
  const chosen = attempts.find((attempt) => (isa === 'auto' ? attempt.usable : attempt.isa === isa));
  if (chosen === undefined || !chosen.usable) {
    const causes = (chosen === undefined ? attempts : [chosen]).map((attempt) => `${attempt.isa}: ${attempt.cause}`);
    throw new NativeUnavailableError(`Expected isa ${isa} to be usable here but ${causes.join('; ')}`);
  }
  return {
    name: 'native',
    isa: chosen.isa,
    threads: 1,
    numerics,
    reason: reason ?? (isa === 'auto' ? chosen.cause : 'asked for by name'),
    createHeap: () => new MemoryHeap(),
    attach(heap) {
      if (!(heap instanceof MemoryHeap)) {
        throw new TypeError(
          `Expected a heap over WebAssembly.Memory for ${chosen.isa} but received ${heap.elementBytes}-byte elements`,
        );
      }
      return new NativeExecutor(addon, heap, chosen.isa, numerics);
    },
  };
}
