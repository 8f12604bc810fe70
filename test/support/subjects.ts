/**
 * The backends that the suites examine: every one that works here, on one thread and on several; those that do not, with their cause.
 * Where kernels in replay are asked for, it is those.
 */
import type { Backend, Bfloat16Unit, Numerics } from '../../src/backends/executor.js';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { wasmBackend } from '../../src/backends/wasm.js';
import { nameOfBuild, probeWasm } from '../../src/backends/wasm-builds.js';
import { Bench } from './bench.js';
import type { Examined } from './examine.js';
import { type Asked, askedOfReplay, replayBackend, takesStrict } from './replay.js';

export interface Subject extends Examined {
  /** Such as `native avx2 strict, 3 threads`. */
  readonly title: string;
  readonly backend: Backend;
  /** Strict subjects give the same bits as each other. The reference is not among them. */
  readonly strict: boolean;
  /** Subjects of one group give the same bits: all strict ones, and those of an ISA on however many threads. */
  readonly group: string | undefined;
  /** Differs from another subject only in what multiplies bfloat16 numbers. */
  readonly forBfloat16: boolean;
}

export interface MissingSubject {
  readonly title: string;
  readonly cause: string;
}

const bothNumerics: readonly Numerics[] = ['fast', 'strict'];

/** One thread; and several, a number by which little can be divided, of which some have to share a core. */
export const threadCounts: readonly number[] = [1, 3];

/** `place` tells native kernels in the addon from those in replay; `by` what multiplies bfloat16 numbers where that is not the best. */
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
    forBfloat16: by !== '',
  };
}

interface Found {
  readonly subjects: readonly Subject[];
  readonly missing: readonly MissingSubject[];
}

/** What can multiply bfloat16 numbers, best first, with a name for all but the first. */
const named = (ways: readonly Bfloat16Unit[]): readonly { bfloat16: Bfloat16Unit; by?: string }[] =>
  ways.map((bfloat16, index) => (index === 0 ? { bfloat16 } : { bfloat16, by: `, bfloat16 ${bfloat16}` }));

/** Every backend there is. */
async function findAll(): Promise<Found> {
  const subjects = [subjectOf(referenceBackend())];
  const missing: MissingSubject[] = [];
  for (const numerics of bothNumerics) {
    for (const { isa, usable, cause, bfloat16: ways } of probeNative(numerics)) {
      if (!usable && numerics === 'fast') missing.push({ title: isa === 'native' ? isa : `native ${isa}`, cause });
      for (const { by, ...way } of usable ? named(ways) : []) {
        for (const threads of threadCounts)
          subjects.push(subjectOf(nativeBackend({ isa, numerics, threads, ...way }), 'native', by));
      }
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
  for (const numerics of bothNumerics) {
    const native = probeNative(numerics);
    for (const { place, isa, command } of asked) {
      if (numerics === 'strict' && !takesStrict(isa)) continue;
      const here = native.find((attempt) => attempt.isa === isa && attempt.usable);
      const ways = here?.bfloat16 ?? ['emulated']; // in an emulator, as far as is known
      for (const { by, ...way } of named(ways)) {
        for (const threads of threadCounts) {
          subjects.push(subjectOf(replayBackend({ command, isa, numerics, threads, ...way }), place, by));
        }
      }
    }
  }
  return { subjects, missing: [] };
}

const asked = askedOfReplay();
export const { subjects, missing } = asked.length === 0 ? await findAll() : await findReplay(asked);
