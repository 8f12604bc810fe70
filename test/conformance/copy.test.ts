import { caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { lengths, specials } from '../support/sizes.js';

conforms(
  'fill',
  lengths.flatMap((n) =>
    [0, -0, 1.5, Number.NaN, Number.NEGATIVE_INFINITY].map((value) =>
      caseOf('fill', { n }, { scalars: { value }, note: `value=${Object.is(value, -0) ? '-0' : value}` }),
    ),
  ),
);

type Four = readonly [number, number, number, number];

const boxDims = (n: Four, x: Four, y: Four) => ({
  ...{ n0: n[0], n1: n[1], n2: n[2], n3: n[3] },
  ...{ x0: x[0], x1: x[1], x2: x[2], x3: x[3] },
  ...{ y0: y[0], y1: y[1], y2: y[2], y3: y[3] },
});

const dense = ([, n1, n2, n3]: Four): Four => [n1 * n2 * n3, n2 * n3, n3, 1];

/** Boxes and the strides of both sides, by what they are for. */
const boxes: readonly (readonly [string, Four, Four, Four])[] = [
  ...lengths.map((n) => ['one axis', [1, 1, 1, n], dense([1, 1, 1, n]), dense([1, 1, 1, n])] as const),
  ...[1, 3, 16, 17, 33].map((n) => ['dense', [2, 3, 4, n], dense([2, 3, 4, n]), dense([2, 3, 4, n])] as const),
  ...[1, 15, 16, 17, 33].map(
    (n) => ['slice of columns', [1, 2, 5, n], [0, 5 * (n + 9), n + 9, 1], dense([1, 2, 5, n])] as const,
  ),
  ...[1, 15, 16, 17, 33].map(
    (n) => ['into columns', [1, 2, 5, n], dense([1, 2, 5, n]), [0, 5 * (n + 7), n + 7, 1]] as const,
  ),
  ...[1, 16, 17, 33].map((n) => ['transpose', [1, 2, 19, n], [0, 19 * n, 1, 19], dense([1, 2, 19, n])] as const),
  ...[1, 16, 17, 33].map((n) => ['transpose into', [1, 2, 19, n], dense([1, 2, 19, n]), [0, 19 * n, 1, 19]] as const),
  ...[1, 16, 17, 33].map((n) => ['a row repeated', [2, 3, 4, n], [0, 0, 0, 1], dense([2, 3, 4, n])] as const),
  ...[1, 16, 17, 33].map((n) => ['a column repeated', [1, 1, 5, n], [0, 0, 1, 0], dense([1, 1, 5, n])] as const),
  ...[1, 16, 17, 33].map((n) => ['every third', [1, 1, 3, n], [0, 0, 3 * n, 3], [0, 0, 2 * n, 2]] as const),
  ['heads to the front', [2, 4, 5, 8], [160, 8, 32, 1], dense([2, 4, 5, 8])],
  ['nothing', [3, 0, 5, 7], [1, 1, 1, 1], [1, 1, 1, 1]],
  ['nothing', [0, 2, 5, 7], [70, 35, 7, 1], [70, 35, 7, 1]],
  ['large', [1, 1, 201, 199], [0, 0, 1, 201], [0, 0, 199, 1]],
];

for (const instruction of ['copy', 'copyAdd'] as const) {
  conforms(
    instruction,
    boxes.map(([note, n, x, y]) => caseOf(instruction, boxDims(n, x, y), { note })),
  );
}

conforms(
  'copyIf',
  lengths.flatMap((n) =>
    [0, -0, 1, -2, Number.NaN].map((flag) =>
      caseOf(
        'copyIf',
        { n },
        { fillings: { flag: [flag], x: specials }, note: `flag=${Object.is(flag, -0) ? '-0' : flag}` },
      ),
    ),
  ),
);
