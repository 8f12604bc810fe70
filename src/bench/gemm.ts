/** The time of single matrix products, c [M, N] = op(a) · op(b). */
import { toBfloat16 } from '../backends/reference/bfloat16.js';
import { bytesOf, flopsOf } from '../program/cost.js';
import type { Dtype } from '../program/dtype.js';
import { OptionError } from '../program/options.js';
import { Peak } from './peak.js';
import { type Scene, Stage } from './stage.js';
import { loadSubject, type Subject } from './subjects.js';
import { WrongResultError } from './verify.js';

export interface Product {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Of a and of b: N as it lies in memory, T transposed. */
  readonly transposed: 'NN' | 'NT' | 'TN' | 'TT';
}

export const nameOfProduct = ({ M, N, K, transposed }: Product): string => `${M}×${N}×${K} ${transposed}`;

const square = (size: number): Product => ({ M: size, N: size, K: size, transposed: 'NN' });

/** Squares, the shapes of a feed-forward layer and its gradients, and the small ones of recurrent layers. */
export const usualProducts: readonly Product[] = [
  ...[64, 128, 256, 512, 1024, 2048].map(square),
  { M: 128, N: 64, K: 128, transposed: 'NN' },
  { M: 512, N: 3072, K: 768, transposed: 'NN' },
  { M: 512, N: 3072, K: 768, transposed: 'NT' },
  { M: 512, N: 3072, K: 768, transposed: 'TN' },
  { M: 32, N: 1024, K: 256, transposed: 'NT' },
  { M: 1, N: 1024, K: 256, transposed: 'NT' },
];

/** `256`, `512x3072x768` or `512x3072x768:NT`. @throws OptionError */
export function parseProduct(text: string): Product {
  const [, sizes = '', transposed = 'NN'] = /^([\dx×]+)(?::([NT]{2}))?$/i.exec(text) ?? [];
  const [M = 0, N = M, K = M, ...more] = sizes.split(/[x×]/i).map(Number);
  const fits = [M, N, K].every((size) => Number.isSafeInteger(size) && size >= 1 && size <= MAX_SIZE);
  if (fits && more.length === 0 && sizes.split(/[x×]/i).length !== 2) {
    return { M, N, K, transposed: transposed.toUpperCase() as Product['transposed'] };
  }
  const forms = 'such as 256, 512x3072x768 or 512x3072x768:NT';
  throw new OptionError(`bench gemm: Expected sizes from 1 to ${MAX_SIZE} ${forms} but received "${text}"`);
}

/** A matrix of this size squared takes 1 GiB. */
const MAX_SIZE = 16384;

export interface GemmJob {
  readonly kind: 'gemm';
  readonly products: readonly Product[];
  readonly subject: Subject;
  readonly dtype: Dtype;
  /** For each product. */
  readonly seconds: number;
}

export interface GemmTime {
  readonly threads: number;
  readonly milliseconds: readonly number[];
  /** GFLOP/s, measured in between; none for the reference. */
  readonly peaks: readonly number[];
  readonly flops: number;
  readonly bytes: number;
}

function sceneOf({ M, N, K, transposed }: Product, dtype: Dtype = 'float32'): Scene {
  const [aRow, aColumn] = transposed.startsWith('N') ? [K, 1] : [1, M];
  const [bRow, bColumn] = transposed.endsWith('N') ? [N, 1] : [1, K];
  const strides = { aBatch: 0, aRow, aColumn, bBatch: 0, bRow, bColumn, cBatch: 0, cRow: N };
  const dims = { batch: 1, M, N, K, ...strides, bfloat16: dtype === 'bfloat16' ? 1 : 0, activation: 0 };
  return { instruction: 'matmul', dims, absent: ['bias', 'residual', 'preActivation'] };
}

/** Numbers between −0.5 and 0.5 (Lehmer 1951). */
function randomValues(elements: number, seed: number): Float32Array {
  let random = seed;
  return Float32Array.from({ length: elements }, () => {
    random = (random * 48271) % 0x7fffffff;
    return random / 0x7fffffff - 0.5;
  });
}

/** y = op(x) · v for x [rows, columns] with any strides, in float64. */
function timesVector(
  x: ArrayLike<number>,
  [rows, columns]: readonly [number, number],
  [row, column]: readonly [number, number],
  v: Float64Array,
): Float64Array {
  const y = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += (x[i * row + j * column] as number) * (v[j] as number);
    y[i] = sum;
  }
  return y;
}

const norm = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** Largest ‖c·r − a·(b·r)‖ relative to ‖a·(b·r)‖: that of float32 sums in any order. */
const TOLERANCE = 2e-5;

/**
 * Compares c with a · b by their products with a vector of random signs (Freivalds 1979): in float64, in the time that it takes to
 * read the matrices, and with a chance of at most one half to miss a wrong number in any row of c.
 */
export function findGemmFault(
  product: Product,
  { a, b, c }: { readonly a: ArrayLike<number>; readonly b: ArrayLike<number>; readonly c: ArrayLike<number> },
  trial = 1,
): string | undefined {
  const { M, N, K } = product;
  const { aRow = 0, aColumn = 0, bRow = 0, bColumn = 0 } = sceneOf(product).dims;
  const signs = Float64Array.from(randomValues(N, 7919 * trial), Math.sign);
  const expected = timesVector(a, [M, K], [aRow, aColumn], timesVector(b, [K, N], [bRow, bColumn], signs));
  const found = timesVector(c, [M, N], [N, 1], signs);
  const error = norm(found.map((value, row) => value - (expected[row] as number))) / norm(expected);
  if (error <= TOLERANCE) return undefined; // NaN is not
  return `c · r is ${error.toExponential(1)} off a · (b · r), at most ${TOLERANCE} is right (${nameOfProduct(product)})`;
}

/** Vectors of signs that a product is tried with. */
const TRIALS = 3;

async function verify(stage: Stage, product: Product, dtype: Dtype): Promise<void> {
  const inputs = new Map(
    ['a', 'b'].map((name, index) => [name, randomValues(stage.operand(name).elements, index + 1)]),
  );
  await stage.fill(({ name, elements }) => inputs.get(name) ?? new Float32Array(elements).fill(Number.NaN));
  await (await stage.load(1))();
  const c = await stage.read(stage.operand('c'));
  const [a, b] = ['a', 'b'].map((name) => {
    const values = inputs.get(name) as Float32Array;
    return dtype === 'bfloat16' ? values.map(toBfloat16) : values;
  }) as [Float32Array, Float32Array];
  for (let trial = 1; trial <= TRIALS; trial++) {
    const fault = findGemmFault(product, { a, b, c }, trial);
    if (fault !== undefined) throw new WrongResultError(fault);
  }
}

/** As long as this, the way from JavaScript and back does not show, and a peak can be measured in between. */
const SAMPLE_MILLISECONDS = 10;
const MAX_TIMES = 4096;

/** How many of an instruction fill a sample. */
async function timesPerSample(stage: Stage): Promise<number> {
  for (let times = 1; ; times = Math.min(MAX_TIMES, times * 4)) {
    const run = await stage.load(times);
    await run();
    const start = performance.now();
    await run();
    const elapsed = performance.now() - start;
    if (elapsed * 4 < SAMPLE_MILLISECONDS && times < MAX_TIMES) continue;
    return Math.max(1, Math.min(MAX_TIMES, Math.round((times * SAMPLE_MILLISECONDS) / elapsed)));
  }
}

async function measure(product: Product, job: GemmJob): Promise<GemmTime> {
  const backend = await loadSubject(job.subject);
  const stage = new Stage(sceneOf(product, job.dtype), backend);
  await verify(stage, product, job.dtype);
  const peak = await Peak.of(backend);
  const times = await timesPerSample(stage);
  const run = await stage.load(times);
  const milliseconds: number[] = [];
  const end = performance.now() + job.seconds * 1000;
  do {
    const start = performance.now();
    await run();
    milliseconds.push((performance.now() - start) / times);
    await peak.measure();
  } while (performance.now() < end);
  await peak.close();
  await stage.close();
  const { threads } = backend;
  return { threads, milliseconds, peaks: peak.readings, flops: flopsOf(stage.call), bytes: bytesOf(stage.call) };
}

/**
 * Verifies and times every product.
 * @throws WrongResultError
 */
export async function measureGemm(job: GemmJob): Promise<GemmTime[]> {
  const times: GemmTime[] = [];
  for (const product of job.products) times.push(await measure(product, job));
  return times;
}
