/** The backends that the suites examine: every one that works here; those that do not are named with their cause. */
import type { Backend, Numerics } from '../../src/backends/executor.js';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { probeWasm, wasmBackend } from '../../src/backends/wasm.js';
import { Bench } from './bench.js';
import type { Examined } from './examine.js';

export interface Subject extends Examined {
  /** Such as `native avx2 strict`. */
  readonly title: string;
  readonly backend: Backend;
  /** Strict subjects give the same bits as each other. The reference is not among them. */
  readonly strict: boolean;
}

export interface MissingSubject {
  readonly title: string;
  readonly cause: string;
}

const bothNumerics: readonly Numerics[] = ['fast', 'strict'];

function subjectOf(backend: Backend): Subject {
  const { name, isa, numerics } = backend;
  const title = name === 'reference' ? `reference ${isa}` : `${name === 'native' ? 'native ' : ''}${isa} ${numerics}`;
  const strict = numerics === 'strict' && name !== 'reference';
  return { title, backend, bench: new Bench(backend), strict, mayFlush: name === 'native' && numerics === 'fast' };
}

async function findSubjects(): Promise<{ subjects: Subject[]; missing: MissingSubject[] }> {
  const subjects = [subjectOf(referenceBackend())];
  const missing: MissingSubject[] = [];
  for (const { isa, usable, cause } of probeNative()) {
    if (usable) for (const numerics of bothNumerics) subjects.push(subjectOf(nativeBackend({ isa, numerics })));
    else missing.push({ title: isa === 'native' ? isa : `native ${isa}`, cause });
  }
  for (const { isa, cause } of await probeWasm()) {
    if (cause !== undefined) missing.push({ title: isa, cause });
    else if (isa === 'wasm-relaxed') subjects.push(subjectOf(await wasmBackend({ isa })));
    else for (const numerics of bothNumerics) subjects.push(subjectOf(await wasmBackend({ isa, numerics })));
  }
  return { subjects, missing };
}

export const { subjects, missing } = await findSubjects();
