import { type Case, caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import type { Random } from '../support/random.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

const vocabularies = [1, 2, 3, 15, 16, 17, 31, 32, 33, 65, 67, 257, 1025, 4097];
const label = (V: number) => (random: Random) => random.integer(0, V - 1);
const name = 'softmaxCrossEntropy';

type Options = Omit<NonNullable<Parameters<typeof caseOf<typeof name>>[2]>, 'scalars'>;
const plain = (_: typeof name, dims: { N: number; V: number }, options: Options = {}): Case =>
  caseOf(name, dims, { ...options, scalars: { smoothing: 0 } });

conforms(name, [
  ...vocabularies.flatMap((V) =>
    [1, 5].flatMap((N) => [
      plain(name, { N, V }, { fillings: { labels: label(V), denominator: [N] } }),
      plain(name, { N, V }, { absent: ['dLogits'], fillings: { labels: label(V), denominator: [N] } }),
    ]),
  ),
  ...[3, 17, 33].map((V) =>
    plain(
      name,
      { N: 12, V },
      {
        fillings: { labels: [0, -100, V - 1, V, -1, -99, -101, INT_MAX, INT_MIN, 1], denominator: [7] },
        note: 'ignored rows and labels that are none',
      },
    ),
  ),
  ...[17, 33].map((V) =>
    plain(
      name,
      { N: 6, V },
      {
        fillings: { labels: label(V), denominator: [0.25], logits: (random) => 40 * random.value() },
        note: 'large logits',
      },
    ),
  ),
  ...[16, 33].map((V) =>
    plain(
      name,
      { N: 6, V },
      {
        fillings: { labels: [1, 2], denominator: [3], logits: (random, i) => (i % 3 === 0 ? -inf : random.value()) },
        note: '−Infinity is a probability of 0',
      },
    ),
  ),
  plain(
    name,
    { N: 3, V: 19 },
    {
      fillings: {
        labels: [2, -100, 3],
        denominator: [2],
        logits: (random, i) => (Math.floor(i / 19) === 1 ? nan : random.value()),
      },
      note: 'NaN in an ignored row',
    },
  ),
  ...[nan, inf].map((value) =>
    plain(
      name,
      { N: 3, V: 19 },
      {
        fillings: { labels: [2], denominator: [2], logits: (random, i) => (i === 19 + 18 ? value : random.value()) },
        note: `${value} in one row`,
      },
    ),
  ),
  plain(
    name,
    { N: 2, V: 21 },
    { fillings: { labels: [2], denominator: [2], logits: [-inf] }, note: 'nothing but −Infinity' },
  ),
  plain(
    name,
    { N: 2, V: 21 },
    { fillings: { labels: [2], denominator: [2], logits: [3e38] }, note: 'equal huge logits' },
  ),
  plain(
    name,
    { N: 2, V: 21 },
    {
      fillings: { labels: [2, 3], denominator: [2], logits: [3e38, -3e38] },
      note: 'logits whose difference overflows, not that of the label',
    },
  ),
  plain(name, { N: 3, V: 5 }, { fillings: { labels: [2, -100], denominator: [0] }, note: 'a denominator of 0' }),
  plain(name, { N: 0, V: 5 }, { fillings: { denominator: [1] } }),
  plain(name, { N: 3, V: 0 }, { fillings: { labels: [0, -100, -1], denominator: [1] } }),
  ...vocabularies.flatMap((V) =>
    [0.1, 0.5, 1].map((smoothing) =>
      caseOf(
        name,
        { N: 5, V },
        { scalars: { smoothing }, fillings: { labels: label(V), denominator: [5] }, note: `smoothing ${smoothing}` },
      ),
    ),
  ),
  caseOf(
    name,
    { N: 6, V: 19 },
    {
      scalars: { smoothing: 0.1 },
      fillings: { labels: [0, -100, 18, 19, -1, 1], denominator: [7], logits: (random) => 40 * random.value() },
      note: 'smoothing, ignored rows and labels that are none, large logits',
    },
  ),
]);
