/** Products by a matrix unit, of numbers in three parts, are float32: as near to the exact ones as those by multiply-adds. */
import test from 'ava';
import type { Backend, Result } from '../../src/backends/executor.js';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { encode } from '../../src/program/encode.js';

const [M, N] = [64, 96];
/** Terms of a sum, and the error that the unit's may have beside that of multiply-adds. */
const depths = [
  [64, 0.6],
  [256, 0.6],
  [1024, 0.8],
  [8192, 2.5],
] as const;

/** Between −½ and ½. */
const random = (index: number): number => (Math.imul(index + 1, 0x9e3779b1) >>> 8) / 2 ** 24 - 0.5;

/** ‖c − exact‖ / ‖Σ |a b|‖ of a product of random numbers. */
async function errorOf(isa: string, K: number): Promise<number> {
  const [a, b] = [Float32Array.from({ length: M * K }, (_, i) => random(i)), new Float32Array(K * N)];
  for (let i = 0; i < b.length; i++) b[i] = random(i + a.length);
  const [aAt, bAt] = [16_384, 16_384 + a.length];
  const cAt = bAt + b.length;
  const dims = {
    ...{ batch: 1, M, N, K, aBatch: 0, aRow: K, aColumn: 1, bBatch: 0, bRow: N, bColumn: 1, cBatch: 0, cRow: N },
    ...{ bfloat16: 0, activation: 0 },
  };
  const executor = nativeBackend({ isa, threads: 1 }).createExecutor();
  await executor.grow(cAt + M * N);
  await executor.write(aAt, 'f32', a);
  await executor.write(bAt, 'f32', b);
  const words = encode([{ instruction: 'matmul', operands: { a: aAt, b: bAt, c: cAt }, dims, scalars: {} }]);
  await (await executor.load(words, cAt + M * N)).run();
  const c = await executor.read(cAt, 'f32', M * N);
  await executor.close();
  let [errors, magnitudes] = [0, 0];
  for (let index = 0; index < M * N; index++) {
    const [row, column] = [Math.floor(index / N), index % N];
    let [exact, magnitude] = [0, 0];
    for (let k = 0; k < K; k++) {
      const term = (a[row * K + k] as number) * (b[k * N + column] as number);
      exact += term;
      magnitude += Math.abs(term);
    }
    errors += ((c[index] as number) - exact) ** 2;
    magnitudes += magnitude ** 2;
  }
  return Math.sqrt(errors / magnitudes);
}

/** T, HS, and the errors that y and the gradient may have beside those of multiply-adds. */
const heads = [
  [96, 32, 1, 1],
  [600, 64, 1.8, 1.3],
] as const;

/** y and dqkv of one head of random numbers. */
async function attended(backend: Backend, T: number, HS: number): Promise<Record<'y' | 'dqkv', Result>> {
  const C = T * HS;
  const qkv = 16_384;
  const dy = qkv + 3 * C;
  const y = dy + C;
  const logSumExp = y + C;
  const dqkv = logSumExp + T;
  const end = dqkv + 3 * C;
  const executor = backend.createExecutor();
  await executor.grow(end);
  await executor.write(
    qkv,
    'f32',
    Array.from({ length: 4 * C }, (_, i) => random(i)),
  );
  const common = { dims: { B: 1, T, NH: 1, HS, causal: 0, stream: 0 }, scalars: { rate: 0, keepScale: 1 } };
  const words = encode([
    { instruction: 'attention', operands: { qkv, y, logSumExp }, ...common },
    { instruction: 'attentionBackward', operands: { qkv, y, dy, logSumExp, dqkv }, ...common },
  ]);
  await (await executor.load(words, end)).run();
  const results = { y: await executor.read(y, 'f32', C), dqkv: await executor.read(dqkv, 'f32', 3 * C) };
  await executor.close();
  return results;
}

/** ‖values − exact‖ / ‖exact‖ */
function distance(values: Result, exact: Result): number {
  const norm = (numbers: readonly number[]): number => Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0));
  const [its, right] = [Array.from(values), Array.from(exact)];
  return norm(right.map((x, index) => (its[index] as number) - x)) / norm(right);
}

if (probeNative().some(({ isa, usable }) => isa === 'amx' && usable)) {
  for (const [K, times] of depths) {
    test(`sums of ${K} terms by the matrix unit: at most ${times} times the error of multiply-adds`, async (t) => {
      const [unit, direct] = [await errorOf('amx', K), await errorOf('avx512', K)];
      t.log(`${(unit / 2 ** -24).toFixed(3)} and ${(direct / 2 ** -24).toFixed(3)} units in the last place of Σ |a b|`);
      t.not(unit, direct, 'they are not the same kernels');
      t.true(unit < times * direct, `${unit} is less than ${times} × ${direct}`);
    });
  }
  for (const [T, HS, ...most] of heads) {
    test(`attention of ${T} positions and heads of ${HS}: at most ${most.join(' and ')} times the errors`, async (t) => {
      const exact = await attended(referenceBackend({ isa: 'float64' }), T, HS);
      const unit = await attended(nativeBackend({ isa: 'amx', threads: 1 }), T, HS);
      const direct = await attended(nativeBackend({ isa: 'avx512', threads: 1 }), T, HS);
      for (const [index, name] of (['y', 'dqkv'] as const).entries()) {
        const [its, others] = [distance(unit[name], exact[name]), distance(direct[name], exact[name])];
        t.log(`${name}: ${(its / 2 ** -24).toFixed(2)} and ${(others / 2 ** -24).toFixed(2)} units of 2⁻²⁴`);
        t.not(its, others, 'they are not the same kernels');
        const times = most[index] as number;
        t.true(its < times * others, `${its} is less than ${times} × ${others}`);
      }
    });
  }
} else {
  test.skip('products by a matrix unit are as near to the exact ones (skipped: there is no amx here)', () => {});
}
