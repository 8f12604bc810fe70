/**
 * How far a float32 backend may be from the float64 reference: bound = k · u · magnitude, for every element of every output.
 *
 * u = 2⁻²⁴ is the error of one rounding to float32. The magnitude is Σ|terms|: what the result would be if nothing cancelled.
 * k counts the roundings on the longest way from an input to the result, so for sums and products the bound is a theorem
 * (Higham 2002, "Accuracy and stability of numerical algorithms", section 3.1), not a guess.
 */
import { type InstructionName, specOf } from '../../src/program/instructions.js';
import { scalarSlots } from '../../src/program/scalars.js';
import { ofAttention } from './attention.js';
import { reference } from './bench.js';
import { type Case, inputsOf, type Values } from './case.js';
import { ofGelu, ofGeluSlope, ofGeluTanh, ofGeluTanhSlope } from './gelu.js';
import { ofLayerNorm, ofLayerNormBackward } from './layer-norm.js';

const UNIT_ROUNDOFF = 2 ** -24;
/** A result below the smallest normal number may be flushed to zero; so may an intermediate, hence the margin. */
const FLUSHED = 2 ** -120;

type Dims = Readonly<Record<string, number>>;

interface Tolerance {
  /** k */
  readonly roundings: (dims: Dims) => number;
  readonly magnitude: (testCase: Case, inputs: Values, expected: Values) => Values | Promise<Values>;
}

const absolute = (values: Float64Array): Float64Array => values.map(Math.abs);
const mapValues = (values: Values, map: (array: Float64Array, name: string) => Float64Array): Values =>
  new Map([...values].map(([name, array]) => [name, map(array, name)]));

/** The magnitude of what only adds and multiplies: the reference run on absolute values. */
const ofAbsoluteValues: Tolerance['magnitude'] = (testCase, inputs) => {
  const { operands } = specOf(testCase.instruction);
  const scalars = Object.fromEntries(Object.entries(testCase.scalars).map(([name, value]) => [name, Math.abs(value)]));
  const positive = mapValues(inputs, (array, name) => (operands[name]?.type === 'i32' ? array : absolute(array)));
  return reference({ ...testCase, scalars }, positive);
};

/** The sum's magnitude is the argument's, no function of it is steeper than 1.13, and its own error is relative to less than that. */
const ofProduct: Tolerance['magnitude'] = async (testCase, inputs, expected) => {
  const sums = await ofAbsoluteValues({ ...testCase, dims: { ...testCase.dims, activation: 0 } }, inputs, expected);
  return mapValues(sums, (array, name) => (name === 'c' ? array.map((size) => 1.13 * size) : array));
};

/** Optimizers subtract rate · (…): with a negative rate on absolute values that adds up too. */
const ofAbsoluteUpdate: Tolerance['magnitude'] = (testCase, inputs) => {
  const scalars = absolute(inputs.get('scalars') as Float64Array);
  const rate = scalarSlots.indexOf('learningRate');
  scalars[rate] = -(scalars[rate] as number);
  const positive = mapValues(inputs, (array, name) => (name === 'segments' ? array : absolute(array)));
  return reference(testCase, new Map([...positive, ['scalars', scalars]]));
};

/** Functions of one value: no sum, the error is relative to the result. */
const ofResult: Tolerance['magnitude'] = (_testCase, _inputs, expected) => mapValues(expected, absolute);

/** dy · (y − y²) and dy · (1 − y²), with the difference as a sum. */
const ofSlope =
  (constant: (y: number) => number): Tolerance['magnitude'] =>
  (_testCase, inputs) => {
    const [y, dy] = [inputs.get('y'), inputs.get('dy')] as [Float64Array, Float64Array];
    return new Map([
      ['dx', dy.map((value, i) => Math.abs(value) * (constant(y[i] as number) + (y[i] as number) ** 2))],
    ]);
  };

/**
 * z = r·cos or r·sin of the same angle: absolute in r, which is the length of the pair. A fused multiply-add adds the mean.
 * r is taken from a standard normal draw of both of the pair.
 */
const ofNormalPair: Tolerance['magnitude'] = async (testCase) => {
  const { n = 0 } = testCase.dims;
  const { mean = 0, deviation = 0 } = testCase.scalars;
  const pairs = { ...testCase, dims: { ...testCase.dims, n: n + (n % 2) }, scalars: { mean: 0, deviation: 1 } };
  const z = (await reference(pairs, inputsOf(testCase))).get('y') as Float64Array;
  const length = (e: number): number => Math.hypot(z[e - (e % 2)] as number, z[e - (e % 2) + 1] as number);
  return new Map([['y', Float64Array.from({ length: n }, (_, e) => Math.abs(mean) + Math.abs(deviation) * length(e))]]);
};

/**
 * exp(x − m) has the rounding of x − m, times |x − m|, besides its own; so has p. The label's one is exact.
 * The loss is a difference of log s, itself at least as exact as s, and x[label] − m.
 */
const ofSoftmax: Tolerance['magnitude'] = ({ dims, scalars: { smoothing = 0 } }, inputs) => {
  const { N = 0, V = 0 } = dims;
  const [logits, labels] = [inputs.get('logits'), inputs.get('labels')] as [Float64Array, Float64Array];
  const w = Math.abs(1 / (inputs.get('denominator')?.[0] as number));
  const [rowLoss, dLogits] = [new Float64Array(N), new Float64Array(N * V)];
  for (let i = 0; i < N; i++) {
    const x = logits.subarray(i * V, (i + 1) * V);
    const m = Math.max(...x);
    const s = x.reduce((sum, value) => sum + Math.exp(value - m), 0);
    const label = labels[i] as number;
    const mean = x.reduce((sum, value) => sum + Math.abs(value - m) / V, 0); // smoothing adds its share of this
    rowLoss[i] = (1 + Math.log(s) + Math.abs((x[label] ?? m) - m) + (smoothing === 0 ? 0 : 2 * smoothing * mean)) * w;
    for (const [j, value] of x.entries()) {
      const p = Math.exp(value - m) / s;
      dLogits[i * V + j] = (p * (1 + Math.min(m - value, 1e6)) + (j === label ? 1 : 0) + smoothing / V) * w;
    }
  }
  return new Map([
    ['rowLoss', rowLoss],
    ['dLogits', dLogits],
  ]);
};

/** Through gates and cells errors neither add nor cancel simply: relative to the largest value of the operand. */
const ofLargest: Tolerance['magnitude'] = ({ isUndefined }, _inputs, expected) =>
  mapValues(expected, (array, name) => {
    const largest = array.reduce(
      (most, value, i) => (isUndefined(name, i) || !Number.isFinite(value) ? most : Math.max(most, Math.abs(value))),
      0,
    );
    return array.map(() => largest);
  });

/** A cell is a sum of terms as large as its gates, which may cancel: relative to the largest value that the call gives. */
const ofLargestResult: Tolerance['magnitude'] = async (testCase, inputs, expected) => {
  const largest = await ofLargest(testCase, inputs, expected);
  const most = Math.max(0, ...[...largest.values()].map(([first = 0]) => first));
  return mapValues(largest, (array) => array.fill(most));
};

const dim =
  (name: string) =>
  (dims: Dims): number =>
    dims[name] ?? 0;
const blocks = (size: number, block: number): number => Math.min(size, block) + Math.ceil(size / block);
/** Sixteen lanes over blocks of 4096, a tree of four levels, a fold over the blocks. */
const laneSum = (size: number): number => Math.min(size, 4096) / 16 + 4 + Math.ceil(size / 4096);

const exact: Tolerance = { roundings: () => 0, magnitude: ofResult };
const linear = (roundings: Tolerance['roundings']): Tolerance => ({ roundings, magnitude: ofAbsoluteValues });
/** exp and what is made of it by own polynomials: 4 units in the last place, which are 8 roundings. */
const polynomial: Tolerance = { roundings: () => 8, magnitude: ofResult };

const tolerances: Readonly<Record<InstructionName, Tolerance>> = {
  fill: exact,
  copy: exact,
  copyAdd: linear(() => 1),
  copyIf: exact,
  add: linear(() => 1),
  mul: linear(() => 1),
  scale: linear(() => 1),
  scaleBy: linear(() => 1),
  sigmoid: polynomial,
  sigmoidBackward: { roundings: () => 3, magnitude: ofSlope(Math.abs) },
  tanh: polynomial,
  tanhBackward: { roundings: () => 3, magnitude: ofSlope(() => 1) },
  relu: exact,
  reluBackward: exact,
  gelu: { roundings: () => 12, magnitude: ofGelu },
  geluBackward: { roundings: () => 12, magnitude: ofGeluSlope },
  geluTanh: { roundings: () => 12, magnitude: ofGeluTanh },
  geluTanhBackward: { roundings: () => 12, magnitude: ofGeluTanhSlope },
  // A product, its sum in a block of 256, the sum of blocks, bias or accumulation, a residual; one of two functions of the sum.
  matmul: {
    roundings: ({ K = 0, activation = 0 }) => 3 + blocks(K, 256) + (activation < 2 ? 0 : 12),
    magnitude: ofProduct,
  },
  matmulAdd: linear((dims) => 2 + blocks(dim('K')(dims), 256)),
  columnSum: linear((dims) => blocks(dim('R')(dims), 64)),
  columnSumAdd: linear((dims) => 1 + blocks(dim('R')(dims), 64)),
  sum: linear((dims) => laneSum(dim('n')(dims))),
  squaredNorm: linear((dims) => 1 + laneSum(dim('n')(dims))),
  embedding: exact,
  embeddingBackward: linear(dim('N')), // an id may occur N times
  maskSteps: exact,
  // A gate is a sum of H + 1 terms through a function, and steps follow each other; typical errors grow with the root.
  lstmForward: { roundings: ({ H = 0, T = 0 }) => 16 + 2 * Math.sqrt(H * T), magnitude: ofLargestResult },
  lstmBackward: { roundings: ({ H = 0, T = 0 }) => 16 + 4 * Math.sqrt(H * T), magnitude: ofLargest },
  softmaxCrossEntropy: { roundings: ({ V = 0 }) => 16 + V / 16, magnitude: ofSoftmax },
  dropout: linear(() => 1),
  philoxUniform: linear(() => 3),
  philoxNormal: { roundings: () => 12, magnitude: ofNormalPair },
  clipByNorm: { roundings: () => 4, magnitude: ofResult },
  sgd: { roundings: () => 9, magnitude: ofAbsoluteUpdate },
  adamw: { roundings: () => 14, magnitude: ofAbsoluteUpdate },
  layerNorm: { roundings: ({ C = 0 }) => 12 + C / 16, magnitude: ofLayerNorm },
  layerNormBackward: {
    roundings: ({ R = 0, C = 0 }) => 12 + Math.max(C / 16, blocks(R, 64)),
    magnitude: ofLayerNormBackward,
  },
  // Scores, exponentials, sums within a block of 64 and over the blocks.
  attention: { roundings: ({ HS = 0, T = 0 }) => 16 + HS + blocks(T, 64), magnitude: ofAttention },
  attentionBackward: { roundings: ({ HS = 0, T = 0 }) => 24 + 2 * HS + blocks(T, 64), magnitude: ofAttention },
  div: { roundings: () => 1, magnitude: ofResult },
  sqrt: { roundings: () => 1, magnitude: ofResult },
  liveSteps: exact,
  selectRows: exact,
  maxSteps: exact,
  maxStepsBackward: exact,
  rnnForward: { roundings: ({ H = 0, T = 0 }) => 16 + 2 * Math.sqrt(H * T), magnitude: ofLargest },
  rnnBackward: { roundings: ({ H = 0, T = 0 }) => 16 + 4 * Math.sqrt(H * T), magnitude: ofLargest },
  gruForward: { roundings: ({ H = 0, T = 0 }) => 16 + 2 * Math.sqrt(H * T), magnitude: ofLargestResult },
  gruBackward: { roundings: ({ H = 0, T = 0 }) => 16 + 4 * Math.sqrt(H * T), magnitude: ofLargest },
  projectedLstmForward: { roundings: ({ H = 0, T = 0 }) => 16 + 4 * Math.sqrt(H * T), magnitude: ofLargestResult },
  projectedLstmBackward: { roundings: ({ H = 0, T = 0 }) => 16 + 8 * Math.sqrt(H * T), magnitude: ofLargest },
};

export async function boundsOf(testCase: Case, inputs: Values, expected: Values): Promise<Values> {
  const { roundings, magnitude } = tolerances[testCase.instruction];
  const k = roundings(testCase.dims);
  const magnitudes = await magnitude(testCase, inputs, expected);
  const flushed = k === 0 ? 0 : FLUSHED;
  return new Map(
    [...expected.keys()].map((name) => [
      name,
      (magnitudes.get(name) as Float64Array).map((size) => k * UNIT_ROUNDOFF * size + flushed),
    ]),
  );
}
