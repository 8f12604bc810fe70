/**
 * Exploding gradients of a relu RNN, and what clipping by norm and by value does about them. The text is in exploding.md. Run as
 * `node dist/examples/exploding.js`.
 */
import {
  loadBackend,
  Model,
  type NamedArray,
  NonFiniteError,
  recurrentGradients,
  Trainer,
  type TrainerOptions,
} from 'seqgrad';
import { accuracy, RememberingNetwork, sequences } from './task.js';

const [T, ROWS, UNITS, STEPS, SEED] = [50, 32, 32, 400, 1];
const backend = await loadBackend();
const array = (shape: number[], values: number[]): NamedArray => ({ shape, values: Float64Array.from(values) });

/** h_t = relu(w h_{t−1} + x_t) with x_1 = 1 and nothing after it: ∂h_n/∂h_1. */
async function growth(w: number, n: number): Promise<number> {
  const given = new Map([
    [
      'input.x',
      array(
        [1, n, 1],
        Array.from({ length: n }, (_, t) => (t === 0 ? 1 : 0)),
      ),
    ],
    ['weight_ih_l0', array([1, 1], [1])],
    ['weight_hh_l0', array([1, 1], [w])],
    ['bias_ih_l0', array([1], [0])],
    ['bias_hh_l0', array([1], [0])],
    ['upstream.h_n', array([1, 1, 1], [1])],
  ]);
  const config = { kind: 'rnn', nonlinearity: 'relu', inputSize: 1, hiddenSize: 1 } as const;
  const seen = await recurrentGradients(config, given, { backend, inspect: true });
  return seen.get('inspect.grad.l0.hidden')?.values[0] ?? Number.NaN;
}

/** A relu RNN whose recurrent weight starts as the identity (Le, Jaitly & Hinton 2015). */
async function identityRnn(): Promise<Model> {
  const model = new Model(new RememberingNetwork({ kind: 'rnn', nonlinearity: 'relu', hiddenSize: UNITS }), backend);
  await model.allocate();
  await model.initialise(SEED);
  await model.writeParameters({
    'rnn.weight_hh_l0': Float32Array.from({ length: UNITS ** 2 }, (_, index) => (index % (UNITS + 1) === 0 ? 1 : 0)),
    'rnn.bias_ih_l0': new Float32Array(UNITS),
    'rnn.bias_hh_l0': new Float32Array(UNITS),
  });
  return model;
}

/** All parameters in one row. */
const parametersOf = async (model: Model): Promise<number[]> =>
  (await model.readParameters()).flatMap(([, values]) => Array.from(values));

/** What one step of SGD with rate 1 takes off the parameters: the gradient, after whatever clipping there is. */
async function gradientUsed(clipping: TrainerOptions): Promise<number[]> {
  const model = await identityRnn();
  const before = await parametersOf(model);
  const options: TrainerOptions = { learningRate: 1, weightDecay: 0, optimizer: { kind: 'sgd' }, ...clipping };
  await new Trainer(model, options).fit(sequences(T, ROWS, SEED), { steps: 1 });
  const after = await parametersOf(model);
  return before.map((value, index) => value - (after[index] ?? 0));
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
const norm = (a: readonly number[]): number => Math.sqrt(dot(a, a));

console.log('∂h_n/∂h_1       n    measured        wⁿ⁻¹');
for (const w of [0.8, 1, 1.2]) {
  for (const n of [10, 50, 100, 200]) {
    const cells = [await growth(w, n), w ** (n - 1)].map((value) => value.toExponential(4).padStart(12));
    console.log(`  w = ${w}`.padEnd(12), String(n).padStart(4), cells.join(''));
  }
}

const ways: readonly (readonly [string, TrainerOptions])[] = [
  ['no clipping', { clipNorm: Number.POSITIVE_INFINITY }],
  ['clipNorm 1', { clipNorm: 1 }],
  ['clipValue 0.1', { clipValue: 0.1 }],
  ['clipValue 0.01', { clipValue: 0.01 }],
];

console.log('\nThe first step         norm   largest   cosine to the gradient');
const gradient = await gradientUsed({ clipNorm: Number.POSITIVE_INFINITY });
for (const [name, clipping] of ways) {
  const used = await gradientUsed(clipping);
  const largest = Math.max(...used.map(Math.abs));
  const cosine = dot(used, gradient) / (norm(used) * norm(gradient));
  console.log(`  ${name.padEnd(15)}`, ...[norm(used), largest, cosine].map((value) => value.toFixed(3).padStart(9)));
}

console.log(`\nTraining, ${STEPS} steps    largest norm    right`);
for (const [name, clipping] of ways) {
  const model = await identityRnn();
  const options: TrainerOptions = { learningRate: 0.003, weightDecay: 0, optimizer: { kind: 'sgd', momentum: 0.9 } };
  const trainer = new Trainer(model, { ...options, ...clipping });
  let largest = 0;
  let failure = '';
  try {
    for await (const { gradientNorm } of trainer.train(sequences(T, ROWS, SEED), { steps: STEPS })) {
      largest = Math.max(largest, gradientNorm);
    }
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    failure = `\n    ${error.message.replaceAll('. ', '.\n    ')}`;
  }
  const right = `${(100 * (await accuracy(model, [sequences(T, 256, 98).next().value]))).toFixed(0)} %`;
  console.log(`  ${name.padEnd(20)} ${largest.toExponential(1).padStart(12)} ${right.padStart(8)}${failure}`);
}
