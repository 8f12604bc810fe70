/** Matrix products are parsed as users write them, and a wrong one is found out. */
import test from 'ava';
import { findGemmFault, measureGemm, nameOfProduct, type Product, parseProduct } from '../../src/bench/gemm.js';
import { OptionError } from '../../src/program/options.js';

test('sizes are squares or M×N×K, transposed where the letters say so', (t) => {
  t.deepEqual(parseProduct('256'), { M: 256, N: 256, K: 256, transposed: 'NN' });
  t.deepEqual(parseProduct('2x3x4:tn'), { M: 2, N: 3, K: 4, transposed: 'TN' });
  t.is(nameOfProduct(parseProduct('2×3×4:NT')), '2×3×4 NT');
});

for (const text of ['', '0', '2x3', '2x3x4x5', '-1', '1.5', '2x3x4:NX', '2x3x4:', '99999', 'x']) {
  test(`sizes "${text}" are refused with an example`, (t) => {
    t.throws(() => parseProduct(text), { instanceOf: OptionError, message: /such as 256, 512x3072x768/ });
  });
}

/** [rows, columns] of x, transposed in memory where `isTransposed`. */
const at =
  (x: Float64Array, [rows, columns]: readonly [number, number], isTransposed: boolean) =>
  (i: number, j: number) =>
    x[isTransposed ? j * rows + i : i * columns + j] as number;

for (const transposed of ['NN', 'NT', 'TN', 'TT'] as const) {
  test(`${transposed}: the right product passes, one wrong number in it does not`, (t) => {
    const product: Product = { M: 5, N: 7, K: 6, transposed };
    const { M, N, K } = product;
    const a = Float64Array.from({ length: M * K }, (_, index) => Math.sin(index + 1));
    const b = Float64Array.from({ length: K * N }, (_, index) => Math.cos(index * 2));
    const [aAt, bAt] = [at(a, [M, K], transposed.startsWith('T')), at(b, [K, N], transposed.endsWith('T'))];
    const c = Float64Array.from({ length: M * N }, (_, index) => {
      const [i, j] = [Math.floor(index / N), index % N];
      return Array.from({ length: K }, (_, k) => aAt(i, k) * bAt(k, j)).reduce((sum, term) => sum + term, 0);
    });
    t.is(findGemmFault(product, { a, b, c }), undefined);
    for (let index = 0; index < c.length; index++) {
      const wrong = c.with(index, (c[index] as number) + 1e-3);
      t.regex(findGemmFault(product, { a, b, c: wrong }) ?? '', /off a · \(b · r\)/, `${index}`);
    }
    t.truthy(findGemmFault(product, { a, b, c: c.with(3, Number.NaN) }));
  });
}

test('every transpose is measured, verified, by the reference', async (t) => {
  const products = ['3x5x4', '3x5x4:NT', '3x5x4:TN', '1x2x3:TT'].map(parseProduct);
  const subject = { backend: 'reference', isa: 'float32', numerics: 'fast', threads: 1 } as const;
  const times = await measureGemm({ kind: 'gemm', products, subject, dtype: 'float32', seconds: 0.001 });
  t.deepEqual(
    times.map(({ flops }) => flops),
    [120, 120, 120, 12],
  );
  for (const { milliseconds, peaks } of times) {
    t.true(milliseconds.length > 0 && milliseconds.every((each) => each > 0));
    t.deepEqual(peaks, []);
  }
});
