/** Cells for `unroll`, the rare ones too: what they compute, and their gradients. */
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { lstmCell, rnnCell, zoneout } from '../../src/ops/cells.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import { mul } from '../../src/ops/elementwise.js';
import { type Cell, unroll } from '../../src/ops/unroll.js';
import { float64 } from '../graph/evaluate.js';
import { gradientFaults } from '../graph/gradient-check.js';

const [T, B, H, P] = [4, 3, 5, 2];
type Tensors = Readonly<Record<string, Tensor>>;

const fixed = {
  lengths: { shape: [B], values: [4, 2, 3], type: 'i32' as const },
  resets: { shape: [T, B], values: [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], type: 'i32' as const },
};
const vectors = { pi: [H], pf: [H], po: [H] };
const norms = { hg: [4 * H], hb: [4 * H], cg: [H], cb: [H] };

const peepholesOf = ({ pi, pf, po }: Tensors) => ({
  input: pi as Tensor,
  forget: pf as Tensor,
  output: po as Tensor,
});
const normsOf = ({ hg, hb, cg, cb }: Tensors) => ({ hidden: { gain: hg, bias: hb }, cell: { gain: cg, bias: cb } });

const cells: readonly (readonly [
  title: string,
  width: number,
  leaves: Record<string, readonly number[]>,
  cell: (tensors: Tensors) => Cell,
])[] = [
  ['with peepholes', H, vectors, (its) => lstmCell({ hiddenWeight: its.w as Tensor, peepholes: peepholesOf(its) })],
  ['with layer normalisation', H, norms, (its) => lstmCell({ hiddenWeight: its.w as Tensor, norms: normsOf(its) })],
  [
    'with all of it, projected',
    P,
    { ...vectors, ...norms, r: [P, H] },
    (its) =>
      lstmCell({
        hiddenWeight: its.w as Tensor,
        projection: its.r,
        peepholes: peepholesOf(its),
        norms: normsOf(its),
      }),
  ],
];

for (const [title, width, leaves, cell] of cells) {
  test(`the gradient of an LSTM ${title} is that of central differences, with lengths and resets`, async (t) => {
    const faults = await gradientFaults<string, string>(t.title, {
      leaves: { x: [T, B, 4 * H], w: [4 * H, width], h: [B, width], c: [B, H], ...leaves },
      fixed,
      trace: (its) => {
        const { lengths, resets } = its;
        const start = [its.h as Tensor, its.c as Tensor] as const;
        const { output, last } = unroll(cell(its), its.x as Tensor, [...start], { lengths, resets });
        return { output, h: last[0] as Tensor, c: last[1] as Tensor };
      },
    });
    t.deepEqual(faults, []);
  });
}

test('the gradient through zoneout in training is that of central differences', async (t) => {
  const faults = await gradientFaults<string, string>(t.title, {
    leaves: { x: [T, B, 4 * H], w: [4 * H, H], h: [B, H], c: [B, H] },
    fixed: { random: { shape: [3], values: [5, 6, 7], type: 'i32' } },
    trace: ({ x, w, h, c, random }) => {
      const cell = lstmCell({ hiddenWeight: w as Tensor });
      const zoned = zoneout(cell, T, { rates: [0.3, 0.5], random, streams: [1, 2] });
      const { output, last } = unroll(zoned, x as Tensor, [h as Tensor, c as Tensor]);
      return { output, c: last[1] as Tensor };
    },
  });
  t.deepEqual(faults, []);
});

/** Runs a trace whose inputs are the numbers given, in float64. */
async function evaluate(
  inputs: Readonly<Record<string, { shape: readonly number[]; values: readonly number[]; type?: 'i32' }>>,
  trace: (tensors: Tensors) => Readonly<Record<string, Tensor>>,
): Promise<Record<string, Float64Array>> {
  const graph = new Graph();
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, type }]) => [name, graph.input(name, shape, type)]),
  );
  for (const [name, tensor] of Object.entries(trace(tensors))) graph.output(name, tensor);
  const values = Object.fromEntries(Object.entries(inputs).map(([name, { values }]) => [name, values]));
  return (await new Engine(float64).run(plan(graph), values)) as Record<string, Float64Array>;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

test('a step with peepholes: i and f see the old cell, o the new one', async (t) => {
  const { h, c } = await evaluate(
    {
      x: { shape: [1, 1, 4], values: [0.1, 0.2, 0.3, 0.4] },
      w: { shape: [4, 1], values: [1, 2, 3, 4] },
      ...{ pi: { shape: [1], values: [0.5] }, pf: { shape: [1], values: [-0.6] }, po: { shape: [1], values: [0.7] } },
      ...{ h: { shape: [1, 1], values: [0.25] }, c: { shape: [1, 1], values: [-0.8] } },
    },
    (its) => {
      const cell = lstmCell({ hiddenWeight: its.w as Tensor, peepholes: peepholesOf(its) });
      const { last } = unroll(cell, its.x as Tensor, [its.h as Tensor, its.c as Tensor]);
      return { h: last[0] as Tensor, c: last[1] as Tensor };
    },
  );
  const i = sigmoid(0.1 + 0.25 + 0.5 * -0.8);
  const f = sigmoid(0.2 + 0.5 + -0.6 * -0.8);
  const cell = f * -0.8 + i * Math.tanh(0.3 + 0.75);
  const o = sigmoid(0.4 + 1 + 0.7 * cell);
  t.true(Math.abs((c?.[0] as number) - cell) < 1e-15);
  t.true(Math.abs((h?.[0] as number) - o * Math.tanh(cell)) < 1e-15);
});

test('zoneout keeps a unit or takes its new value; in prediction it takes the mean of both', async (t) => {
  const size = 400;
  const old = Array.from({ length: size }, () => 1);
  const trace =
    (rate: number, training: boolean) =>
    ({ x, w, h, random }: Tensors) => {
      const cell = rnnCell({ hiddenWeight: w as Tensor });
      const zoned = zoneout(cell, 1, { rates: [rate], random: training ? random : undefined, streams: [3] });
      return {
        y: unroll(zoned, x as Tensor, [h as Tensor]).output,
        ...(training ? {} : { random: mul(h as Tensor, h as Tensor) }),
      };
    };
  const inputs = {
    x: { shape: [1, 1, size], values: old.map(() => 0) },
    w: { shape: [size, size], values: Array.from({ length: size * size }, () => 0) },
    h: { shape: [1, size], values: old },
  };
  const random = { random: { shape: [3], values: [1, 2, 3], type: 'i32' as const } };
  const { y: drawn = new Float64Array() } = await evaluate({ ...inputs, ...random }, trace(0.3, true));
  const kept = [...drawn].filter((value) => value === 1).length;
  t.is([...drawn].filter((value) => value === 0).length, size - kept, 'new values are tanh 0');
  t.true(Math.abs(kept / size - 0.3) < 0.08, `${kept} of ${size}`);
  const { y: mean = new Float64Array() } = await evaluate(inputs, trace(0.3, false));
  t.true([...mean].every((value) => Math.abs(value - 0.3) < 1e-7));
});

test('smoothed labels: the loss is the cross-entropy with 1 − ε at the label plus ε / V everywhere', async (t) => {
  const logits = [0.3, -1, 2, 0.5, 0.1, -0.7];
  const { loss } = await evaluate(
    {
      logits: { shape: [2, 3], values: logits },
      labels: { shape: [2], values: [2, 0], type: 'i32' },
      denominator: { shape: [1], values: [2] },
    },
    ({ logits, labels, denominator }) => ({
      loss: crossEntropy(logits as Tensor, labels as Tensor, denominator as Tensor, { labelSmoothing: 0.25 }),
    }),
  );
  let expected = 0;
  for (const [row, label] of [2, 0].entries()) {
    const x = logits.slice(3 * row, 3 * row + 3);
    const s = x.reduce((sum, value) => sum + Math.exp(value), 0);
    for (const [j, value] of x.entries())
      expected -= ((j === label ? 0.75 : 0) + 0.25 / 3) * Math.log(Math.exp(value) / s);
  }
  t.true(Math.abs((loss?.[0] as number) - expected / 2) < 1e-14);
});

test('a cell that returns another number of states, or of another shape, is refused', (t) => {
  const graph = new Graph();
  const [x, h] = [graph.input('x', [2, B, H]), graph.input('h', [B, H])];
  t.throws(() => unroll(() => [], x, [h]), { message: /Expected 1 states from the cell but received 0/ });
  t.throws(() => unroll((step) => [step], graph.input('wide', [2, B, 7]), [h]), {
    message: /unroll: Expected `state\[0\] of the cell` to be \[3, 5\] but received \[3, 7\]/,
  });
});
