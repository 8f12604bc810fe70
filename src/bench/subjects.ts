/** Who is measured: a backend with an ISA and threads, and what Node must be told for it. */
import { spawnSync } from 'node:child_process';
import type { Backend, BackendName, Numerics } from '../backends/executor.js';
import { probeNative } from '../backends/native.js';
import { type BackendOptions, loadBackend } from '../backends/select.js';
import { probeWasm } from '../backends/wasm-builds.js';
import { OptionError } from '../program/options.js';

export interface Subject {
  readonly backend: BackendName;
  readonly isa: string;
  readonly numerics: Numerics;
  /** As many as the backend thinks best where absent. */
  readonly threads?: number;
}

/** All that can be asked for. */
export const isas = [
  'amx',
  'avx512',
  'avx2',
  'sse2',
  'neon',
  'wasm-simd',
  'wasm-relaxed',
  'float32',
  'float64',
] as const;

export function backendOf(isa: string): BackendName {
  if (isa.startsWith('wasm-')) return 'wasm';
  return isa.startsWith('float') ? 'reference' : 'native';
}

/** `native avx512, 2 threads`; strict numerics are named, fast ones are usual. */
export function nameOf({ backend, isa, numerics, threads }: Subject): string {
  const lanes = threads === undefined ? '' : `, ${threads} thread${threads === 1 ? '' : 's'}`;
  return `${backend} ${isa.replace('wasm-', '')}${numerics === 'strict' ? ' strict' : ''}${lanes}`;
}

/** A subject of so many threads; the reference has one. */
const subjectOf = (isa: string, numerics: Numerics, threads: number | undefined): Subject => {
  const backend = backendOf(isa);
  const lanes = backend === 'reference' ? 1 : threads;
  return { backend, isa, numerics, ...(lanes === undefined ? {} : { threads: lanes }) };
};

export const loadSubject = (subject: Subject): Promise<Backend> => loadBackend(subject);

const RELAXED_FLAG = '--experimental-wasm-relaxed-simd';

/** What Node must be told so that it compiles relaxed SIMD: nothing from Node 22 on; undefined where it cannot. */
async function relaxedArguments(): Promise<string[] | undefined> {
  const relaxed = (await probeWasm({ shared: false })).find(({ isa }) => isa === 'wasm-relaxed');
  if (relaxed?.module !== undefined) return [];
  return spawnSync(process.execPath, [RELAXED_FLAG, '-e', '0']).status === 0 ? [RELAXED_FLAG] : undefined;
}

/** Node's arguments for a process that loads a subject. */
export const nodeArgumentsFor = async ({ isa }: Subject): Promise<readonly string[]> =>
  isa === 'wasm-relaxed' ? ((await relaxedArguments()) ?? []) : [];

/** What a reader should know about how a subject runs. */
export const notesOn = async (subject: Subject): Promise<string[]> => {
  const flags = await nodeArgumentsFor(subject);
  return flags.length > 0 ? [`${subject.isa} runs under node ${flags.join(' ')}`] : [];
};

/**
 * The one subject that options mean.
 * @throws OptionError, BackendError as loadBackend
 */
export async function chooseSubject(options: BackendOptions): Promise<Subject> {
  if (options.isa === 'wasm-relaxed' && (options.backend ?? 'wasm') === 'wasm' && (await relaxedArguments())?.length) {
    return subjectOf(options.isa, options.numerics ?? 'fast', options.threads); // this process was not told to compile it
  }
  const { name, isa, numerics, threads } = await loadBackend(options);
  return { backend: name, isa, numerics, threads };
}

export interface Comparison {
  readonly subjects: readonly Subject[];
  /** Who is not compared, and why; how the others run. */
  readonly notes: readonly string[];
}

interface ComparisonOptions {
  readonly isas?: readonly string[] | undefined;
  readonly numerics: Numerics;
  /** Numbers of threads, each a subject of its own. */
  readonly threads?: readonly number[] | undefined;
}

/** The ISAs asked for; or the best native one, both WASM builds and the reference, as far as they can be used here. */
export async function chooseSubjects({ isas: asked, numerics, threads }: ComparisonOptions): Promise<Comparison> {
  const notes: string[] = [];
  const chosen: Subject[] = [];
  for (const isa of asked ?? (await usualIsas(numerics, notes))) {
    const cause = await whyNot(isa, numerics);
    if (cause !== undefined && asked !== undefined)
      throw new OptionError(`bench: Expected ${isa} to work here but ${cause}`);
    if (cause !== undefined) notes.push(`${isa} is not measured: ${cause}`);
    else for (const count of threads ?? [undefined]) chosen.push(subjectOf(isa, numerics, count));
  }
  const subjects = chosen.filter(
    (subject, index) => chosen.findIndex((other) => nameOf(other) === nameOf(subject)) === index,
  );
  for (const note of (await Promise.all(subjects.map(notesOn))).flat()) if (!notes.includes(note)) notes.push(note);
  return { subjects, notes };
}

async function usualIsas(numerics: Numerics, notes: string[]): Promise<string[]> {
  const native = probeNative(numerics);
  const best = native.find(({ usable }) => usable);
  if (best === undefined) {
    notes.push(`native is not measured: ${native.map(({ isa, cause }) => `${isa}: ${cause}`).join('; ')}`);
  }
  const wasm = numerics === 'strict' ? ['wasm-simd'] : ['wasm-simd', 'wasm-relaxed'];
  return [...(best === undefined ? [] : [best.isa]), ...wasm, 'float32'];
}

/** Why an ISA cannot be measured here; undefined where it can. */
async function whyNot(isa: string, numerics: Numerics): Promise<string | undefined> {
  if (isa === 'wasm-relaxed' && numerics === 'fast') {
    return (await relaxedArguments()) === undefined ? 'this Node has no relaxed SIMD' : undefined;
  }
  const backend = backendOf(isa);
  return loadBackend({ backend, isa, numerics }).then(
    () => undefined,
    (error: Error) => error.message.replace(/\s*\n\s*/g, ' '),
  );
}

/** Backends that can say whether another one is right: the best native ISA and SIMD in WASM. */
export async function usableWitnesses(numerics: Numerics): Promise<Subject[]> {
  const native = probeNative(numerics).find(({ usable }) => usable);
  const wasm = (await probeWasm({ shared: false })).find(
    ({ isa, cause }) => isa === 'wasm-simd' && cause === undefined,
  );
  return [native, wasm].flatMap((found) => (found === undefined ? [] : [subjectOf(found.isa, numerics, undefined)]));
}

/** ISAs that have a peak worth the name, and one of their own: the multiply-adds of amx are those of avx512. */
export const peakIsas = isas.filter((isa) => backendOf(isa) !== 'reference' && isa !== 'amx');

/** All that has a peak, or the ISAs asked for: native ones fused and not, and the WASM builds, with each number of threads. */
export async function peakSubjects(
  threads: readonly number[],
  asked: readonly string[] | undefined,
): Promise<Comparison> {
  const notes: string[] = [];
  const kinds: (readonly [string, Numerics])[] = [];
  for (const isa of asked ?? peakIsas) {
    const cause = await whyNot(isa, 'fast');
    if (cause !== undefined) notes.push(`${isa} is not measured: ${cause}`);
    else kinds.push([isa, 'fast'], ...(backendOf(isa) === 'native' ? [[isa, 'strict'] as const] : []));
  }
  const subjects = kinds.flatMap(([isa, numerics]) => threads.map((count) => subjectOf(isa, numerics, count)));
  return { subjects, notes };
}
