import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { concat, reshape } from '../../src/ops/copy.js';
import { lstm } from '../../src/ops/lstm.js';
import { float64 } from '../graph/evaluate.js';
import { gradientFaults } from '../graph/gradient-check.js';
import { randomFrom } from '../support/random.js';
import { unrolledLstm } from './unrolled.js';

interface Variant {
  readonly biases: 'both' | 'input' | 'hidden' | 'none';
  readonly states: 'both' | 'h0' | 'c0' | 'none';
  readonly lengths?: readonly number[];
  readonly reverse: boolean;
  readonly T?: number;
}

const [T, B, I, H] = [4, 3, 5, 2];

const leavesOf = ({ biases, states, T: steps = T }: Variant): Record<string, readonly number[]> => ({
  x: [steps, B, I],
  inputWeight: [4 * H, I],
  hiddenWeight: [4 * H, H],
  ...(biases === 'both' || biases === 'input' ? { inputBias: [4 * H] } : {}),
  ...(biases === 'both' || biases === 'hidden' ? { hiddenBias: [4 * H] } : {}),
  ...(states === 'both' || states === 'h0' ? { h0: [B, H] } : {}),
  ...(states === 'both' || states === 'c0' ? { c0: [B, H] } : {}),
});

const titleOf = ({ biases, states, lengths, reverse, T: steps = T }: Variant): string =>
  `${biases} biases, ${states} initial states${lengths ? `, lengths ${lengths}` : ''}${reverse ? ', reverse' : ''}, T = ${steps}`;

const weightsOf = (tensors: Readonly<Record<string, Tensor>>) => ({
  inputWeight: tensors.inputWeight as Tensor,
  hiddenWeight: tensors.hiddenWeight as Tensor,
  inputBias: tensors.inputBias,
  hiddenBias: tensors.hiddenBias,
});

const variants: Variant[] = (['both', 'input', 'hidden', 'none'] as const).flatMap((biases) =>
  [false, true].map((reverse) => ({ biases, states: 'both' as const, reverse })),
);
variants.push(
  { biases: 'both', states: 'none', reverse: false },
  { biases: 'both', states: 'none', reverse: true },
  { biases: 'both', states: 'h0', reverse: false },
  { biases: 'both', states: 'c0', reverse: true },
  { biases: 'both', states: 'both', reverse: false, T: 1 },
);

for (const variant of [
  ...variants,
  { biases: 'both', states: 'both', reverse: false, lengths: [4, 0, 2] },
  { biases: 'both', states: 'both', reverse: true, lengths: [1, 3, 4] },
  { biases: 'none', states: 'none', reverse: true, lengths: [4, 0, 2] },
] as const) {
  const { lengths, reverse } = variant as Variant;
  test(`the gradient of an LSTM is that of central differences: ${titleOf(variant)}`, async (t) => {
    const faults = await gradientFaults<string, string>(t.title, {
      leaves: leavesOf(variant),
      fixed: lengths === undefined ? {} : { lengths: { shape: [B], values: lengths, type: 'i32' } },
      trace: (tensors) => {
        const options = { h0: tensors.h0, c0: tensors.c0, lengths: tensors.lengths, reverse };
        const { output, hLast, cLast } = lstm(tensors.x as Tensor, weightsOf(tensors), options);
        return { output, hLast, cLast };
      },
    });
    t.deepEqual(faults, []);
  });
}

/** Everything there is to compare, by name. The same names for both forms. */
async function outcome(variant: Variant, form: 'fused' | 'unrolled'): Promise<Record<string, Float64Array>> {
  const { reverse } = variant;
  const graph = new Graph();
  const shapes = leavesOf(variant);
  const random = randomFrom(titleOf(variant));
  const inputs: Record<string, readonly number[]> = {};
  const input = (name: string, shape: readonly number[]): Tensor => {
    inputs[name] = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.value());
    return graph.input(name, shape);
  };
  const tensors = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, input(name, shape)]));
  const options = { h0: tensors.h0, c0: tensors.c0, reverse };
  const values: Record<string, readonly Tensor[]> = {};
  const x = tensors.x as Tensor;
  let ends: { output: Tensor; hLast: Tensor; cLast: Tensor };
  if (form === 'fused') {
    const result = lstm(x, weightsOf(tensors), options);
    ends = { output: result.output, hLast: result.hLast, cLast: result.cLast };
    Object.assign(values, { hidden: [result.hidden], cell: [result.cell], gates: [result.gates] });
  } else {
    const { steps, output } = unrolledLstm(x, weightsOf(tensors), options);
    const last = steps.at(reverse ? 0 : -1);
    ends = { output, hLast: last?.hidden as Tensor, cLast: last?.cell as Tensor };
    values.hidden = steps.map(({ hidden }) => hidden);
    values.cell = steps.map(({ cell }) => cell);
    values.gates = steps.flatMap(({ gates }) => gates);
  }
  const from = new Map(Object.entries(ends).map(([name, tensor]) => [tensor, input(`upstream ${name}`, tensor.shape)]));
  const gradients = differentiate(graph, { from, to: [...Object.values(tensors), ...Object.values(values).flat()] });
  for (const [name, tensor] of Object.entries(ends)) graph.output(name, tensor);
  for (const [name, tensor] of Object.entries(tensors)) graph.output(`grad ${name}`, gradients.get(tensor) as Tensor);
  // Four gates of [B, H] side by side are one of [1, B, 4H].
  const together = (name: string, parts: readonly Tensor[]): Tensor => {
    const groups = form === 'unrolled' && name === 'gates' ? 4 : 1;
    const rows = Array.from({ length: parts.length / groups }, (_, t) =>
      groups === 1 ? (parts[t] as Tensor) : concat(parts.slice(4 * t, 4 * t + 4), 1),
    );
    return rows.length === 1
      ? (rows[0] as Tensor)
      : concat(
          rows.map((row) => reshape(row, [1, ...row.shape])),
          0,
        );
  };
  for (const [name, parts] of Object.entries(values)) {
    graph.output(`value ${name}`, together(name, parts));
    graph.output(
      `total ${name}`,
      together(
        name,
        parts.map((part) => gradients.get(part) as Tensor),
      ),
    );
  }
  return (await new Engine(float64).run(plan(graph), inputs)) as Record<string, Float64Array>;
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

for (const variant of variants) {
  test(`the fused LSTM is the unrolled one, inspected totals included: ${titleOf(variant)}`, async (t) => {
    const [fused, unrolled] = await Promise.all([outcome(variant, 'fused'), outcome(variant, 'unrolled')]);
    t.deepEqual(Object.keys(fused).sort(), Object.keys(unrolled).sort());
    for (const [name, expected] of Object.entries(unrolled)) {
      const actual = fused[name] as Float64Array;
      t.is(actual.length, expected.length, name);
      const difference = norm(actual.map((value, index) => value - (expected[index] as number)));
      t.true(norm(expected) > 0, `${name} is not trivially equal`);
      t.true(difference <= 1e-9 * norm(expected), `${name}: ‖difference‖ ${difference} of ‖${norm(expected)}‖`);
    }
  });
}

test('planted fault: the other direction is noticed', async (t) => {
  const variant: Variant = { biases: 'none', states: 'both', reverse: false };
  const [forwards, backwards] = await Promise.all([
    outcome(variant, 'fused'),
    outcome({ ...variant, reverse: true }, 'unrolled'),
  ]);
  const expected = backwards['grad hiddenWeight'] as Float64Array;
  const actual = forwards['grad hiddenWeight'] as Float64Array;
  t.true(norm(actual.map((value, index) => value - (expected[index] as number))) > 1e-3 * norm(expected));
});
