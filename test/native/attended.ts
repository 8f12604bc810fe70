/** Attention of one head, forward and backward, by any backend. */
import type { Backend, Result } from '../../src/backends/executor.js';
import { encode } from '../../src/program/encode.js';

/** Between −½ and ½. */
export const random = (index: number): number => (Math.imul(index + 1, 0x9e3779b1) >>> 8) / 2 ** 24 - 0.5;

/** y and dqkv of one head of random numbers. */
export async function attended(
  backend: Backend,
  T: number,
  HS: number,
  causal = 0,
): Promise<Record<'y' | 'dqkv', Result>> {
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
  const common = { dims: { B: 1, T, NH: 1, HS, causal, stream: 0 }, scalars: { rate: 0, keepScale: 1 } };
  const words = encode([
    { instruction: 'attention', operands: { qkv, y, logSumExp }, ...common },
    { instruction: 'attentionBackward', operands: { qkv, y, dy, logSumExp, dqkv }, ...common },
  ]);
  await (await executor.load(words, end)).run();
  const results = { y: await executor.read(y, 'f32', C), dqkv: await executor.read(dqkv, 'f32', 3 * C) };
  await executor.close();
  return results;
}
