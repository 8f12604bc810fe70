/** The bench times nothing that is wrong, and counts the operations of the model's matrix products. */
import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import {
  type Cell,
  cellOf,
  creditedFlops,
  describeCell,
  modelNamed,
  modelNames,
  networkOf,
  smaller,
} from '../../src/bench/models.js';
import { distance, sketchDisagreement, sketchOf } from '../../src/bench/sketch.js';
import { executedFlops, startTraining } from '../../src/bench/training.js';
import {
  type Expectation,
  findDisagreement,
  firstSteps,
  startVerified,
  verifications,
  WrongResultError,
  witnessFor,
} from '../../src/bench/verify.js';
import { OptionError } from '../../src/program/options.js';
import { exact, leavingOut, reference, small, smallBert } from './small.js';

const cells: readonly Cell[] = [
  { hidden: 8, vocabulary: 10, batch: 3, time: 4 },
  { hidden: 8, layers: 3, vocabulary: 10, batch: 3, time: 4 },
  { hidden: 64, vocabulary: 96, batch: 8, time: 32 },
  { hidden: 256, layers: 2, vocabulary: 96, batch: 32, time: 64 },
].flatMap((sizes) => modelNames.map((model) => cellOf(model, sizes)));

for (const cell of cells.filter(({ model }) => model !== 'bert')) {
  test(`${describeCell(cell)}: the operations executed are at most those credited, three times the forward products`, async (t) => {
    const training = await startTraining(cell, reference);
    const executed = await executedFlops(training, cell);
    t.true(executed <= creditedFlops(cell), `${executed} of ${creditedFlops(cell)}`);
    t.true(executed > creditedFlops(cell) / 2, 'no kind of product is overlooked: the recurrence alone is this much');
  });
}

for (const cell of cells.filter(({ model }) => model === 'bert')) {
  test(`${describeCell(cell)}: the operations executed are those credited, and the scores of attention once more`, async (t) => {
    const training = await startTraining(cell, reference);
    const { batch, time, hidden, layers } = cell;
    t.is(await executedFlops(training, cell), creditedFlops(cell) + 2 * layers * batch * time * time * hidden);
  });
}

test('the model of the README is credited with what a reader counts by hand', (t) => {
  const perToken = 2 * (512 * 128 + 512 * 128 + 128 * 96);
  t.is(creditedFlops({ ...small, hidden: 128, vocabulary: 96, batch: 32, time: 64 }), 3 * perToken * 32 * 64);
});

test('BERT-tiny is credited with what a reader counts by hand, its head with every position', (t) => {
  const layer = 128 * 384 + 128 * 128 + 128 * 512 + 512 * 128 + 2 * 128 * 128;
  t.is(creditedFlops(cellOf('bert')), 3 * 1024 * 2 * (2 * layer + 128 * 128 + 128 * 8192));
  t.is(cellOf('bert', { hidden: 768 }).heads, 12);
});

test('sizes that do not fit a model are refused by name', (t) => {
  t.throws(() => cellOf('bert', { heads: 3 }), { instanceOf: OptionError, message: /multiple of `heads`, 3, .*128/ });
  t.throws(() => cellOf('gru', { feedForward: 3 }), {
    instanceOf: OptionError,
    message: /no `feedForward`.*gru.*bert/,
  });
});

test('every cell that is verified in place of a larger one is a model itself', (t) => {
  for (const heads of [2, 8, 16, 512]) {
    const cell = smaller(cellOf('bert', { hidden: 512, heads }));
    t.notThrows(() => networkOf(cell), describeCell(cell));
  }
});

const expect = async (cell: Cell, backend: Backend): Promise<Expectation> => ({
  cell,
  steps: await firstSteps(cell, backend),
  by: 'the reference',
  exact: true,
});

test('float32 agrees with float64, on the smaller shapes that stand for larger ones too', async (t) => {
  for (const cell of cells.map(smaller)) {
    await t.notThrowsAsync(startVerified(cell, reference, [await expect(cell, exact)]), describeCell(cell));
  }
});

test('in bfloat16 float32 agrees with float64, and exact products are found out', async (t) => {
  for (const float32 of [small, smallBert]) {
    const cell = { ...float32, dtype: 'bfloat16' } as const;
    const expectation = await expect(cell, exact);
    await t.notThrowsAsync(startVerified(cell, reference, [expectation]), describeCell(cell));
    t.regex(findDisagreement(expectation, await firstSteps(float32, reference)) ?? '', /gradient/, describeCell(cell));
  }
});

for (const cell of [small, smallBert]) {
  test(`${describeCell(cell)}: a backend that leaves out any one instruction of the step is not timed`, async (t) => {
    const expectations = [await expect(cell, exact)];
    const { trainer } = await startTraining(cell, reference);
    const { calls } = await trainer.program(cell);
    for (const [skipped, { instruction, label }] of calls.entries()) {
      const error = await startVerified(cell, leavingOut('adamw', skipped), expectations).then(() => undefined, String);
      t.regex(error ?? 'timed', /WrongResultError|NonFiniteError/, `without ${instruction} of ${label}`);
    }
  });
}

test('a wrong number is named, with what it was compared with', async (t) => {
  const expectation = await expect(small, reference);
  const { steps, gradients } = expectation.steps;
  const norms = steps.map((step, index) => (index === 1 ? { ...step, gradientNorm: step.gradientNorm * 1.001 } : step));
  const message = findDisagreement(expectation, { steps: norms, gradients });
  t.regex(message ?? '', /step 2: gradientNorm is .* but should be .*compared with the reference/);
  const wrong = { ...expectation, steps: { steps: norms, gradients } };
  await t.throwsAsync(startVerified(small, reference, [wrong]), { instanceOf: WrongResultError });
});

test('shapes that take the reference too long are verified on a smaller one by it, and as they are by another backend', (t) => {
  t.deepEqual(verifications(small), [{ cell: small, byReference: true }]);
  const large = { ...small, hidden: 512, vocabulary: 96, batch: 16, time: 128 };
  t.deepEqual(verifications(large), [
    { cell: smaller(large), byReference: true },
    { cell: large, byReference: false },
  ]);
  const native = { backend: 'native', isa: 'avx2', numerics: 'fast' } as const;
  const wasm = { backend: 'wasm', isa: 'wasm-simd', numerics: 'fast' } as const;
  t.is(witnessFor({ isa: 'avx512' }, [native, wasm]), wasm);
  t.is(witnessFor({ isa: 'wasm-relaxed' }, [native, wasm]), native);
  t.is(witnessFor({ isa: 'avx512' }, [native]), undefined);
});

test('a sketch tells how far two tensors are apart, and one wrong element of thousands', (t) => {
  const values = Float64Array.from({ length: 4096 }, (_, index) => Math.sin(index));
  const noisy = values.map((value, index) => value + 1e-3 * Math.cos(index * index));
  const apart = Math.hypot(...values.map((value, index) => value - (noisy[index] as number)));
  const estimate = distance(sketchOf('x', values), sketchOf('x', noisy));
  t.true(estimate > 0.5 * apart && estimate < 2 * apart, `${estimate} for ${apart}`);
  const one = values.with(4000, (values[4000] as number) * 1.1);
  t.regex(sketchDisagreement([sketchOf('x', values)], [sketchOf('x', one)], 2e-5) ?? '', /^x is .* off/);
  t.is(sketchDisagreement([sketchOf('x', values)], [sketchOf('x', values)], 2e-5), undefined);
  t.regex(sketchDisagreement([sketchOf('x', values)], [sketchOf('x', values.with(7, Number.NaN))], 2e-5) ?? '', /NaN/);
  t.regex(sketchDisagreement([sketchOf('x', values)], [sketchOf('y', values)], 2e-5) ?? '', /x is missing/);
});

test('a tensor that is zero but for rounding is measured against its kind', (t) => {
  const weight = sketchOf('weight', new Float64Array(100).fill(1));
  const [zero, rounding, wrong] = [0, 1e-8, 1e-4].map((value) => sketchOf('bias', new Float64Array(100).fill(value)));
  t.is(sketchDisagreement([weight, zero!], [weight, rounding!], 2e-5), undefined);
  t.regex(sketchDisagreement([weight, zero!], [weight, wrong!], 2e-5) ?? '', /^bias/);
});

test('a model that is not there is refused with those that are', (t) => {
  t.is(modelNamed('lstm'), 'lstm');
  t.throws(() => modelNamed('transformer'), { instanceOf: OptionError, message: /one of lstm.*"transformer"/ });
});
