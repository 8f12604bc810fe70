/**
 * The order of sums that instructions state, written out with one rounding to float32 for every multiplication and every
 * addition. Strict backends give exactly these bits.
 */
import test from 'ava';
import { toBfloat16 } from '../../src/backends/reference/bfloat16.js';
import { runCase } from '../support/bench.js';
import { type Case, caseOf, inputsOf, type Values } from '../support/case.js';
import { subjects } from '../support/subjects.js';

const { fround } = Math;
const plus = (a: number, b: number): number => fround(a + b);
const times = (a: number, b: number): number => fround(a * b);
const range = (count: number): number[] => [...Array(count).keys()];

/** Σ: from 0, in ascending order. */
const sigma = (terms: readonly number[]): number => terms.reduce(plus, 0);

const blocksOf = (terms: readonly number[], size: number): number[][] =>
  range(Math.ceil(terms.length / size)).map((block) => terms.slice(block * size, (block + 1) * size));

/** `fold`: from left to right, from the first partial. */
const fold = (partials: readonly number[]): number => (partials.length === 0 ? 0 : partials.reduce(plus));

/** `lanes`: sixteen partial sums, combined as a tree: lane l + lane l+8, then +4, +2, +1. */
function lanes(terms: readonly number[]): number {
  let partials = range(16).map((lane) => sigma(terms.filter((_, index) => index % 16 === lane)));
  for (let half = 8; half >= 1; half /= 2) {
    partials = range(half).map((lane) => plus(partials[lane] as number, partials[lane + half] as number));
  }
  return partials[0] as number;
}

type Element = (operand: string, index: number) => number;
type Oracle = (element: Element, dims: Readonly<Record<string, number>>) => readonly number[];

const sum: Oracle = (x, { n = 0 }) => [
  fold(
    blocksOf(
      range(n).map((i) => x('x', i)),
      4096,
    ).map(lanes),
  ),
];
const squaredNorm: Oracle = (x, { n = 0 }) => [
  fold(
    blocksOf(
      range(n).map((i) => times(x('x', i), x('x', i))),
      4096,
    ).map(lanes),
  ),
];

const sumOfColumn = (x: Element, column: number, R: number, C: number): number =>
  fold(
    blocksOf(
      range(R).map((row) => x('x', row * C + column)),
      64,
    ).map(sigma),
  );
const columnSum: Oracle = (x, { R = 0, C = 0 }) => range(C).map((column) => sumOfColumn(x, column, R, C));
const columnSumAdd: Oracle = (x, { R = 0, C = 0 }) =>
  range(C).map((column) => (R === 0 ? x('y', column) : plus(x('y', column), sumOfColumn(x, column, R, C))));

const productBlocks = (
  x: Element,
  row: number,
  column: number,
  { N = 0, K = 0, bfloat16 }: Parameters<Oracle>[1],
): number[] => {
  const factor = bfloat16 === 0 ? x : (operand: string, index: number) => toBfloat16(x(operand, index));
  const terms = range(K).map((k) => times(factor('a', row * K + k), factor('b', k * N + column)));
  return blocksOf(terms, 256).map(sigma);
};
const matmul: Oracle = (x, dims) => {
  const { M = 0, N = 0 } = dims;
  return range(M * N).map((index) => {
    const [first = 0, ...later] = productBlocks(x, Math.floor(index / N), index % N, dims);
    return plus(later.reduce(plus, plus(first, x('bias', index % N))), x('residual', index));
  });
};
const matmulAdd: Oracle = (x, dims) => {
  const { M = 0, N = 0 } = dims;
  return range(M * N).map((index) =>
    productBlocks(x, Math.floor(index / N), index % N, dims).reduce(plus, x('c', index)),
  );
};

/** x in parts, each the bfloat16 number nearest to what is left, of two the one further from 0; three make x itself. */
function partsOf(x: number): readonly [number, number, number] {
  const nearest = (rest: number): number => {
    const bits = new Uint32Array(Float32Array.of(rest).buffer);
    return new Float32Array(bits.map((each) => (each + 0x8000) & 0xffff0000).buffer)[0] as number;
  };
  const first = nearest(x);
  const second = nearest(x - first);
  return [first, second, x - first - second];
}

/** What a matrix unit adds, 32 k after 32 k: the first and the last 16 apart. Of float32, the lesser products first. */
const unitSums = (
  x: Element,
  row: number,
  column: number,
  { N = 0, K = 0, bfloat16 }: Parameters<Oracle>[1],
): number[] =>
  blocksOf(range(K), 32).flatMap((block) => {
    const factors = block.map((k) => [x('a', row * K + k), x('b', k * N + column)] as const);
    const inTurn = (terms: readonly number[]): number => plus(sigma(terms.slice(0, 16)), sigma(terms.slice(16)));
    if (bfloat16 !== 0) return inTurn(factors.map(([a, b]) => times(toBfloat16(a), toBfloat16(b))));
    const parts = factors.map(([a, b]) => [partsOf(a), partsOf(b)] as const);
    return (
      [
        [2, 0],
        [1, 0],
        [1, 1],
        [0, 1],
        [0, 2],
        [0, 0],
      ] as const
    ).map(([left, right]) => inTurn(parts.map(([a, b]) => times(a[left], b[right]))));
  });
const matmulByUnit: Oracle = (x, dims) => {
  const { M = 0, N = 0 } = dims;
  return range(M * N).map((index) => {
    const [row, column] = [Math.floor(index / N), index % N];
    return plus(unitSums(x, row, column, dims).reduce(plus, x('bias', column)), x('residual', index));
  });
};
const matmulAddByUnit: Oracle = (x, dims) => {
  const { M = 0, N = 0 } = dims;
  return range(M * N).map((index) => unitSums(x, Math.floor(index / N), index % N, dims).reduce(plus, x('c', index)));
};

const divided = (a: number, b: number): number => fround(a / b);
/** 1 / √(variance + ε), each step rounded. */
const inverseOf = (variance: number): number => divided(1, fround(Math.sqrt(plus(variance, fround(1e-5)))));
const layerNorm: Oracle = (x, { R = 0, C = 0 }) =>
  range(R).flatMap((row) => {
    const elements = range(C).map((column) => x('x', row * C + column));
    const mean = divided(lanes(elements), C);
    const d = elements.map((element) => plus(element, -mean));
    const inverse = inverseOf(divided(lanes(d.map((each) => times(each, each))), C));
    return d.map((each, column) => plus(times(times(each, inverse), x('gain', column)), x('bias', column)));
  });

/** normal and dy · gain of a row. */
const normalised = (x: Element, row: number, C: number): { normal: number; g: number; dy: number }[] =>
  range(C).map((column) => {
    const [at, dy] = [row * C + column, x('dy', row * C + column)];
    const normal = times(plus(x('x', at), -x('mean', row)), x('inverseDeviation', row));
    return { normal, dy, g: times(dy, x('gain', column)) };
  });
const layerNormBackward: Oracle = (x, { R = 0, C = 0 }) =>
  range(R).flatMap((row) => {
    const its = normalised(x, row, C);
    const a = divided(lanes(its.map(({ g }) => g)), C);
    const b = divided(lanes(its.map(({ g, normal }) => times(g, normal))), C);
    return its.map(({ g, normal }) => times(x('inverseDeviation', row), plus(times(-normal, b), plus(g, -a))));
  });
const dGain: Oracle = (x, { R = 0, C = 0 }) => {
  const terms = range(R).map((row) => normalised(x, row, C).map(({ dy, normal }) => times(dy, normal)));
  return range(C).map((column) =>
    fold(
      blocksOf(
        terms.map((row) => row[column] as number),
        64,
      ).map(sigma),
    ),
  );
};

const product = (M: number, N: number, K: number, bfloat16 = 0) => ({
  ...{ batch: 1, M, N, K, aBatch: 0, aRow: K, aColumn: 1, bBatch: 0, bRow: N, bColumn: 1, cBatch: 0, cRow: N },
  ...{ bfloat16, activation: 0 },
});

const lengths = [1, 15, 16, 17, 100, 4096, 4097, 9000];
const tables = [
  [1, 3],
  [64, 17],
  [65, 33],
  [200, 5],
] as const;
const products = [
  [3, 17, 1],
  [5, 33, 255],
  [7, 18, 256],
  [4, 35, 257],
  [2, 16, 600],
  [1, 71, 258],
  [19, 1, 300],
] as const;

type Question = readonly [Oracle, string, readonly Case[]];
const questions: readonly Question[] = [
  [sum, 'y', lengths.map((n) => caseOf('sum', { n }))],
  [squaredNorm, 'y', lengths.map((n) => caseOf('squaredNorm', { n }))],
  [columnSum, 'y', tables.map(([R, C]) => caseOf('columnSum', { R, C }))],
  [columnSumAdd, 'y', tables.map(([R, C]) => caseOf('columnSumAdd', { R, C }))],
  [matmul, 'c', products.map(([M, N, K]) => caseOf('matmul', product(M, N, K)))],
  [matmul, 'preActivation', products.map(([M, N, K]) => caseOf('matmul', { ...product(M, N, K), activation: 1 }))],
  [matmulAdd, 'c', products.map(([M, N, K]) => caseOf('matmulAdd', product(M, N, K)))],
  [layerNorm, 'y', tables.map(([R, C]) => caseOf('layerNorm', { R, C }, { scalars: { epsilon: 1e-5 } }))],
  [layerNormBackward, 'dx', tables.map(([R, C]) => caseOf('layerNormBackward', { R, C }))],
  [dGain, 'dGain', tables.map(([R, C]) => caseOf('layerNormBackward', { R, C }))],
];

/** Products of bfloat16 numbers are exact, so these are the bits in fast numerics, too. */
const inBfloat16 = (ofMatmul: Oracle, ofMatmulAdd: Oracle): readonly Question[] => [
  [ofMatmul, 'c', products.map(([M, N, K]) => caseOf('matmul', product(M, N, K, 1)))],
  [ofMatmulAdd, 'c', products.map(([M, N, K]) => caseOf('matmulAdd', product(M, N, K, 1)))],
];

/** Large enough that a matrix unit makes them of float32. */
const largeProducts = [
  [64, 96, 32],
  [96, 64, 65],
  [71, 99, 300],
] as const;
const inParts: readonly Question[] = [
  [matmulByUnit, 'c', largeProducts.map(([M, N, K]) => caseOf('matmul', product(M, N, K)))],
  [matmulAddByUnit, 'c', largeProducts.map(([M, N, K]) => caseOf('matmulAdd', product(M, N, K)))],
];

const elementOf =
  (inputs: Values): Element =>
  (operand, index) =>
    inputs.get(operand)?.[index] as number;

const strict = subjects.filter((subject) => subject.strict);
const executors = subjects.filter(({ backend }) => backend.name !== 'reference');
const units = executors.filter(({ backend }) => backend.bfloat16 === 'amx');
const others = executors.filter((subject) => !units.includes(subject));
for (const [[oracle, output, cases], asked, note] of [
  ...questions.map((question) => [question, strict, ''] as const),
  ...inBfloat16(matmul, matmulAdd).map((question) => [question, others, ' in bfloat16'] as const),
  ...inBfloat16(matmulByUnit, matmulAddByUnit).map((question) => [question, units, ' in bfloat16'] as const),
  ...inParts.map((question) => [question, units, ' in three parts'] as const),
]) {
  const instruction = cases[0]?.instruction ?? 'nothing';
  for (const { title, bench } of asked) {
    test.serial(`${instruction}${note}, ${output}: ${title} adds in the order that the contract states`, async (t) => {
      for (const testCase of cases) {
        const inputs = inputsOf(testCase);
        const { values } = await runCase(bench, testCase, inputs, 'misaligned');
        t.deepEqual([...(values.get(output) ?? [])], [...oracle(elementOf(inputs), testCase.dims)], testCase.title);
      }
    });
  }
}

test('another order gives other bits: the oracle would notice', (t) => {
  const inputs = lengths.map((n) => inputsOf(caseOf('sum', { n })));
  const inLanes = inputs.map((values, i) => sum(elementOf(values), { n: lengths[i] as number })[0]);
  const oneAfterTheOther = inputs.map((values) => sigma([...(values.get('x') ?? [])]));
  t.notDeepEqual(oneAfterTheOther, inLanes);
});

for (const { title, bench } of units) {
  test.serial(
    `${title}: of float32, a factor that is infinite leaves NaN in its row or column and nowhere else`,
    async (t) => {
      const [M, N, K] = [71, 99, 40];
      const testCase = caseOf('matmul', product(M, N, K));
      for (const factor of ['a', 'b']) {
        const inputs = inputsOf(testCase);
        const [line, k] = [67, 33];
        const values = inputs.get(factor) as Float64Array;
        values[factor === 'a' ? line * K + k : k * N + line] = Number.POSITIVE_INFINITY;
        const { values: results } = await runCase(bench, testCase, inputs, 'misaligned');
        const isNan = [...(results.get('c') ?? [])].map(Number.isNaN);
        t.deepEqual(
          isNan,
          range(M * N).map((i) => (factor === 'a' ? Math.floor(i / N) : i % N) === line),
        );
      }
    },
  );
}

if (units.length === 0)
  test.skip('a matrix unit adds in the order that the contract states (skipped: there is none here)', () => {});
if (strict.length === 0)
  test.skip('strict backends add in the order of the contract (skipped: there is none here)', () => {});
