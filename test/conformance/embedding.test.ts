import { caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { specials } from '../support/sizes.js';

const widths = [0, 1, 3, 15, 16, 17, 33, 67, 130];
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

for (const instruction of ['embedding', 'embeddingBackward'] as const) {
  conforms(instruction, [
    ...widths.flatMap((C) =>
      [0, 1, 7, 40].map((N) =>
        caseOf(instruction, { N, V: 11, C }, { fillings: { ids: (random) => random.integer(0, 10) } }),
      ),
    ),
    ...widths.map((C) =>
      caseOf(
        instruction,
        { N: 24, V: 5, C },
        { fillings: { ids: [0, 4, 5, -1, 2, INT_MAX, INT_MIN, -100, 2 ** 30, 4] }, note: 'ids outside the table' },
      ),
    ),
    ...widths.map((C) =>
      caseOf(instruction, { N: 30, V: 3, C }, { fillings: { ids: [1] }, note: 'one id again and again' }),
    ),
    caseOf(instruction, { N: 3, V: 0, C: 5 }, { fillings: { ids: [0, 1, -1] }, note: 'no table' }),
    caseOf(
      instruction,
      { N: 9, V: 4, C: 13 },
      { fillings: { ids: [0, 1, 2], table: specials, dy: specials, dTable: [1] }, note: 'special values' },
    ),
    caseOf(instruction, { N: 700, V: 50, C: 64 }, { fillings: { ids: (random) => random.integer(0, 49) } }),
  ]);
}
