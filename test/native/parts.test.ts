/**
 * A large product has the bits of its parts: no element depends on how much is made of the others, on what is kept or copied for
 * them, or on how many threads there are. What conformance cannot hold is examined so.
 */
import test from 'ava';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { encode } from '../../src/program/encode.js';
import { absence } from './addon.js';

interface Shape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly a: 'N' | 'T';
  readonly b: 'N' | 'T';
}

/** Results of more than 3 MB, over several blocks of K; of more parts than two; with rows and columns left over. */
const shapes: readonly Shape[] = [
  { M: 505, N: 1601, K: 530, a: 'N', b: 'N' },
  { M: 333, N: 2500, K: 1100, a: 'T', b: 'T' },
  { M: 2050, N: 400, K: 300, a: 'T', b: 'N' },
];
/** Rows and columns of a part, the last of which has what is left, too: each is large enough for a matrix unit. */
const PART = 97;

const random = (index: number): number => (Math.imul(index + 1, 0x9e3779b1) >>> 8) / 2 ** 24 - 0.5;

function product({ M, N, K, a, b }: Shape, bfloat16: number, instruction: 'matmul' | 'matmulAdd') {
  const [aRow, aColumn] = a === 'N' ? [K, 1] : [1, M];
  const [bRow, bColumn] = b === 'N' ? [N, 1] : [1, K];
  const [aAt, bAt, biasAt] = [16_384, 16_384 + M * K, 16_384 + M * K + K * N];
  const [wholeAt, partsAt] = [biasAt + N, biasAt + N + M * N];
  const call = (c: number, row: number, column: number, rows: number, columns: number) => ({
    instruction,
    operands: {
      a: aAt + row * aRow,
      b: bAt + column * bColumn,
      c: c + row * N + column,
      ...(instruction === 'matmul' && { bias: biasAt + column }),
    },
    dims: {
      ...{ batch: 1, M: rows, N: columns, K, aBatch: 0, aRow, aColumn, bBatch: 0, bRow, bColumn, cBatch: 0, cRow: N },
      ...{ bfloat16, ...(instruction === 'matmul' && { activation: 0 }) },
    },
    scalars: {},
  });
  const cut = (size: number): (readonly [start: number, length: number])[] => {
    const count = Math.floor(size / PART);
    return [...Array(count).keys()].map((part) => [part * PART, part + 1 < count ? PART : size - part * PART]);
  };
  const parts = cut(M).flatMap(([row, rows]) =>
    cut(N).map(([column, columns]) => call(partsAt, row, column, rows, columns)),
  );
  const factors = Float32Array.from({ length: wholeAt - aAt }, (_, index) => random(index));
  const before = Float32Array.from({ length: M * N }, (_, index) => random(index * 3));
  return { words: encode([call(wholeAt, 0, 0, M, N), ...parts]), factors, before, aAt, wholeAt, partsAt };
}

if (absence === undefined) {
  for (const { isa, usable, bfloat16: ways } of probeNative()) {
    for (const way of usable ? (['float32', ...ways] as const) : []) {
      for (const threads of [1, 3]) {
        test(`${isa}, ${way}, ${threads} threads: a product has the bits of its parts`, async (t) => {
          const backend = nativeBackend({ isa, threads, ...(way !== 'float32' && { bfloat16: way }) });
          const executor = backend.createExecutor();
          for (const shape of shapes) {
            for (const instruction of ['matmul', 'matmulAdd'] as const) {
              const made = product(shape, way === 'float32' ? 0 : 1, instruction);
              const elements = made.partsAt + made.before.length;
              await executor.grow(elements);
              await executor.write(made.aAt, 'f32', made.factors);
              for (const at of [made.wholeAt, made.partsAt]) await executor.write(at, 'f32', made.before);
              await (await executor.load(made.words, elements)).run();
              const whole = await executor.read(made.wholeAt, 'f32', made.before.length);
              const parts = await executor.read(made.partsAt, 'f32', made.before.length);
              t.notDeepEqual(whole.subarray(0, 99), made.before.subarray(0, 99), 'it does something');
              t.is(Buffer.compare(Buffer.from(whole.buffer), Buffer.from(parts.buffer)), 0, JSON.stringify(shape));
            }
          }
          await executor.close();
        });
      }
    }
  }
} else {
  test.skip(`a product has the bits of its parts (skipped: ${absence})`, () => {});
}
