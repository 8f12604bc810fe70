/** Every fused recurrence is its unrolled composition, and both have the gradient of central differences. */
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { gruCell, lstmCell, rnnCell } from '../../src/ops/cells.js';
import { full } from '../../src/ops/copy.js';
import { add } from '../../src/ops/elementwise.js';
import { gru } from '../../src/ops/gru.js';
import { lstm } from '../../src/ops/lstm.js';
import { linear } from '../../src/ops/matmul.js';
import type { SequenceOptions } from '../../src/ops/recurrence.js';
import { rnn } from '../../src/ops/rnn.js';
import { type Cell, unroll } from '../../src/ops/unroll.js';
import { float64 } from '../graph/evaluate.js';
import { gradientFaults } from '../graph/gradient-check.js';
import { randomFrom } from '../support/random.js';

const [B, I, H, P] = [4, 3, 5, 2];

type Tensors = Readonly<Record<string, Tensor>>;
interface Ends {
  readonly output: Tensor;
  readonly last: readonly Tensor[];
}

interface Kind {
  readonly name: string;
  /** Rows of the weights, in units of H, and width of the hidden state. */
  readonly gates: number;
  readonly width: number;
  readonly hasCell: boolean;
  readonly fused: (tensors: Tensors, options: SequenceOptions) => Ends;
  readonly cell: (tensors: Tensors) => Cell;
  readonly projection?: true;
}

const weightsOf = ({ inputWeight, hiddenWeight, inputBias, hiddenBias }: Tensors) => ({
  inputWeight: inputWeight as Tensor,
  hiddenWeight: hiddenWeight as Tensor,
  inputBias,
  hiddenBias,
});

const kinds: readonly Kind[] = [
  ...(['tanh', 'relu'] as const).map((nonlinearity) => ({
    name: `${nonlinearity} RNN`,
    gates: 1,
    width: H,
    hasCell: false,
    fused: (tensors: Tensors, options: SequenceOptions): Ends => {
      const { output, hLast } = rnn(tensors.x as Tensor, weightsOf(tensors), {
        ...options,
        nonlinearity,
        h0: tensors.h0,
      });
      return { output, last: [hLast] };
    },
    cell: (tensors: Tensors) => rnnCell(weightsOf(tensors), nonlinearity),
  })),
  {
    name: 'GRU',
    gates: 3,
    width: H,
    hasCell: false,
    fused: (tensors, options) => {
      const { output, hLast } = gru(tensors.x as Tensor, weightsOf(tensors), { ...options, h0: tensors.h0 });
      return { output, last: [hLast] };
    },
    cell: (tensors) => gruCell(weightsOf(tensors)),
  },
  ...([false, true] as const).map((projected) => ({
    name: projected ? 'projected LSTM' : 'LSTM',
    gates: 4,
    width: projected ? P : H,
    hasCell: true,
    ...(projected ? { projection: true as const } : {}),
    fused: (tensors: Tensors, options: SequenceOptions): Ends => {
      const { h0, c0, projection } = tensors;
      const weights = { ...weightsOf(tensors), projection };
      const { output, hLast, cLast } = lstm(tensors.x as Tensor, weights, { ...options, h0, c0 });
      return { output, last: [hLast, cLast] };
    },
    cell: (tensors: Tensors) => lstmCell({ ...weightsOf(tensors), projection: tensors.projection }),
  })),
];

interface Variant {
  readonly T: number;
  readonly reverse: boolean;
  readonly lengths?: readonly number[];
  readonly resets?: true;
  readonly initial: boolean;
  readonly biases: boolean;
}

const variants: readonly Variant[] = [
  ...[false, true].flatMap((reverse) =>
    [undefined, [4, 0, 2, 1]].flatMap((lengths) =>
      [undefined, true as const].map((resets) => ({
        T: 4,
        reverse,
        ...(lengths && { lengths }),
        ...(resets && { resets }),
        initial: true,
        biases: true,
      })),
    ),
  ),
  { T: 3, reverse: false, initial: false, biases: false },
  { T: 3, reverse: true, initial: false, biases: false, lengths: [1, 3, 2, 9] },
  { T: 1, reverse: false, initial: true, biases: true, resets: true },
  { T: 1, reverse: true, initial: true, biases: true, resets: true },
];

const titleOf = ({ T, reverse, lengths, resets, initial, biases }: Variant): string =>
  [
    `T = ${T}`,
    ...(reverse ? ['reverse'] : []),
    ...(lengths ? [`lengths ${lengths}`] : []),
    ...(resets ? ['resets'] : []),
    ...(initial ? ['initial states'] : []),
    ...(biases ? [] : ['no biases']),
  ].join(', ');

const leavesOf = (kind: Kind, { T, initial, biases }: Variant): Record<string, readonly number[]> => ({
  x: [T, B, I],
  inputWeight: [kind.gates * H, I],
  hiddenWeight: [kind.gates * H, kind.width],
  ...(biases ? { inputBias: [kind.gates * H], hiddenBias: [kind.gates * H] } : {}),
  ...(kind.projection ? { projection: [P, H] } : {}),
  ...(initial ? { h0: [B, kind.width] } : {}),
  ...(initial && kind.hasCell ? { c0: [B, H] } : {}),
});

/** Resets of some rows, at the first step of one of them. */
const resetsOf = (T: number): number[] => Array.from({ length: T * B }, (_, i) => Number(i === 1 || i % 5 === 2) * 3);

const fixedOf = ({ T, lengths, resets }: Variant) => ({
  ...(lengths === undefined ? {} : { lengths: { shape: [B], values: lengths, type: 'i32' as const } }),
  ...(resets === undefined ? {} : { resets: { shape: [T, B], values: resetsOf(T), type: 'i32' as const } }),
});

const optionsOf = ({ lengths, resets }: Tensors, { reverse }: Variant): SequenceOptions => ({
  lengths,
  resets,
  reverse,
});

/** The composition: the projection of all steps, and one cell after another. */
function unrolled(kind: Kind, tensors: Tensors, variant: Variant): Ends {
  const { x, inputWeight, inputBias, h0, c0 } = tensors as Record<string, Tensor>;
  const { graph } = x as Tensor;
  const start = [h0 ?? full(graph, [B, kind.width], 0), ...(kind.hasCell ? [c0 ?? full(graph, [B, H], 0)] : [])];
  const projected = linear(x as Tensor, inputWeight as Tensor, inputBias);
  return unroll(kind.cell(tensors), projected, start as [Tensor, ...Tensor[]], optionsOf(tensors, variant));
}

for (const kind of kinds) {
  for (const variant of variants) {
    test(`the gradient of a fused ${kind.name} is that of central differences: ${titleOf(variant)}`, async (t) => {
      const faults = await gradientFaults<string, string>(t.title, {
        leaves: leavesOf(kind, variant),
        fixed: fixedOf(variant),
        trace: (tensors) => {
          const { output, last } = kind.fused(tensors, optionsOf(tensors, variant));
          return { output, ...Object.fromEntries(last.map((state, index) => [`last${index}`, state])) };
        },
      });
      t.deepEqual(faults, []);
    });

    test(`a fused ${kind.name} is the unrolled one: ${titleOf(variant)}`, async (t) => {
      const [fused, composed] = await Promise.all([
        outcome(kind, variant, (tensors) => kind.fused(tensors, optionsOf(tensors, variant))),
        outcome(kind, variant, (tensors) => unrolled(kind, tensors, variant)),
      ]);
      t.deepEqual(Object.keys(fused).sort(), Object.keys(composed).sort());
      for (const [name, expected] of Object.entries(composed))
        t.true(near(fused[name] as Float64Array, expected), name);
    });
  }
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));
const near = (actual: Float64Array, expected: Float64Array): boolean =>
  actual.length === expected.length &&
  norm(actual.map((value, index) => value - (expected[index] as number))) <= 1e-11 * (1 + norm(expected));

/** Outputs, last states and the gradients of all leaves, for random leaves and upstream gradients. */
async function outcome(
  kind: Kind,
  variant: Variant,
  run: (tensors: Tensors) => Ends,
): Promise<Record<string, Float64Array>> {
  const graph = new Graph();
  const random = randomFrom(`${kind.name} ${titleOf(variant)}`);
  const inputs: Record<string, readonly number[]> = {};
  const input = (name: string, shape: readonly number[]): Tensor => {
    inputs[name] = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.value());
    return graph.input(name, shape);
  };
  const leaves = Object.fromEntries(
    Object.entries(leavesOf(kind, variant)).map(([name, shape]) => [name, input(name, shape)]),
  );
  const fixed: Record<string, Tensor> = {};
  for (const [name, { shape, values, type }] of Object.entries(fixedOf(variant))) {
    fixed[name] = graph.input(name, shape, type);
    inputs[name] = values;
  }
  const { output, last } = run({ ...leaves, ...fixed });
  const ends = { output, ...Object.fromEntries(last.map((state, index) => [`last ${index}`, state])) };
  const from = new Map(Object.entries(ends).map(([name, end]) => [end, input(`upstream ${name}`, end.shape)]));
  const gradients = differentiate(graph, { from, to: Object.values(leaves) });
  for (const [name, tensor] of Object.entries(ends)) graph.output(name, tensor);
  for (const [name, tensor] of Object.entries(leaves)) {
    const gradient = gradients.get(tensor);
    if (gradient !== undefined) graph.output(`grad ${name}`, gradient);
  }
  const program = plan(graph);
  const used = Object.entries(inputs).filter(([name]) => program.inputs.has(name));
  return (await new Engine(float64).run(program, Object.fromEntries(used))) as Record<string, Float64Array>;
}

for (const variant of variants) {
  test(`the gradient of a GRU that resets before the product is that of central differences: ${titleOf(variant)}`, async (t) => {
    const faults = await gradientFaults<string, string>(t.title, {
      leaves: leavesOf(kinds[2] as Kind, variant),
      fixed: fixedOf(variant),
      trace: (tensors) => {
        const options = { ...optionsOf(tensors, variant), h0: tensors.h0, resetBefore: true };
        const { output, hLast } = gru(tensors.x as Tensor, weightsOf(tensors), options);
        return { output, hLast };
      },
    });
    t.deepEqual(faults, []);
  });
}

test('planted fault: a state that is changed once is noticed', async (t) => {
  const kind = kinds[2] as Kind;
  const variant: Variant = { T: 4, reverse: false, resets: true, initial: true, biases: true };
  const changed =
    (cell: Cell): Cell =>
    (x, [h = x], step) =>
      cell(x, [step === 2 ? add(h, h) : h], step);
  const expected = await outcome(kind, variant, (tensors) =>
    unrolled({ ...kind, cell: (given) => changed(kind.cell(given)) }, tensors, variant),
  );
  const actual = await outcome(kind, variant, (tensors) => kind.fused(tensors, optionsOf(tensors, variant)));
  t.false(near(actual['grad hiddenWeight'] as Float64Array, expected['grad hiddenWeight'] as Float64Array));
});
