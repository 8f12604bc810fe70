import test from 'ava';
import { philox } from '../../src/program/philox.js';
import { caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { specials } from '../support/sizes.js';

const lengths = [0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 67, 1025, 40_003];
const keys: readonly (readonly [low: number, high: number, step: number])[] = [
  [1, 2, 3],
  [-1, -2147483648, 2147483647],
  [123456789, 0, -1],
];

conforms('dropout', [
  ...lengths.map((n) =>
    caseOf(
      'dropout',
      { n, stream: 7 },
      { scalars: { rate: 0.3, keepScale: 1 / 0.7 }, fillings: { random: [5, 6, 7] } },
    ),
  ),
  ...keys.map((random) =>
    caseOf(
      'dropout',
      { n: 67, stream: 2 ** 31 - 1 },
      { scalars: { rate: 0.5, keepScale: 2 }, fillings: { random }, note: `${random}` },
    ),
  ),
  ...[0, 1].map((rate) =>
    caseOf(
      'dropout',
      { n: 39, stream: 1 },
      {
        scalars: { rate, keepScale: 1 },
        fillings: { random: [1, 2, 3], x: specials },
        note: `of special values, rate ${rate}`,
      },
    ),
  ),
]);

const draws = { philoxUniform: { low: -0.25, range: 0.5 }, philoxNormal: { mean: 0.5, deviation: 2 } } as const;

conforms('philoxUniform', [
  ...lengths.map((n) =>
    caseOf('philoxUniform', { n, stream: 3 }, { scalars: draws.philoxUniform, fillings: { random: [5, 6, 7] } }),
  ),
  ...keys.map((random) =>
    caseOf(
      'philoxUniform',
      { n: 67, stream: 9 },
      { scalars: { low: 0, range: 1 }, fillings: { random }, note: `${random}` },
    ),
  ),
]);
conforms('philoxNormal', [
  ...lengths.map((n) =>
    caseOf('philoxNormal', { n, stream: 3 }, { scalars: draws.philoxNormal, fillings: { random: [5, 6, 7] } }),
  ),
  ...keys.map((random) =>
    caseOf(
      'philoxNormal',
      { n: 4097, stream: 9 },
      { scalars: { mean: 0, deviation: 1 }, fillings: { random }, note: `${random}` },
    ),
  ),
]);

/** The known answers that come with the authors' Random123 library (`kat_vectors`). */
const knownAnswers = [
  { counter: [0, 0, 0, 0], key: [0, 0], words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
  { counter: [-1, -1, -1, -1], key: [-1, -1], words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd] },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
] as const;

for (const { counter, key, words } of knownAnswers) {
  test(`Philox4x32-10 of ${counter} with ${key} gives the published words`, (t) => {
    t.deepEqual(philox([...counter], key), [...words]);
  });
}
