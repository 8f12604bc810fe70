/** Who is measured: a backend with an ISA, and what Node must be told for it. */
import { spawnSync } from 'node:child_process';
import type { Backend, BackendName, Numerics } from '../src/backends/executor.js';
import { probeNative } from '../src/backends/native.js';
import { loadBackend } from '../src/backends/select.js';
import { probeWasm } from '../src/backends/wasm-builds.js';

export interface Subject {
  readonly isa: string;
  readonly numerics: Numerics;
}

/** All that can be asked for. */
export const isas = ['avx512', 'avx2', 'sse2', 'wasm-simd', 'wasm-relaxed', 'float32', 'float64'] as const;

export const nameOf = ({ isa, numerics }: Subject): string =>
  `${backendOf(isa)} ${isa.replace('wasm-', '')}${numerics === 'strict' ? ' strict' : ''}`;

export function backendOf(isa: string): BackendName {
  if (isa.startsWith('wasm-')) return 'wasm';
  return isa.startsWith('float') ? 'reference' : 'native';
}

export const loadSubject = ({ isa, numerics }: Subject): Promise<Backend> =>
  loadBackend({ backend: backendOf(isa), isa, numerics, threads: 1 });

const RELAXED_FLAG = '--experimental-wasm-relaxed-simd';

/** What Node must be told so that it compiles relaxed SIMD: nothing from Node 22 on; undefined where it cannot. */
async function relaxedArguments(): Promise<string[] | undefined> {
  const relaxed = (await probeWasm({ shared: false })).find(({ isa }) => isa === 'wasm-relaxed');
  if (relaxed?.module !== undefined) return [];
  return spawnSync(process.execPath, [RELAXED_FLAG, '-e', '0']).status === 0 ? [RELAXED_FLAG] : undefined;
}

export interface Chosen {
  readonly subjects: readonly Subject[];
  /** Node's arguments for an ISA. */
  readonly nodeArguments: (isa: string) => readonly string[];
  /** What a reader should know about the choice. */
  readonly notes: readonly string[];
}

/** The ISAs asked for, or the best native one and both WASM builds, as far as they can be used here. */
export async function chooseSubjects(asked: readonly string[] | undefined, numerics: Numerics): Promise<Chosen> {
  const notes: string[] = [];
  const native = probeNative();
  const best = native.find(({ usable }) => usable);
  if (asked === undefined && best === undefined) {
    notes.push(`native is not measured: ${native.map(({ isa, cause }) => `${isa}: ${cause}`).join('; ')}`);
  }
  const wasm = numerics === 'strict' ? ['wasm-simd'] : ['wasm-simd', 'wasm-relaxed'];
  const relaxed = await relaxedArguments();
  const isas = (asked ?? [...(best === undefined ? [] : [best.isa]), ...wasm]).filter((isa) => {
    if (isa !== 'wasm-relaxed' || relaxed !== undefined) return true;
    notes.push('wasm-relaxed is not measured: this Node has no relaxed SIMD');
    return false;
  });
  if (isas.includes('wasm-relaxed') && relaxed?.length) notes.push(`wasm-relaxed runs under node ${relaxed.join(' ')}`);
  return {
    subjects: isas.map((isa) => ({ isa, numerics })),
    nodeArguments: (isa) => (isa === 'wasm-relaxed' ? (relaxed ?? []) : []),
    notes,
  };
}
