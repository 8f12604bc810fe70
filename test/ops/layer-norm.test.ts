/** The instruction pair against the composition of small ops that it stands for. */
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { broadcastColumns, broadcastRows, sumColumns } from '../../src/ops/broadcast.js';
import { full } from '../../src/ops/copy.js';
import { add, divide, mul, scale, sqrt, subtract } from '../../src/ops/elementwise.js';
import { type LayerNormWeights, layerNorm } from '../../src/ops/layer-norm.js';
import { float64 } from '../graph/evaluate.js';
import { randomArray } from '../support/gradcheck.js';
import { randomFrom } from '../support/random.js';

const [R, C, epsilon] = [7, 16, 1e-3];

/** gain ⊙ (x − mean) / √(variance + ε) + bias, from sums and broadcasts. */
function composition(x: Tensor, { gain, bias }: LayerNormWeights): Tensor {
  const mean = scale(sumColumns(x), 1 / C);
  const centred = subtract(x, broadcastColumns(mean, C));
  const variance = scale(sumColumns(mul(centred, centred)), 1 / C);
  const deviation = sqrt(add(variance, full(x.graph, [R], epsilon)));
  const normal = divide(centred, broadcastColumns(deviation, C));
  const scaled = gain === undefined ? normal : mul(normal, broadcastRows(gain, R));
  return bias === undefined ? scaled : add(scaled, broadcastRows(bias, R));
}

type Values = Readonly<Record<string, Float64Array>>;

/** y and the gradients of all inputs, in float64. */
async function evaluate(
  of: (x: Tensor, weights: LayerNormWeights) => Tensor,
  weights: readonly string[],
): Promise<Values> {
  const random = randomFrom('layer norm');
  const graph = new Graph();
  const x = graph.input('x', [R, C]);
  const gain = weights.includes('gain') ? graph.input('gain', [C]) : undefined;
  const bias = weights.includes('bias') ? graph.input('bias', [C]) : undefined;
  const dy = graph.input('dy', [R, C]);
  const y = of(x, { gain, bias });
  graph.output('y', y);
  const leaves = { x, gain, bias };
  const to = Object.values(leaves).filter((leaf) => leaf !== undefined);
  const gradients = differentiate(graph, { from: new Map([[y, dy]]), to });
  for (const [name, leaf] of Object.entries(leaves)) {
    const gradient = leaf && gradients.get(leaf);
    if (gradient !== undefined) graph.output(`d${name}`, gradient);
  }
  const inputs = Object.fromEntries(
    [...graph.inputs].map(([name, { elements }]) => [name, randomArray(random, elements)]),
  );
  return (await new Engine(float64).run(plan(graph), inputs)) as Values;
}

const furthest = (a: Values, b: Values): number =>
  Math.max(
    ...Object.entries(a).flatMap(([name, its]) =>
      [...its].map((value, i) => Math.abs(value - (b[name]?.[i] as number))),
    ),
  );

for (const weights of [['gain', 'bias'], ['gain'], ['bias'], []]) {
  test(`layerNorm with ${weights.join(' and ') || 'neither gain nor bias'} is what its small ops give`, async (t) => {
    const expected = await evaluate(composition, weights);
    const received = await evaluate((x, its) => layerNorm(x, its, epsilon), weights);
    t.deepEqual(Object.keys(received), ['y', 'dx', ...weights.map((name) => `d${name}`)]);
    t.true(furthest(expected, received) < 1e-12);
  });
}

test('planted fault: another ε is noticed', async (t) => {
  const expected = await evaluate(composition, []);
  t.true(furthest(expected, await evaluate((x, its) => layerNorm(x, its, 1.01 * epsilon), [])) > 1e-6);
});
