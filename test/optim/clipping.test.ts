import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { clipByValue } from '../../src/ops/optimizer.js';
import { OptionError } from '../../src/program/options.js';
import { NonFiniteError } from '../../src/train/locate.js';
import { Model } from '../../src/train/model.js';
import { Trainer } from '../../src/train/trainer.js';
import type { TrainerOptions } from '../../src/train/trainer-options.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { LinearNetwork } from '../train/linear-network.js';

onEvery('clipping by value cuts elements off at the limit and leaves the others bit for bit', async (t, backend) => {
  const most = 0.3;
  const x = [0, -0, 1e-30, -1e-9, 0.1, -0.29, 0.3, -0.3, 0.31, -0.5, 7, -1e6, 1e18].map(Math.fround);
  const graph = new Graph();
  graph.output('y', clipByValue(graph.input('x', [x.length]), most));
  const { y } = await new Engine(backend).run(plan(graph), { x });
  for (const [index, value] of x.entries()) {
    const clipped = y?.[index] as number;
    if (Math.abs(value) < most) t.is(clipped, value);
    // One rounding each of 1 / most, the product, the sum and the quotient; of a float32 also that of 0.3 itself.
    else t.true(Math.abs(clipped - Math.sign(value) * most) <= 5 * 2 ** -24 * most, `${value} became ${clipped}`);
  }
});

/** One step of SGD at rate 1 from zero: what the gradient has become, and what the step says. */
async function step(gradient: readonly number[], options: TrainerOptions) {
  const network = new LinearNetwork({ a: [gradient.length] });
  const model = new Model(network, float64);
  await model.allocate();
  const trainer = new Trainer(model, { learningRate: 1, weightDecay: 0, optimizer: { kind: 'sgd' }, ...options });
  const [taken] = await trainer.fit([network.batch(gradient)]);
  const a = await model.engine.read(network.parameters.arena.get('a'));
  return { taken: taken!, used: Array.from(a, (value) => -value) };
}

const near = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, index) => Math.abs(value - (b[index] as number)) <= 1e-12);

test('clipping by value alone leaves the norm alone, and the step says the norm from before', async (t) => {
  const { taken, used } = await step([2, -3, 6, 0.5], { clipValue: 1 });
  t.true(near(used, [1, -1, 1, 0.5]), used.join());
  t.is(taken.gradientNorm, Math.sqrt(4 + 9 + 36 + 0.25));
  t.is(taken.clipFactor, 1);
});

test('elements are limited first, then their norm', async (t) => {
  const { taken, used } = await step([2, -3, 6, 0], { clipValue: 2, clipNorm: 1 });
  const factor = 1 / (Math.sqrt(12) + 1e-6);
  t.true(near(used, [2 * factor, -2 * factor, 2 * factor, 0]), used.join());
  t.is(taken.gradientNorm, 7);
  t.true(near([taken.clipFactor], [factor]));
});

test('planted fault: limiting the norm first is noticed', async (t) => {
  const { used } = await step([2, -3, 6, 0], { clipValue: 2, clipNorm: 1 });
  t.false(
    near(
      used,
      [2, -3, 6, 0].map((g) => g / 7),
    ),
  );
});

test('a gradient that is not finite is not made finite by clipping', async (t) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await t.throwsAsync(step([1, value], { clipValue: 1 }), { instanceOf: NonFiniteError });
  }
});

test('a limit that is none is refused', async (t) => {
  for (const clipValue of [0, -1, Number.NaN]) {
    await t.throwsAsync(step([1], { clipValue }), { instanceOf: OptionError, message: /`clipValue`.*above 0/ });
  }
});
