import { caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { specials } from '../support/sizes.js';

const widths = [0, 1, 3, 16, 17, 33, 67];

conforms('maskSteps', [
  ...widths.flatMap((C) =>
    [0, 1, 5].flatMap((T) =>
      [1, 6].map((B) =>
        caseOf('maskSteps', { T, B, C }, { fillings: { lengths: [3, 0, T, T + 1, -1, 2 ** 31 - 1, -(2 ** 31)] } }),
      ),
    ),
  ),
  caseOf(
    'maskSteps',
    { T: 4, B: 2, C: 13 },
    { fillings: { lengths: [2], x: specials }, note: 'NaN behind the end is 0' },
  ),
  caseOf('maskSteps', { T: 4, B: 2, C: 13 }, { fillings: { lengths: [4], x: specials }, note: 'special values' }),
  caseOf('maskSteps', { T: 50, B: 20, C: 40 }, { fillings: { lengths: (random) => random.integer(0, 50) } }),
]);

conforms(
  'liveSteps',
  [0, 1, 5].flatMap((T) =>
    [0, 1, 17].map((B) =>
      caseOf('liveSteps', { T, B }, { fillings: { lengths: [3, 0, T, T + 1, -1, 2 ** 31 - 1, -(2 ** 31)] } }),
    ),
  ),
);

const flags = [0, 1, 0, 0, -1, 2 ** 31 - 1, -(2 ** 31)];

conforms('selectRows', [
  ...widths.flatMap((C) =>
    [0, 1, 9].flatMap((R) => [
      caseOf('selectRows', { R, C }, { fillings: { flags } }),
      caseOf('selectRows', { R, C }, { fillings: { flags }, absent: ['a'] }),
      caseOf('selectRows', { R, C }, { fillings: { flags }, absent: ['b'] }),
    ]),
  ),
  caseOf('selectRows', { R: 3, C: 17 }, { fillings: { flags }, absent: ['a', 'b'] }),
  caseOf(
    'selectRows',
    { R: 8, C: 13 },
    { fillings: { flags, a: specials, b: specials.toReversed() }, note: 'special values' },
  ),
  caseOf('selectRows', { R: 1000, C: 70 }, { fillings: { flags } }),
]);

const lengths = [3, 0, 5, 9, -1, 2 ** 31 - 1, -(2 ** 31), 1];

conforms('maxSteps', [
  ...widths.flatMap((C) =>
    [0, 1, 5].flatMap((T) =>
      [1, 6].flatMap((B) => [
        caseOf('maxSteps', { T, B, C }, { fillings: { lengths } }),
        caseOf('maxSteps', { T, B, C }, { absent: ['lengths'] }),
      ]),
    ),
  ),
  caseOf('maxSteps', { T: 5, B: 4, C: 17 }, { fillings: { x: specials }, absent: ['lengths'], note: 'special values' }),
  caseOf(
    'maxSteps',
    { T: 4, B: 2, C: 16 },
    {
      fillings: { lengths: [2, 1], x: (random, i) => (i < 32 ? random.value() : Number.NaN) },
      note: 'NaN behind the end',
    },
  ),
  caseOf('maxSteps', { T: 50, B: 20, C: 40 }, { fillings: { lengths: (random) => random.integer(0, 50) } }),
]);

/** Values of which many are equal, and y is one of them. */
const steps = (_: unknown, index: number): number => (index * 7) % 3;

conforms('maxStepsBackward', [
  ...widths.flatMap((C) =>
    [0, 1, 5].flatMap((T) =>
      [1, 6].flatMap((B) => [
        caseOf('maxStepsBackward', { T, B, C }, { fillings: { lengths, x: steps, y: [2] } }),
        caseOf('maxStepsBackward', { T, B, C }, { absent: ['lengths'], fillings: { x: steps, y: [2] } }),
      ]),
    ),
  ),
  caseOf(
    'maxStepsBackward',
    { T: 5, B: 4, C: 13 },
    { fillings: { x: specials, y: specials }, absent: ['lengths'], note: 'special values: NaN equals nothing' },
  ),
]);
