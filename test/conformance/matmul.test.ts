import { type Case, caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

interface Product {
  readonly batch?: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** A matrix is stored as its transpose. */
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Elements between rows that belong to something else. */
  readonly gap?: number;
  /** One b for the whole batch. */
  readonly shareB?: boolean;
  readonly bfloat16?: number;
  readonly activation?: number;
}

function dimsOf(product: Product) {
  const {
    batch = 1,
    M,
    N,
    K,
    transposeA = false,
    transposeB = false,
    gap = 0,
    shareB = false,
    bfloat16 = 0,
    activation = 0,
  } = product;
  const [aWide, bWide, cRow] = [(transposeA ? M : K) + gap, (transposeB ? K : N) + gap, N + gap];
  return {
    ...{ batch, M, N, K },
    ...{ aBatch: aWide * (transposeA ? K : M), aRow: transposeA ? 1 : aWide, aColumn: transposeA ? aWide : 1 },
    ...{
      bBatch: shareB ? 0 : bWide * (transposeB ? N : K),
      bRow: transposeB ? 1 : bWide,
      bColumn: transposeB ? bWide : 1,
    },
    ...{ cBatch: cRow * M, cRow, bfloat16, activation },
  };
}

const transposes = [
  { transposeA: false, transposeB: false },
  { transposeA: true, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: true },
];

/** M and N around tiles of up to 16 × 64, K around vectors and blocks of 256. */
const sizes: readonly (readonly [M: number, N: number, K: number])[] = [
  ...([
    [2, 3, 2],
    [1, 17, 3],
    [3, 1, 17],
    [1, 16, 257],
    [17, 1, 255],
    [3, 15, 16],
    [5, 16, 15],
    [6, 17, 31],
  ] as const),
  ...([
    [7, 31, 33],
    [8, 32, 65],
    [9, 33, 256],
    [12, 48, 257],
    [13, 63, 5],
    [14, 64, 17],
    [15, 65, 255],
    [16, 67, 32],
  ] as const),
  ...([
    [17, 96, 1],
    [31, 97, 7],
    [33, 130, 19],
    [65, 16, 513],
    [1, 71, 258],
    [70, 2, 37],
    [4, 101, 66],
  ] as const),
];

const products: readonly Product[] = [
  ...sizes.flatMap(([M, N, K]) => transposes.map((transpose) => ({ M, N, K, ...transpose }))),
  ...sizes.slice(4, 12).flatMap(([M, N, K]) => transposes.map((transpose) => ({ M, N, K, gap: 5, ...transpose }))),
  ...transposes.map((transpose) => ({ batch: 3, M: 5, N: 19, K: 18, ...transpose })),
  ...transposes.map((transpose) => ({ batch: 4, M: 7, N: 33, K: 9, gap: 3, shareB: true, ...transpose })),
  ...transposes.map((transpose) => ({ M: 66, N: 135, K: 300, ...transpose })),
  // More rows than are multiplied together, in one block of K and in several.
  ...transposes.map((transpose) => ({ M: 1030, N: 70, K: 3, ...transpose })),
  ...transposes.map((transpose) => ({ M: 515, N: 3, K: 600, ...transpose })),
  // Left factors that lie across: read there; packed because their rows are long, in more blocks than the workspace takes at a time;
  // packed because many panels read them.
  { M: 96, N: 3, K: 1281, transposeA: true },
  { M: 300, N: 3, K: 1281, transposeA: true },
  { M: 13, N: 330, K: 300, transposeA: true },
  // A right factor whose rows are as long as a panel's.
  { M: 130, N: 64, K: 513 },
  // A right factor that is read where it lies: by few rows; by many, its rows being near; not, as they share few sets of a cache.
  { M: 66, N: 80, K: 258 },
  { M: 140, N: 160, K: 257 },
  { M: 19, N: 1024, K: 17 },
  // A result that is fetched ahead, in several blocks of K.
  { M: 260, N: 256, K: 258 },
  // Panels that are packed for three parts: by one lane in several blocks of K, by several lanes.
  { M: 1030, N: 40, K: 260, transposeB: true },
  { M: 1030, N: 40, K: 260, transposeA: true, transposeB: true },
  { M: 1030, N: 178, K: 15, transposeB: true },
  ...([
    { M: 1, N: 1, K: 1 },
    { M: 0, N: 5, K: 3 },
    { M: 4, N: 0, K: 3 },
    { M: 5, N: 17, K: 0 },
    { M: 1030, N: 178, K: 0, transposeB: true },
    { batch: 0, M: 2, N: 3, K: 4 },
  ] as const),
];

/** Strides that are no transpose: a vector repeated as rows or as columns, every second element, and rows of a that share few sets of a cache, and some that lie apart and meet many columns. */
const odd: readonly ReturnType<typeof dimsOf>[] = [
  { ...dimsOf({ M: 9, N: 17, K: 5 }), aRow: 0, aBatch: 0 },
  { ...dimsOf({ M: 9, N: 17, K: 5 }), bColumn: 0, bRow: 1 },
  { ...dimsOf({ M: 9, N: 35, K: 21 }), aColumn: 0, bRow: 0 },
  { ...dimsOf({ M: 9, N: 35, K: 21 }), aColumn: 2, aRow: 42, bColumn: 2, bRow: 70 },
  { ...dimsOf({ M: 131, N: 330, K: 257 }), aRow: 1024, aBatch: 131 * 1024 },
  { ...dimsOf({ M: 131, N: 1030, K: 5 }), aRow: 260, aBatch: 131 * 260 },
];

/** One value in a and in b that is not finite, in the last row and column: its row and column show it, no other element may. */
function notFinite(instruction: 'matmul' | 'matmulAdd', a: number, b: number, bfloat16 = 0): Case[] {
  const [M, N, K] = [7, 37, 19];
  return transposes.map(({ transposeA, transposeB }) => {
    const at = (
      index: number,
      transposed: boolean,
      rows: number,
      columns: number,
    ): readonly [row: number, column: number] =>
      transposed ? [index % rows, Math.floor(index / rows)] : [Math.floor(index / columns), index % columns];
    const isAt = (position: readonly [number, number], row: number, column: number): boolean =>
      position[0] === row && position[1] === column;
    return caseOf(instruction, dimsOf({ M, N, K, transposeA, transposeB, bfloat16 }), {
      note: `a has ${a}, b has ${b}`,
      fillings: {
        a: (random, index) => (isAt(at(index, transposeA, M, K), M - 1, K - 1) ? a : random.value()),
        b: (random, index) => (isAt(at(index, transposeB, K, N), 3, N - 1) ? b : random.value()),
      },
    });
  });
}

/** Half of the place of the last bit of a bfloat16 number from 1 to 2. */
const HALF = 2 ** -8;
const LARGEST = (2 - 2 ** -7) * 2 ** 127;

/** Both sides of where bfloat16 rounds up, and the ties between an even and an odd number. */
const toRound: readonly number[] = [
  ...[1 + HALF, 1 + 3 * HALF, 1 + HALF - 2 ** -23, 1 + HALF + 2 ** -23, 1 + 3 * HALF - 2 ** -23, 2 - HALF],
  ...[LARGEST, LARGEST * (1 + 2 ** -9 - 2 ** -20), 2 ** 127 * (2 - HALF), 2 ** 127 * (2 - 2 ** -23), inf, nan, 0],
].flatMap((value) => [value, -value]);

/** The smallest normal number, subnormal ones, and what becomes 0; those that become normal are the business of strict numerics. */
const subnormal: readonly number[] = [1, 1 - 2 ** -7, 2 ** -7, 3 * 2 ** -8, 2 ** -8, 3 * 2 ** -9, 2 ** -23].map(
  (value) => value * 2 ** -126,
);

/** What `values` become, each alone in a sum: as a factor of 2¹⁰⁰ or 1, in the first and in the second place of a pair. */
function rounded(instruction: 'matmul' | 'matmulAdd', note: string, values: readonly number[], other: number): Case[] {
  const zeros = (count: number): number[] => Array(count).fill(0);
  return [0, 1, 2].flatMap((before) => {
    const K = before + 1;
    const inRow = values.flatMap((value) => [...zeros(before), value]);
    const inColumn = [...zeros(before * values.length), ...values];
    const [rows, columns] = [dimsOf({ M: values.length, N: 3, K, bfloat16: 1 }), { M: 3, N: values.length, K }];
    return [
      caseOf(instruction, rows, { note, fillings: { a: inRow, b: [...zeros(3 * before), ...Array(3).fill(other)] } }),
      caseOf(instruction, dimsOf({ ...columns, bfloat16: 1 }), {
        note,
        fillings: { a: [...zeros(before), other], b: inColumn },
      }),
    ];
  });
}

/** The same sizes and strides with factors in bfloat16, where it matters how they are packed: K odd, 1, and beyond a block. */
const inBfloat16 = (instruction: 'matmul' | 'matmulAdd'): Case[] => [
  ...[...products, { M: 13, N: 70, K: 1 }, { M: 2, N: 2, K: 1 }].map((product) =>
    caseOf(instruction, dimsOf({ ...product, bfloat16: 1 })),
  ),
  ...odd.map((dims) => caseOf(instruction, { ...dims, bfloat16: 1 })),
  ...notFinite(instruction, nan, 1, 1),
  ...notFinite(instruction, inf, 0, 1),
  ...notFinite(instruction, 1, -inf, 1),
  ...rounded(instruction, 'numbers to round', toRound, 1),
  ...rounded(instruction, 'subnormal numbers', subnormal, 2 ** 100),
];

const cases = (instruction: 'matmul' | 'matmulAdd'): Case[] => [
  ...[...products.map(dimsOf), ...odd].map((dims) => caseOf(instruction, dims)),
  ...notFinite(instruction, nan, 1),
  ...notFinite(instruction, inf, 0),
  ...notFinite(instruction, 1, -inf),
  caseOf(instruction, dimsOf({ M: 3, N: 18, K: 2 }), {
    fillings: { a: [inf, 1, 2], b: [0] },
    note: 'Infinity · 0 is NaN',
  }),
  ...inBfloat16(instruction),
];

/** What may follow a product, all of it or nothing and each part alone. */
const followed: readonly Case[] = [1, 2, 3].flatMap((activation) => [
  ...[0, 1, 255, 256, 257, 600].flatMap((K) =>
    [
      { batch: 2, M: 5, N: 67, K, activation },
      { M: 19, N: 3, K, gap: 2, activation },
    ].map((product) => caseOf('matmul', dimsOf(product))),
  ),
  ...products.slice(0, 60).map((product) => caseOf('matmul', dimsOf({ ...product, activation }))),
  ...(
    [['residual'], ['preActivation'], ['bias', 'residual', 'preActivation'], ['bias', 'preActivation']] as const
  ).flatMap((absent) =>
    [
      { M: 17, N: 131, K: 33, activation },
      { batch: 3, M: 130, N: 2, K: 9, activation },
      { M: 3, N: 18, K: 300, gap: 1, activation },
    ].map((product) => caseOf('matmul', dimsOf(product), { absent })),
  ),
  ...[0, 4].map((K) =>
    caseOf('matmul', dimsOf({ M: 5, N: 33, K, activation }), {
      absent: ['bias'],
      fillings: { a: [0], residual: [nan, inf, -inf, 0, -0, 1, -1, 40, -40, 1e30, -1e30, 1e-30] },
      note: 'special residual',
    }),
  ),
]);

/** Results that do not fit a core's caches, with rows that begin where vectors do, and others. */
const large: readonly Case[] = [
  { M: 600, N: 672, K: 3, transposeB: true },
  { M: 604, N: 671, K: 3, transposeA: true },
  { M: 600, N: 672, K: 5, bfloat16: 1 },
].map((product) => caseOf('matmul', dimsOf(product), { absent: ['residual', 'preActivation'] }));

conforms('matmul', [
  ...large,
  ...cases('matmul'),
  ...products.map((product) => caseOf('matmul', dimsOf(product), { absent: ['bias', 'residual', 'preActivation'] })),
  caseOf('matmul', dimsOf({ M: 66, N: 135, K: 300 }), { absent: ['residual'] }),
  caseOf('matmul', dimsOf({ M: 66, N: 135, K: 300 }), { absent: ['preActivation'] }),
  caseOf('matmul', dimsOf({ M: 3, N: 20, K: 5, activation: 4 }), { note: 'an activation that there is not is none' }),
  ...followed,
  caseOf('matmul', dimsOf({ M: 5, N: 33, K: 4 }), { fillings: { bias: [nan, inf, -inf, 0, 1] }, note: 'special bias' }),
]);
conforms('matmulAdd', [
  ...cases('matmulAdd'),
  caseOf('matmulAdd', dimsOf({ M: 5, N: 33, K: 4 }), {
    fillings: { c: [nan, inf, -inf, 0, 1] },
    note: 'special values in c stay',
  }),
]);
