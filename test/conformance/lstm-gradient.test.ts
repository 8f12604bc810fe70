/** lstmBackward is the derivative of lstmForward, and its inspected totals are what they say they are. */
import test from 'ava';
import { type Arrays, type GradientCheck, randomArray, run64, wrongGradients } from '../support/gradcheck.js';
import { randomFrom } from '../support/random.js';
import { type Perturbation, type ScalarLstm, unrolledLoss } from '../support/unrolled-lstm.js';

const [T, B, H] = [4, 5, 3];
const allLengths = Float64Array.of(4, 2, 0, 9, 1);
const empty = new Float64Array();

interface Variant {
  readonly reverse: 0 | 1;
  readonly withLengths: boolean;
  readonly withInitialStates: boolean;
}

const variants: readonly Variant[] = ([0, 1] as const).flatMap((reverse) =>
  [false, true].flatMap((withLengths) =>
    [false, true].map((withInitialStates) => ({ reverse, withLengths, withInitialStates })),
  ),
);

const titleOf = ({ reverse, withLengths, withInitialStates }: Variant): string =>
  `${reverse ? 'reverse' : 'forward'}, ${withLengths ? 'lengths' : 'full length'}, ${withInitialStates ? 'initial states' : 'from zero'}`;

const lengthOf = ({ withLengths }: Variant, b: number): number =>
  withLengths ? Math.min(allLengths[b] as number, T) : T;

function inputsOf(variant: Variant): Arrays {
  const random = randomFrom(titleOf(variant));
  return {
    xGates: randomArray(random, T * B * 4 * H),
    weightHh: randomArray(random, 4 * H * H),
    ...(variant.withInitialStates ? { h0: randomArray(random, B * H), c0: randomArray(random, B * H) } : {}),
  };
}

/** Of every step’s hidden state, of the final one and of the final cell. Behind the end a gradient is ignored: it is NaN. */
function cotangentsOf(variant: Variant): { dHidden: Float64Array; dHLast: Float64Array; dCLast: Float64Array } {
  const random = randomFrom(`cotangents ${titleOf(variant)}`);
  const isInside = (index: number): boolean =>
    Math.floor(index / (B * H)) < lengthOf(variant, Math.floor(index / H) % B);
  return {
    dHidden: randomArray(random, T * B * H).map((value, index) => (isInside(index) ? value : Number.NaN)),
    dHLast: randomArray(random, B * H),
    dCLast: randomArray(random, B * H),
  };
}

const dimsOf = ({ reverse }: Variant) => ({ T, B, H, reverse });
const lengthsOf = ({ withLengths }: Variant): Arrays => (withLengths ? { lengths: allLengths } : {});

const forward = (variant: Variant, inputs: Arrays): Promise<Arrays> =>
  run64({ instruction: 'lstmForward', dims: dimsOf(variant), inputs: { ...inputs, ...lengthsOf(variant) } });

async function backward(variant: Variant, inputs: Arrays, cotangents: Arrays): Promise<Arrays> {
  const { gates = empty, cell = empty, tanhCell = empty, hidden = empty } = await forward(variant, inputs);
  const { weightHh = empty } = inputs;
  const saved = { weightHh, gates, cell, tanhCell };
  const all = { ...cotangents, ...saved, ...lengthsOf(variant) };
  return { ...(await run64({ instruction: 'lstmBackward', dims: dimsOf(variant), inputs: all })), hidden };
}

/** hidden and cell hold T + 1 states; this is the one before or after every step. */
function states(values: Float64Array, reverse: 0 | 1, side: 'before' | 'after'): Float64Array {
  const first = (side === 'after') === (reverse === 0) ? 1 : 0;
  return values.slice(first * B * H, (first + T) * B * H);
}

/** dW_hh = Σ over t and b of dGatesᵀ · h₋₁, an ordinary product in a program. */
function weightGradient(dGates: Float64Array, hiddenBefore: Float64Array): Float64Array {
  const gradient = new Float64Array(4 * H * H);
  for (let row = 0; row < T * B; row++) {
    for (let j = 0; j < 4 * H; j++) {
      for (let k = 0; k < H; k++) {
        gradient[j * H + k] =
          (gradient[j * H + k] as number) + (dGates[row * 4 * H + j] as number) * (hiddenBefore[row * H + k] as number);
      }
    }
  }
  return gradient;
}

function checkOf(variant: Variant, tamper: (gradients: Arrays) => Arrays = (gradients) => gradients): GradientCheck {
  const { reverse } = variant;
  const { dHidden, dHLast, dCLast } = cotangentsOf(variant);
  const last = reverse ? 0 : T * B * H;
  return {
    title: titleOf(variant),
    inputs: inputsOf(variant),
    wrt: variant.withInitialStates ? ['xGates', 'weightHh', 'h0', 'c0'] : ['xGates', 'weightHh'],
    cotangents: {
      steps: dHidden.map((value) => (Number.isNaN(value) ? 0 : value)),
      lastHidden: dHLast,
      lastCell: dCLast,
    },
    value: async (inputs) => {
      const { hidden = empty, cell = empty } = await forward(variant, inputs);
      return {
        steps: states(hidden, reverse, 'after'),
        lastHidden: hidden.slice(last, last + B * H),
        lastCell: cell.slice(last, last + B * H),
      };
    },
    gradient: async (inputs) => {
      const outputs = tamper(await backward(variant, inputs, { dHidden, dHLast, dCLast }));
      const { dGates = empty, dH0 = empty, dC0 = empty, hidden = empty } = outputs;
      return { xGates: dGates, weightHh: weightGradient(dGates, states(hidden, reverse, 'before')), h0: dH0, c0: dC0 };
    },
  };
}

for (const variant of variants) {
  test.serial(`lstmBackward is the gradient of lstmForward: ${titleOf(variant)}`, async (t) => {
    t.deepEqual(await wrongGradients(checkOf(variant)), []);
  });
}

const scaled =
  (name: string) =>
  (outputs: Arrays): Arrays => ({ ...outputs, [name]: (outputs[name] ?? empty).map((value) => value * 1.0001) });
const whole: Variant = { reverse: 0, withLengths: true, withInitialStates: true };

test.serial('a wrong lstmBackward is found out', async (t) => {
  t.is((await wrongGradients(checkOf(whole, scaled('dH0')))).length, 1);
  t.is((await wrongGradients(checkOf(whole, scaled('dC0')))).length, 1);
  t.is((await wrongGradients(checkOf(whole, scaled('dGates')))).length, 2, 'xGates and weightHh');
});

/** One example of the batch, as the unrolled LSTM takes it. */
function exampleOf(variant: Variant, b: number): ScalarLstm {
  const { xGates = empty, weightHh = empty, h0, c0 } = inputsOf(variant);
  const { dHidden, dHLast, dCLast } = cotangentsOf(variant);
  const row = (values: Float64Array, index: number, width: number): number[] => [
    ...values.subarray(index * width, (index + 1) * width),
  ];
  return {
    reverse: variant.reverse === 1,
    xGates: Array.from({ length: lengthOf(variant, b) }, (_, t) => row(xGates, t * B + b, 4 * H)),
    weightHh: Array.from({ length: 4 * H }, (_, j) => row(weightHh, j, H)),
    h0: h0 === undefined ? new Array<number>(H).fill(0) : row(h0, b, H),
    c0: c0 === undefined ? new Array<number>(H).fill(0) : row(c0, b, H),
    dHidden: Array.from({ length: lengthOf(variant, b) }, (_, t) => row(dHidden, t * B + b, H)),
    dHLast: row(dHLast, b, H),
    dCLast: row(dCLast, b, H),
  };
}

const EPSILON = 1e-5;

/** The derivative of the loss with respect to one value in the middle, by central differences of the unrolled LSTM. */
function derivative(lstm: ScalarLstm, place: Omit<Perturbation, 'by'>): number {
  return (
    (unrolledLoss(lstm, { ...place, by: EPSILON }) - unrolledLoss(lstm, { ...place, by: -EPSILON })) / (2 * EPSILON)
  );
}

const kinds = ['input_gate', 'forget_gate', 'candidate', 'output_gate'] as const;

/** Where the inspected totals of one example are not the derivatives of the unrolled LSTM. */
function wrongTotals(lstm: ScalarLstm, b: number, outputs: Arrays): string[] {
  const wrong: string[] = [];
  const { dHiddenTotal = empty, dCellTotal = empty, dGateValues = empty } = outputs;
  for (let t = 0; t < T; t++) {
    for (let k = 0; k < H; k++) {
      const at = (t * B + b) * H + k;
      const totals = [
        ['hidden', dHiddenTotal[at]],
        ['cell', dCellTotal[at]],
        ...kinds.map((kind, gate) => [kind, dGateValues[(t * B + b) * 4 * H + gate * H + k]] as const),
      ] as const;
      for (const [value, total = Number.NaN] of totals) {
        const expected = t < lstm.xGates.length ? derivative(lstm, { value, t, k }) : 0;
        if (!(Math.abs(total - expected) < 1e-8))
          wrong.push(`example ${b}, step ${t}: d${value}[${k}] is ${total}, not ${expected}`);
      }
    }
  }
  return wrong;
}

for (const variant of variants) {
  test.serial(
    `inspected totals are derivatives with respect to states, cells and gates: ${titleOf(variant)}`,
    async (t) => {
      const outputs = await backward(variant, inputsOf(variant), { ...cotangentsOf(variant) });
      for (let b = 0; b < B; b++) t.deepEqual(wrongTotals(exampleOf(variant, b), b, outputs), []);
    },
  );
}

test.serial('a wrong inspected total is found out', async (t) => {
  const outputs = await backward(whole, inputsOf(whole), { ...cotangentsOf(whole) });
  for (const name of ['dHiddenTotal', 'dCellTotal', 'dGateValues']) {
    t.true(wrongTotals(exampleOf(whole, 0), 0, scaled(name)(outputs)).length > 0, name);
  }
});
