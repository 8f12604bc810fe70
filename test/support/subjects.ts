/**
 * The backends that the suites examine: every one that works here, on one thread and on several; those that do not, with their cause.
 * Where kernels in replay are asked for, it is those.
 */
import type { Backend, Bfloat16Unit, Float32Unit, Numerics } from '../../src/backends/executor.js';
import { type NativeAttempt, nativeBackend, probeNative } from '../../src/backends/native.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { wasmBackend } from '../../src/backends/wasm.js';
import { nameOfBuild, probeWasm } from '../../src/backends/wasm-builds.js';
import { Bench } from './bench.js';
import type { Examined } from './examine.js';
import { type Asked, askedOfReplay, replayBackend } from './replay.js';

export interface Subject extends Examined {
  /** Such as `native avx2 strict, 3 threads`. */
  readonly title: string;
  readonly backend: Backend;
  /** Strict subjects give the same bits as each other. The reference is not among them. */
  readonly strict: boolean;
  /** Subjects of one group give the same bits: all strict ones, and those of an ISA on however many threads. */
  readonly group: string | undefined;
  /** Differs from another subject only in what multiplies matrices. */
  readonly forProducts: boolean;
}

export interface MissingSubject {
  readonly title: string;
  readonly cause: string;
}

const bothNumerics: readonly Numerics[] = ['fast', 'strict'];

/** One thread; and several, a number by which little can be divided, of which some have to share a core. */
export const threadCounts: readonly number[] = [1, 3];

/** `place` tells native kernels in the addon from those in replay; `by` what multiplies matrices where that is not the best. */
function subjectOf(backend: Backend, place = 'native', by = ''): Subject {
  const { name, isa, numerics, threads } = backend;
  const isReference = name === 'reference';
  const kernels = isReference ? `reference ${isa}` : `${name === 'native' ? `${place} ` : ''}${isa} ${numerics}${by}`;
  const strict = numerics === 'strict' && !isReference;
  return {
    title: threads === 1 ? kernels : `${kernels}, ${threads} threads`,
    backend,
    bench: new Bench(backend),
    strict,
    group: strict ? 'strict' : isReference ? undefined : kernels,
    mayFlush: name === 'native' && numerics === 'fast',
    forProducts: by !== '',
  };
}

interface Way {
  readonly numerics: Numerics;
  readonly float32: Float32Unit;
  readonly bfloat16: Bfloat16Unit;
  readonly by?: string;
}

interface Found {
  readonly subjects: readonly Subject[];
  readonly missing: readonly MissingSubject[];
}

/** How kernels of an ISA can run: with what multiplies matrices, best first; a name for all but the first. */
function waysOf({ float32, bfloat16 }: Pick<NativeAttempt, 'float32' | 'bfloat16'>): readonly Way[] {
  const best = { numerics: 'fast', float32: float32[0] ?? 'direct', bfloat16: bfloat16[0] ?? 'emulated' } as const;
  return [
    best,
    { numerics: 'strict', float32: 'direct', bfloat16: 'emulated' },
    ...float32.slice(1).map((way) => ({ ...best, float32: way, by: `, float32 ${way}` })),
    ...bfloat16.slice(1).map((way) => ({ ...best, bfloat16: way, by: `, bfloat16 ${way}` })),
  ];
}

/** Every backend there is. */
async function findAll(): Promise<Found> {
  const subjects = [subjectOf(referenceBackend())];
  const missing: MissingSubject[] = [];
  for (const { isa, usable, cause, ...units } of probeNative()) {
    if (!usable) missing.push({ title: isa === 'native' ? isa : `native ${isa}`, cause });
    for (const { by, ...way } of usable ? waysOf(units) : []) {
      for (const threads of threadCounts)
        subjects.push(subjectOf(nativeBackend({ isa, threads, ...way }), 'native', by));
    }
  }
  for (const { cause, ...build } of await probeWasm()) {
    const { isa, shared } = build;
    if (cause !== undefined) missing.push({ title: nameOfBuild(build), cause });
    for (const numerics of cause === undefined ? bothNumerics : []) {
      if (isa === 'wasm-relaxed' && numerics === 'strict') continue;
      const threads = shared ? (threadCounts[1] as number) : 1;
      subjects.push(subjectOf(await wasmBackend({ isa, numerics, threads })));
    }
  }
  return { subjects, missing };
}

/** Kernels in replay, and a witness of strict bits: that everything else here agrees with it is for other runs to show. */
async function findReplay(asked: readonly Asked[]): Promise<Found> {
  const witness = await wasmBackend({ isa: 'wasm-simd', numerics: 'strict', threads: 1 });
  const subjects = [subjectOf(referenceBackend()), subjectOf(witness)];
  const native = probeNative();
  for (const { place, isa, command } of asked) {
    const here = native.find((attempt) => attempt.isa === isa && attempt.usable);
    for (const { by, ...way } of waysOf(here ?? { float32: [], bfloat16: [] })) {
      for (const threads of threadCounts) {
        subjects.push(subjectOf(replayBackend({ command, isa, threads, ...way }), place, by));
      }
    }
  }
  return { subjects, missing: [] };
}

const asked = askedOfReplay();
export const { subjects, missing } = asked.length === 0 ? await findAll() : await findReplay(asked);
