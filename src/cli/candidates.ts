/** Every backend there is, tried on this machine: what stands in the way of it, or that it computes what it should. */
import { Engine } from '../backends/engine.js';
import type { Backend, BackendName, Numerics } from '../backends/executor.js';
import { probeNative } from '../backends/native.js';
import { type BackendOptions, loadBackend } from '../backends/select.js';
import { usableThreads } from '../backends/threads.js';
import { nameOfBuild, probeWasm } from '../backends/wasm-builds.js';
import { Graph } from '../graph/graph.js';
import { plan } from '../graph/plan.js';
import { linear, sigmoid, sum, tanh } from '../ops/index.js';

export interface Candidate {
  readonly backend: BackendName;
  readonly isa: string;
  /** For WASM: whether it is the build for memory that threads share. */
  readonly shared?: boolean;
  /** Width of its vectors. */
  readonly simd: string;
  /** Whether it ran here and computed the right thing. */
  readonly usable: boolean;
  /** Why it can or cannot be used here. */
  readonly cause: string;
  readonly threads?: number;
  /** Where its programs run. */
  readonly place?: string;
}

const simdOf: Readonly<Record<string, string>> = {
  amx: '512 bit, tiles',
  avx512: '512 bit',
  avx2: '256 bit',
  sse2: '128 bit',
  neon: '128 bit',
  'wasm-relaxed': '128 bit, fused',
  'wasm-simd': '128 bit',
};

/** Float32 sums of seventy terms, through functions whose slopes are 1 at most. */
const TOLERANCE = 1e-5;

const ROWS = 67;
const INPUTS = 69;
const OUTPUTS = 99;

/** A layer with odd sizes: enough for every lane of a vector, or for a matrix unit, and its rest. */
async function layer(backend: Backend): Promise<readonly number[]> {
  const graph = new Graph();
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => Math.sin(index * 0.7) / 2);
  const inputs = { x: numbers(ROWS * INPUTS), w: numbers(OUTPUTS * INPUTS), b: numbers(OUTPUTS) };
  const x = graph.input('x', [ROWS, INPUTS]);
  const y = tanh(linear(x, graph.input('w', [OUTPUTS, INPUTS]), graph.input('b', [OUTPUTS])));
  graph.output('y', sigmoid(y));
  graph.output('sum', sum(y));
  const engine = new Engine(backend);
  try {
    const { y: values = [], sum: total = [] } = await engine.run(plan(graph), inputs);
    return [...values, ...total];
  } finally {
    await engine.close();
  }
}

/**
 * Runs a small program and compares the result with the reference's in float64.
 * @throws Error saying what differs, or whatever the backend throws.
 */
export async function checkBackend(backend: Backend): Promise<void> {
  const expected = await layer(await loadBackend({ backend: 'reference', isa: 'float64', numerics: 'fast' }));
  for (const [index, value] of (await layer(backend)).entries()) {
    const wanted = expected[index] as number;
    if (Math.abs(value - wanted) <= TOLERANCE * Math.max(1, Math.abs(wanted))) continue; // NaN is not
    throw new Error(`it computes ${value} where ${wanted} is right`);
  }
}

type Probed = Pick<Candidate, 'backend' | 'isa' | 'shared' | 'usable' | 'cause'>;

async function probe(numerics: Numerics): Promise<Probed[]> {
  const native = probeNative(numerics).map(
    ({ isa, usable, cause }) => ({ backend: 'native', isa, usable, cause }) as const,
  );
  const wasm = (await probeWasm()).map(
    ({ isa, shared, cause }) =>
      ({
        backend: 'wasm',
        isa,
        shared,
        usable: cause === undefined,
        cause: cause ?? 'this engine validates it',
      }) as const,
  );
  const reference = ['float32', 'float64'].map(
    (isa) => ({ backend: 'reference', isa, usable: true, cause: 'plain JavaScript: slow, for checks' }) as const,
  );
  return [...native, ...wasm, ...reference];
}

async function tryOne(probed: Probed, numerics: Numerics, threads: number): Promise<Candidate> {
  const { backend: name, isa, shared } = probed;
  const candidate = { ...probed, simd: simdOf[isa] ?? 'none' };
  if (!probed.usable) return candidate;
  if (isa === 'wasm-relaxed' && numerics === 'strict') {
    return { ...candidate, usable: false, cause: 'it may fuse, which strict numerics never does' };
  }
  try {
    const its = shared === true ? Math.max(2, threads) : shared === false ? 1 : threads;
    const options: BackendOptions = { backend: name, isa, numerics, threads: its };
    const backend = await loadBackend(options);
    await checkBackend(backend);
    return {
      ...candidate,
      threads: backend.threads,
      place: backend.place,
      cause: `computes what it should; ${probed.cause}`,
    };
  } catch (error) {
    return { ...candidate, usable: false, cause: error instanceof Error ? error.message : String(error) };
  }
}

/** Tries them all, best first, on so many threads where there is more than one. */
export async function tryAll(numerics: Numerics = 'fast', threads = usableThreads().count): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const probed of await probe(numerics)) candidates.push(await tryOne(probed, numerics, threads)); // no fight for the cores
  return candidates;
}

/** `wasm-simd for shared memory` */
export const nameOfCandidate = ({ isa, shared = false }: Candidate): string =>
  nameOfBuild({ isa: isa as never, shared });
