import { caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import type { Random } from '../support/random.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

const vocabularies = [1, 2, 3, 15, 16, 17, 31, 32, 33, 65, 67, 257, 1025, 4097];
const label = (V: number) => (random: Random) => random.integer(0, V - 1);
const name = 'softmaxCrossEntropy';

conforms(name, [
  ...vocabularies.flatMap((V) =>
    [1, 5].flatMap((N) => [
      caseOf(name, { N, V }, { fillings: { labels: label(V), denominator: [N] } }),
      caseOf(name, { N, V }, { absent: ['dLogits'], fillings: { labels: label(V), denominator: [N] } }),
    ]),
  ),
  ...[3, 17, 33].map((V) =>
    caseOf(
      name,
      { N: 12, V },
      {
        fillings: { labels: [0, -100, V - 1, V, -1, -99, -101, INT_MAX, INT_MIN, 1], denominator: [7] },
        note: 'ignored rows and labels that are none',
      },
    ),
  ),
  ...[17, 33].map((V) =>
    caseOf(
      name,
      { N: 6, V },
      {
        fillings: { labels: label(V), denominator: [0.25], logits: (random) => 40 * random.value() },
        note: 'large logits',
      },
    ),
  ),
  ...[16, 33].map((V) =>
    caseOf(
      name,
      { N: 6, V },
      {
        fillings: { labels: [1, 2], denominator: [3], logits: (random, i) => (i % 3 === 0 ? -inf : random.value()) },
        note: '−Infinity is a probability of 0',
      },
    ),
  ),
  caseOf(
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
    caseOf(
      name,
      { N: 3, V: 19 },
      {
        fillings: { labels: [2], denominator: [2], logits: (random, i) => (i === 19 + 18 ? value : random.value()) },
        note: `${value} in one row`,
      },
    ),
  ),
  caseOf(
    name,
    { N: 2, V: 21 },
    { fillings: { labels: [2], denominator: [2], logits: [-inf] }, note: 'nothing but −Infinity' },
  ),
  caseOf(
    name,
    { N: 2, V: 21 },
    { fillings: { labels: [2], denominator: [2], logits: [3e38] }, note: 'equal huge logits' },
  ),
  caseOf(
    name,
    { N: 2, V: 21 },
    {
      fillings: { labels: [2, 3], denominator: [2], logits: [3e38, -3e38] },
      note: 'logits whose difference overflows, not that of the label',
    },
  ),
  caseOf(name, { N: 3, V: 5 }, { fillings: { labels: [2, -100], denominator: [0] }, note: 'a denominator of 0' }),
  caseOf(name, { N: 0, V: 5 }, { fillings: { denominator: [1] } }),
  caseOf(name, { N: 3, V: 0 }, { fillings: { labels: [0, -100, -1], denominator: [1] } }),
]);
