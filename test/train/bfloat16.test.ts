/** Training with `dtype: 'bfloat16'`: which products it takes, what its gradients are worth, and that it learns as float32 does. */
import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { toBfloat16 } from '../../src/backends/reference/bfloat16.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { type Cell, cellOf, type ModelName } from '../../src/bench/models.js';
import { startTraining, type Training } from '../../src/bench/training.js';
import { OptionError } from '../../src/program/options.js';
import { Trainer, type TrainingStep } from '../../src/train/trainer.js';
import { onFast } from './backends.js';

const sizes = { hidden: 32, vocabulary: 20, batch: 8, time: 16 };
const cells = {
  lstm: (dtype) => cellOf('lstm', { ...sizes, layers: 1 }, dtype),
  bert: (dtype) => cellOf('bert', { ...sizes, layers: 2, heads: 2 }, dtype),
} satisfies Partial<Record<ModelName, (dtype: Cell['dtype']) => Cell>>;
const names = Object.keys(cells) as (keyof typeof cells)[];

const exact = referenceBackend({ isa: 'float64' });

/** Gradients of the first step, by parameter. */
async function gradientsOf({ model, trainer, batches }: Training): Promise<Map<string, Float64Array>> {
  await trainer.fit(batches, { steps: 1 });
  const gradients = new Map<string, Float64Array>();
  for (const variable of trainer.arenas[0]?.variables ?? []) {
    gradients.set(variable.name, Float64Array.from(await model.engine.read(variable)));
  }
  await model.engine.close();
  return gradients;
}

const norm = (values: Float64Array): number => Math.hypot(...values);
const distance = (a: Float64Array, b: Float64Array): number => norm(a.map((value, i) => value - (b[i] as number)));

/** Of all gradients together: some of them are mathematically zero and have no relative error. */
function relativeError(actual: ReadonlyMap<string, Float64Array>, expected: ReadonlyMap<string, Float64Array>): number {
  const all = (gradients: ReadonlyMap<string, Float64Array>): Float64Array =>
    Float64Array.from([...expected.keys()].flatMap((name) => [...(gradients.get(name) as Float64Array)]));
  return distance(all(actual), all(expected)) / norm(all(expected));
}

for (const name of names) {
  test(`${name}: every matrix product of a step takes bfloat16, forward and backward, and by default none`, async (t) => {
    for (const [dtype, expected] of [
      ['bfloat16', 1],
      ['float32', 0],
    ] as const) {
      const cell = cells[name](dtype);
      const { trainer } = await startTraining(cell, exact);
      const { calls } = await trainer.program(cell);
      const products = calls.filter(({ dims }) => 'bfloat16' in dims);
      t.true(products.length > 5);
      t.deepEqual([...new Set(products.map(({ dims }) => dims.bfloat16))], [expected]);
    }
  });
}

/**
 * Differences of losses would tell nothing of slopes: a loss of rounded factors is a staircase. So gradients are compared with those of
 * exact products. A factor is rounded by 2⁻⁹ of itself at most, a product of two by 2⁻⁸, and a gradient is a sum of such products behind
 * others: eight in a row on the way through two layers of BERT. The errors are of either sign, so that all of them hardly come together,
 * and half of the bound 8 · 2⁻⁸ is allowed. Float32 is below 2⁻¹⁶, so 2⁻¹¹ at least shows that something was rounded.
 */
const [LEAST, MOST] = [2 ** -11, 2 ** -6];

for (const name of names) {
  onFast(`${name}: gradients are those of exact products, but for the rounding of factors`, async (t, backend) => {
    const expected = await gradientsOf(await startTraining(cells[name]('float32'), exact));
    const rounded = await gradientsOf(await startTraining(cells[name]('bfloat16'), backend));
    const error = relativeError(rounded, expected);
    t.true(error > LEAST && error < MOST, `${error}`);
    const same = await gradientsOf(await startTraining(cells[name]('float32'), backend));
    t.true(relativeError(same, expected) < 2 ** -16, 'float32 passes for bfloat16');
  });
}

const STEPS = 300;

type AfterStep = (training: Training, step: TrainingStep) => Promise<void>;

/** Losses of the steps, from other initial values for another seed. */
async function curve(
  cell: Cell,
  backend: Backend,
  { seed = 1, after }: { seed?: number; after?: AfterStep } = {},
): Promise<number[]> {
  const training = await startTraining(cell, backend);
  await training.model.initialise(seed);
  const losses: number[] = [];
  for await (const step of training.trainer.train(training.batches, { steps: STEPS })) {
    losses.push(step.loss);
    await after?.(training, step);
  }
  await training.model.engine.close();
  return losses;
}

/** The fault that master weights in float32 are there to prevent: what is below half of a bfloat16 number's last place is lost. */
const roundWeights: AfterStep = async ({ model }) => {
  const parameters = await model.readParameters();
  await model.writeParameters(
    Object.fromEntries(parameters.map(([{ name }, values]) => [name, values.map(toBfloat16)])),
  );
};

/** Largest difference of two curves, relative to the first. */
const apart = (expected: readonly number[], actual: readonly number[]): number =>
  Math.max(...expected.map((loss, step) => Math.abs((actual[step] as number) - loss) / loss));

/**
 * As close as that: 2⁻⁶ of the loss at every step, four times what the rounding of a single product may be. It is far less than what
 * other initial values make of the curve, which is the noise of float32 itself; and weights that are rounded, too, are twice as far off.
 */
const CLOSE = 2 ** -6;

for (const name of names) {
  onFast(
    `${name}: the loss goes the way it goes in float32, and would not with rounded weights`,
    async (t, backend) => {
      const float32 = await curve(cells[name]('float32'), backend);
      t.true((float32.at(-1) as number) < (float32[0] as number) / 2, 'it does not learn');
      const off = {
        bfloat16: apart(float32, await curve(cells[name]('bfloat16'), backend)),
        anotherSeed: apart(float32, await curve(cells[name]('float32'), backend, { seed: 2 })),
        roundedWeights: apart(float32, await curve(cells[name]('bfloat16'), backend, { after: roundWeights })),
      };
      t.true(off.bfloat16 > 0 && off.bfloat16 < CLOSE, JSON.stringify(off));
      t.true(off.anotherSeed > CLOSE, JSON.stringify(off));
      t.true(off.roundedWeights > CLOSE, 'the planted fault was not found');
    },
  );
}

test('a dtype that is not there is refused', async (t) => {
  const { model } = await startTraining(cells.lstm('float32'), exact);
  t.throws(() => new Trainer(model, { dtype: 'float16' as never }), {
    instanceOf: OptionError,
    message: /`dtype` to be one of float32, bfloat16 but received "float16"/,
  });
});
