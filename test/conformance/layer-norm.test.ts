import { reference } from '../support/bench.js';
import { type Case, caseOf, type Fillings, inputsOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { specials } from '../support/sizes.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const scalars = { epsilon: 1e-5 };

interface Options {
  readonly note?: string;
  readonly x?: NonNullable<Fillings<'layerNorm'>['x']>;
  readonly absent?: readonly ('gain' | 'bias')[];
}

/** Forward, and backward with the mean and deviation that belong to the same rows. */
async function casesOf(R: number, C: number, { note = '', x, absent = [] }: Options = {}): Promise<Case[]> {
  const fillings = x === undefined ? {} : { x };
  const forward = caseOf('layerNorm', { R, C }, { scalars, absent, note, fillings });
  const inputs = inputsOf(forward);
  const saved = await reference(forward, inputs);
  const list = (values: Float64Array | undefined): number[] => [...(values ?? [])].map(Math.fround);
  const backward = caseOf(
    'layerNormBackward',
    { R, C },
    {
      note,
      absent: absent.includes('gain') ? ['gain'] : [],
      fillings: {
        x: list(inputs.get('x')),
        mean: list(saved.get('mean')),
        inverseDeviation: list(saved.get('inverseDeviation')),
      },
    },
  );
  return [forward, backward];
}

const cases = (
  await Promise.all([
    ...[1, 2, 3, 15, 16, 17, 33, 64, 65, 128, 200, 1030].flatMap((C) => [1, 5].map((R) => casesOf(R, C))),
    ...[63, 64, 65, 130, 300].map((R) => casesOf(R, 19)),
    casesOf(0, 5),
    casesOf(3, 0),
    casesOf(7, 37, { absent: ['gain'] }),
    casesOf(7, 37, { absent: ['bias'] }),
    casesOf(7, 37, { absent: ['gain', 'bias'] }),
    casesOf(5, 40, { x: (random, index) => 1000 + Math.floor(index / 40) + random.value(), note: 'a large mean' }),
    casesOf(3, 40, { x: [3], note: 'constant rows' }),
    casesOf(13, 13, { x: specials, note: 'special values' }),
    ...[nan, inf, -inf].map((value) =>
      casesOf(6, 35, {
        x: (random, index) => (index === 3 * 35 + 33 ? value : random.value()),
        note: `${value} in a row`,
      }),
    ),
  ])
).flat();

for (const instruction of ['layerNorm', 'layerNormBackward'] as const) {
  const its = cases.filter((testCase) => testCase.instruction === instruction);
  const titles = new Map(its.map((testCase) => [testCase.title, testCase])); // the bias is nothing to the backward one
  conforms(instruction, [...titles.values()]);
}
