import { type AttentionSizes, attentionCases } from '../support/attention.js';
import { conforms } from '../support/conform.js';

const { NaN: nan } = Number;

const sizesOf = (B: number, T: number, NH: number, HS: number, causal = 0): AttentionSizes => ({
  B,
  T,
  NH,
  HS,
  causal,
});
/** Around the blocks of 64 keys, and head sizes around the lane counts and the tiles. */
const sizes: readonly AttentionSizes[] = [
  ...[1, 4, 5, 32, 64, 80, 256].map((HS) => sizesOf(2, 1, 2, HS)),
  ...[1, 4, 5, 17, 32, 64, 80, 256].map((HS) => sizesOf(2, 65, 1, HS)),
  ...[2, 3, 15, 16, 17, 33, 63, 64, 66, 128, 129].map((T) => sizesOf(1, T, 2, 5)),
  ...[1, 4, 32, 64].map((HS) => sizesOf(1, 257, 1, HS)),
  sizesOf(3, 20, 3, 8),
  sizesOf(0, 5, 2, 4),
  sizesOf(2, 0, 2, 4),
  sizesOf(2, 5, 0, 4),
];
const ofEveryMask = (T: number): number[] => [...Array(T).keys()];
/** What the rows of a batch have: some keys at the end, in the middle, at the beginning masked; only the first key; no key at all. */
const maskRows: Readonly<Record<string, (T: number) => number[]>> = {
  'padded at the end': (T) => ofEveryMask(T).map((j) => Number(j < T - T / 3)),
  'with holes': (T) => ofEveryMask(T).map((j) => [1, 0, -1, 2 ** 31 - 1, 0][j % 5] as number),
  'padded at the beginning': (T) => ofEveryMask(T).map((j) => Number(j >= T - 2)),
  'one key': (T) => ofEveryMask(T).map((j) => Number(j === 0)),
  'no key': (T) => ofEveryMask(T).map(() => 0),
};
/** A matrix unit makes the products of heads so wide and sequences so long. */
const byUnit = { HS: 32, T: 96 };
const masked = (
  [
    [5, 8],
    [65, 8],
    [150, 8],
    [150, byUnit.HS],
  ] as const
).flatMap(([T, HS]) =>
  [0, 1].map((causal) => {
    const rows = Object.values(maskRows).map((row) => row(T));
    return attentionCases(sizesOf(rows.length, T, 1, HS, causal), {
      fillings: { mask: rows.flat() },
      note: 'masks of all kinds',
    });
  }),
);

/** One element of one head's part of one row is NaN: Q 0, K 1, V 2. */
const nanAt =
  ({ T, NH, HS }: AttentionSizes, which: number, b: number, t: number) =>
  (random: { value(): number }, index: number): number =>
    index === ((b * T + t) * 3 + which) * NH * HS + 1 ? nan : random.value();
const withNan = [sizesOf(2, 70, 2, 5), sizesOf(2, 100, 2, byUnit.HS)];

const cases = await Promise.all([
  ...sizes.map((each) => attentionCases(each, { absent: ['mask'] })),
  ...[1, 2, 17, 64, 65, 129, 257].map((T) => attentionCases(sizesOf(1, T, 1, 8, 1), { absent: ['mask'] })),
  ...[byUnit.T - 1, byUnit.T, 113, 128, 193].flatMap((T) =>
    [byUnit.HS - 1, byUnit.HS, 49].map((HS) => attentionCases(sizesOf(1, T, 1, HS), { absent: ['mask'] })),
  ),
  ...[96, 129, 160, 257].map((T) => attentionCases(sizesOf(1, T, 1, byUnit.HS, 1), { absent: ['mask'] })),
  attentionCases(sizesOf(1, 520, 1, byUnit.HS), { absent: ['mask'], note: 'more than a group of queries' }),
  attentionCases(sizesOf(1, 520, 1, byUnit.HS, 1), { absent: ['mask'], note: 'more than a group of queries' }),
  ...masked,
  ...[1, 5, 64, 67, 130].flatMap((T) =>
    [0, 1].map((causal) => attentionCases(sizesOf(2, T, 2, 4, causal), { absent: ['mask'], rate: 0.3 })),
  ),
  ...[0, 1].map((causal) => attentionCases(sizesOf(1, 130, 2, byUnit.HS, causal), { absent: ['mask'], rate: 0.3 })),
  attentionCases(sizesOf(2, 70, 2, 16), {
    rate: 0.1,
    fillings: { mask: (_, j) => Number(j % 70 < 60) },
    note: 'masked',
  }),
  attentionCases(sizesOf(1, 20, 1, 4), {
    absent: ['mask'],
    rate: 0.5,
    fillings: { random: [-1, -(2 ** 31), 2 ** 31 - 1] },
  }),
  ...[sizesOf(1, 70, 1, 4), sizesOf(1, 300, 1, byUnit.HS)].map((size) =>
    attentionCases(size, {
      absent: ['mask'],
      fillings: { qkv: (random) => 20 * random.value() },
      note: 'large scores',
    }),
  ),
  attentionCases(sizesOf(1, 70, 1, 4), { absent: ['mask'], fillings: { qkv: [0] }, note: 'equal scores' }),
  ...withNan.flatMap((size) =>
    [0, 1, 2].flatMap((which) => [
      attentionCases(size, {
        absent: ['mask'],
        fillings: { qkv: nanAt(size, which, 1, 66) },
        note: `NaN in ${['a query', 'a key', 'a value'][which]}`,
      }),
      attentionCases(size, {
        fillings: { mask: (_, j) => Number(j % size.T !== 66), qkv: nanAt(size, which, 1, 66) },
        note: `NaN in ${['the query', 'the key', 'the value'][which]} of a masked key`,
      }),
    ]),
  ),
]);

conforms(
  'attention',
  cases.map(({ attention }) => attention),
);
conforms(
  'attentionBackward',
  cases.map(({ attentionBackward }) => attentionBackward),
);
