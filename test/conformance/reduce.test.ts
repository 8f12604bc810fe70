import { caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { lengths } from '../support/sizes.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** Around the blocks of 4096 of the sums. */
const totals = [...lengths, 255, 256, 257, 4095, 4096, 4097, 4096 + 17, 8191, 8193, 3 * 4096 + 5];

for (const instruction of ['sum', 'squaredNorm'] as const) {
  conforms(instruction, [
    ...totals.map((n) => caseOf(instruction, { n })),
    ...[0, 18, 4096, 4999].map((place) =>
      caseOf(
        instruction,
        { n: 5000 },
        { fillings: { x: (random, i) => (i === place ? nan : random.value()) }, note: `NaN at ${place}` },
      ),
    ),
    caseOf(
      instruction,
      { n: 77 },
      { fillings: { x: (random, i) => (i === 70 ? -inf : random.value()) }, note: '−Infinity' },
    ),
    caseOf(
      instruction,
      { n: 77 },
      { fillings: { x: (_, i) => (i === 70 ? -inf : i === 3 ? inf : 1) }, note: '±Infinity' },
    ),
    caseOf(instruction, { n: 77 }, { fillings: { x: [-0] }, note: 'of −0' }),
    caseOf(instruction, { n: 33 }, { fillings: { x: [3e38] }, note: 'overflows' }),
  ]);
}

const rows = [0, 1, 2, 63, 64, 65, 129, 200];
const columns = [0, 1, 3, 15, 16, 17, 33, 67, 130];

for (const instruction of ['columnSum', 'columnSumAdd'] as const) {
  conforms(instruction, [
    ...rows.flatMap((R) => columns.map((C) => caseOf(instruction, { R, C }))),
    caseOf(instruction, { R: 1031, C: 67 }),
    ...[0, 16, 36].map((place) =>
      caseOf(
        instruction,
        { R: 70, C: 37 },
        {
          fillings: { x: (random, i) => (i === 37 * 66 + place ? nan : random.value()) },
          note: `NaN in column ${place}`,
        },
      ),
    ),
  ]);
}
