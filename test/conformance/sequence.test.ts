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
