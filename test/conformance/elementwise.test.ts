import { caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { lengths, specials, tameSpecials } from '../support/sizes.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

for (const instruction of ['add', 'mul', 'div'] as const) {
  conforms(instruction, [
    ...lengths.map((n) => caseOf(instruction, { n })),
    caseOf(
      instruction,
      { n: 11 * 13 },
      { fillings: { a: specials, b: tameSpecials }, note: 'every special value with every other' },
    ),
  ]);
}

conforms('scale', [
  ...lengths.map((n) => caseOf('scale', { n }, { scalars: { factor: -1.7 } })),
  ...[0, -0, 1, 3, nan, inf].map((factor) =>
    caseOf(
      'scale',
      { n: 39 },
      { scalars: { factor }, fillings: { x: specials }, note: `specials · ${Object.is(factor, -0) ? '-0' : factor}` },
    ),
  ),
]);

conforms('sqrt', [
  ...lengths.map((n) => caseOf('sqrt', { n }, { fillings: { x: (random) => 10 * random.uniform() } })),
  caseOf('sqrt', { n: 39 }, { fillings: { x: specials }, note: 'special values' }),
]);

conforms('scaleBy', [
  ...lengths.map((n) => caseOf('scaleBy', { n })),
  ...[0, 1, nan, inf].map((factor) =>
    caseOf('scaleBy', { n: 39 }, { fillings: { x: specials, factor: [factor] }, note: `specials · ${factor}` }),
  ),
]);

/** −100 … 100 in steps that hit no special value: saturation, the middle, and around 0. */
const wide = (index: number): number => (index - 1000) / 10.01;
const nearZero = (index: number): number => (index % 2 === 0 ? 1 : -1) * 2 ** -(index / 8);
const huge: readonly number[] = [...specials, 88, -88, 89, -89, 104, -104, 1e4, -1e4, 1e10, -1e10];

for (const instruction of ['sigmoid', 'tanh', 'relu', 'gelu', 'geluTanh'] as const) {
  conforms(instruction, [
    ...lengths.map((n) => caseOf(instruction, { n })),
    caseOf(instruction, { n: 2001 }, { fillings: { x: (_, index) => wide(index) }, note: 'from −100 to 100' }),
    caseOf(instruction, { n: 801 }, { fillings: { x: (_, index) => nearZero(index) }, note: 'towards 0' }),
    caseOf(instruction, { n: 3 * huge.length }, { fillings: { x: huge }, note: 'special and huge values' }),
  ]);
}

for (const instruction of ['sigmoidBackward', 'tanhBackward', 'reluBackward'] as const) {
  conforms(instruction, [
    ...lengths.map((n) => caseOf(instruction, { n })),
    caseOf(
      instruction,
      { n: 11 * 13 },
      {
        fillings: { y: [0, -0, 1, -1, 0.5, -0.5, nan, 0.25, -0.25, 0.75, 0.125], dy: specials },
        note: 'special values',
      },
    ),
  ]);
}

for (const instruction of ['geluBackward', 'geluTanhBackward'] as const) {
  const around = { dy: (random: { value(): number }) => random.value() };
  conforms(instruction, [
    ...lengths.map((n) => caseOf(instruction, { n })),
    caseOf(
      instruction,
      { n: 2001 },
      { fillings: { x: (_, index) => wide(index), ...around }, note: 'from −100 to 100' },
    ),
    caseOf(instruction, { n: 801 }, { fillings: { x: (_, index) => nearZero(index), ...around }, note: 'towards 0' }),
    caseOf(
      instruction,
      { n: 13 * huge.length },
      { fillings: { x: huge, dy: specials }, note: 'special and huge values' },
    ),
  ]);
}
