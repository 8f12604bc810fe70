/** The recurrent network: rows of unequal length, learned states, regularisation, and what it refuses. */
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import type { Values } from '../../src/backends/executor.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { dropoutSteps } from '../../src/nn/dropout.js';
import { LanguageModelNetwork } from '../../src/nn/language-model.js';
import { Parameters } from '../../src/nn/parameters.js';
import { pool, Recurrent, type RecurrentConfig } from '../../src/nn/recurrent.js';
import { full } from '../../src/ops/copy.js';
import { OptionError } from '../../src/program/options.js';
import { Model } from '../../src/train/model.js';
import { float64 } from '../graph/evaluate.js';
import { randomFrom } from '../support/random.js';

const [I, H] = [3, 4];
type Results = Readonly<Record<string, Float64Array>>;
type Row = readonly (readonly number[])[];

const configs: readonly RecurrentConfig[] = [
  { kind: 'lstm', inputSize: I, hiddenSize: H, layers: 2, bidirectional: true },
  { kind: 'gru', inputSize: I, hiddenSize: H, bidirectional: true },
  { kind: 'gru', inputSize: I, hiddenSize: H, resetBefore: true },
  { kind: 'rnn', inputSize: I, hiddenSize: H, nonlinearity: 'relu', layers: 2 },
  { kind: 'lstm', inputSize: I, hiddenSize: H, projectionSize: 2, bidirectional: true },
  { kind: 'lstm', inputSize: I, hiddenSize: H, peepholes: true, layerNorm: true },
  { kind: 'rnn', inputSize: I, hiddenSize: H, zoneout: 0.2 },
];
const nameOf = ({ inputSize: _i, hiddenSize: _h, ...config }: RecurrentConfig): string => JSON.stringify(config);

const draw = (seed: string, length: number): number[] => {
  const random = randomFrom(seed);
  return Array.from({ length }, () => random.value() / 2);
};

/** Outputs, pooled vectors and gradients for rows of inputs, padded to T with `padding`. */
async function run(config: RecurrentConfig, rows: readonly Row[], T: number, padding: number): Promise<Results> {
  const parameters = new Parameters();
  const recurrent = new Recurrent(parameters.scope, config);
  const engine = new Engine(float64);
  await engine.place(parameters.arena);
  const graph = new Graph();
  const B = rows.length;
  const x = graph.input('x', [T, B, I]);
  const lengths = graph.input('lengths', [B], 'i32');
  const result = recurrent.forward(x, { lengths }, {});
  const outputs: Record<string, Tensor> = { output: result.output };
  for (const kind of ['last', 'mean', 'max'] as const) outputs[kind] = pool(kind, result, lengths);
  const { variables } = parameters.arena;
  const from = new Map(Object.values(outputs).map((tensor) => [tensor, full(graph, tensor.shape, 0.5)]));
  const gradients = differentiate(graph, { from, to: [x, ...variables.map((variable) => graph.read(variable))] });
  for (const [name, tensor] of Object.entries(outputs)) graph.output(name, tensor);
  graph.output('dx', gradients.get(x) as Tensor);
  for (const variable of variables) graph.output(variable.name, gradients.get(graph.read(variable)) as Tensor);
  const inputs = Array.from(
    { length: T * B },
    (_, index) => rows[index % B]?.[Math.floor(index / B)] ?? Array(I).fill(padding),
  );
  return engine.use(async (session) => {
    for (const variable of variables) await session.write(variable, draw(variable.name, variable.elements));
    const given: Record<string, Values> = { x: inputs.flat(), lengths: rows.map(({ length }) => length) };
    return session.run(plan(graph), given);
  }) as Promise<Results>;
}

const rowOf = (seed: string, length: number): Row => Array.from({ length }, (_, t) => draw(`${seed} ${t}`, I));
const rows = [rowOf('a', 3), rowOf('b', 5), rowOf('c', 1)];

/** Row b of a batch of B, step by step, from something time-major. */
const rowIn = (values: Float64Array, b: number, B: number, T: number, steps: number): number[] => {
  const width = values.length / (T * B);
  return Array.from({ length: steps }, (_, t) => [
    ...values.subarray((t * B + b) * width, (t * B + b + 1) * width),
  ]).flat();
};
const near = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((value, i) => Math.abs(value - (b[i] as number)) <= 1e-12);

for (const config of configs) {
  test(`${nameOf(config)}: a row in a padded batch gives what it gives alone, and padding gives 0`, async (t) => {
    const T = 6;
    const batch = await run(config, rows, T, Number.NaN);
    const alone = await Promise.all(rows.map((row) => run(config, [row], row.length, 0)));
    for (const [b, row] of rows.entries()) {
      const its = alone[b] as Results;
      for (const name of ['output', 'dx'] as const) {
        const all = batch[name] as Float64Array;
        t.true(near(rowIn(all, b, rows.length, T, row.length), its[name] as Float64Array), `${name} of row ${b}`);
        const padded = rowIn(all, b, rows.length, T, T).slice(rowIn(all, b, rows.length, T, row.length).length);
        t.true(
          padded.every((value) => value === 0),
          `${name} behind the end of row ${b}`,
        );
      }
      for (const name of ['last', 'mean', 'max'] as const)
        t.true(
          near(rowIn(batch[name] as Float64Array, b, rows.length, 1, 1), its[name] as Float64Array),
          `${name} ${b}`,
        );
    }
    for (const name of Object.keys(batch).filter((key) => /weight|bias|norm/.test(key))) {
      const sum = (batch[name] as Float64Array).map((_, i) =>
        alone.reduce((total, its) => total + ((its[name] as Float64Array)[i] as number), 0),
      );
      t.true(near(batch[name] as Float64Array, sum), `the gradient of ${name} is the sum over rows`);
    }
  });
}

test('rows in another order give the same rows', async (t) => {
  const [config] = configs as [RecurrentConfig];
  const [sorted, unsorted] = await Promise.all([
    run(
      config,
      [1, 0, 2].map((b) => rows[b] as Row),
      5,
      0,
    ),
    run(config, rows, 5, 0),
  ]);
  for (const [place, b] of [1, 0, 2].entries())
    t.deepEqual(
      rowIn(sorted.output as Float64Array, place, 3, 5, 5),
      rowIn(unsorted.output as Float64Array, b, 3, 5, 5),
    );
});

const language = { kind: 'lstm', vocabularySize: 5, embeddingSize: H, hiddenSize: H } as const;
const labelled = { tokens: [0, 1, 2, 3, 4, 0, 1, 2], labels: [1, 2, 3, 4, 0, 1, 2, 3] };

/** Loss, penalty and gradients of a language model for two windows of 4 steps and 2 rows, the second going on from the first. */
async function windows(
  config: ConstructorParameters<typeof LanguageModelNetwork>[0],
  set: Readonly<Record<string, readonly number[]>> = {},
): Promise<Results[]> {
  const model = new Model(new LanguageModelNetwork(config), float64);
  await model.allocate();
  await model.initialise(3);
  for (const [name, values] of Object.entries(set))
    await model.engine.write(model.network.parameters.arena.get(name), values);
  const state = await model.state('test', 2);
  const graph = new Graph();
  const mode = { random: graph.read(model.random) };
  const { loss, next, penalty } = model.network.loss(graph, { time: 4, batch: 2 }, state, full(graph, [1], 8), mode);
  for (const [index, variable] of state.variables.entries()) graph.assign(variable, next[index] as Tensor);
  const { variables } = model.network.parameters.arena;
  const from = new Map([loss, ...(penalty ? [penalty] : [])].map((tensor) => [tensor, full(graph, [1], 1)]));
  const gradients = differentiate(graph, { from, to: variables.map((variable) => graph.read(variable)) });
  graph.output('loss', loss);
  if (penalty) graph.output('penalty', penalty);
  for (const variable of variables) {
    const gradient = gradients.get(graph.read(variable));
    if (gradient !== undefined) graph.output(variable.name, gradient);
  }
  const program = plan(graph);
  const results: Results[] = [];
  for (let window = 0; window < 2; window++) results.push((await model.engine.run(program, labelled)) as Results);
  return results;
}

test('a learned initial state starts the first window and no other', async (t) => {
  const config = { ...language, learnedInitialState: true };
  const [zero, learned] = await Promise.all([
    windows(config),
    windows(config, { 'lstm.h0_l0': [1, -1, 0.5, 2], 'lstm.c0_l0': [0.3, 1, -2, 0.1] }),
  ]);
  t.not(learned[0]?.loss?.[0], zero[0]?.loss?.[0]);
  for (const name of ['lstm.h0_l0', 'lstm.c0_l0']) {
    t.true(
      learned[0]?.[name]?.some((value) => value !== 0),
      `${name} has a gradient in the first window`,
    );
    t.true(
      learned[1]?.[name]?.every((value) => value === 0),
      `${name} has none in the second`,
    );
  }
});

test('tied weights: one table, whose gradient is the sum of both uses', async (t) => {
  const names = (config: object): string[] =>
    new LanguageModelNetwork({ ...language, ...config }).parameters.arena.variables.map(({ name }) => name);
  t.deepEqual(
    names({}).filter((name) => !names({ tiedWeights: true }).includes(name)),
    ['head.weight'],
  );
  const table = draw('table', 5 * H);
  const [[tied], [untied]] = await Promise.all([
    windows({ ...language, tiedWeights: true }, { 'embedding.weight': table, 'head.bias': [1, 2, 3, 4, 5] }),
    windows(language, { 'embedding.weight': table, 'head.weight': table, 'head.bias': [1, 2, 3, 4, 5] }),
  ]);
  const { 'embedding.weight': looked = new Float64Array(), 'head.weight': scored = looked } = untied ?? {};
  const sum = looked.map((value, i) => value + (scored[i] as number));
  t.true(near(tied?.['embedding.weight'] as Float64Array, sum));
  t.throws(() => new LanguageModelNetwork({ ...language, embeddingSize: 3, tiedWeights: true }), {
    instanceOf: OptionError,
    message: /`embeddingSize` to be 4.*received 3/,
  });
});

test('activation regularisation is a penalty beside the loss, and its gradient is there', async (t) => {
  const alpha = { activationRegularisation: 2 };
  const beta = { temporalActivationRegularisation: 1 };
  const first = async (more: object): Promise<Results | undefined> => (await windows({ ...language, ...more }))[0];
  const [plain, ar, tar, both] = await Promise.all([{}, alpha, beta, { ...alpha, ...beta }].map(first));
  t.is(plain?.penalty, undefined);
  t.is(ar?.loss?.[0], plain?.loss?.[0]);
  const penalty = (its: Results | undefined): number => its?.penalty?.[0] as number;
  t.true(penalty(ar) > 0 && penalty(tar) > 0);
  t.true(Math.abs(penalty(both) - penalty(ar) - penalty(tar)) < 1e-15);
  t.false(near(ar?.['lstm.weight_hh_l0'] as Float64Array, plain?.['lstm.weight_hh_l0'] as Float64Array));
});

test('label smoothing changes the training loss', async (t) => {
  const [[plain], [smooth]] = await Promise.all([windows(language), windows({ ...language, labelSmoothing: 0.1 })]);
  t.not(smooth?.loss?.[0], plain?.loss?.[0]);
});

test('variational dropout has one mask for all steps, ordinary dropout has not', async (t) => {
  const [T, B, C] = [5, 2, 30];
  const masks = async (variational: boolean): Promise<Float64Array> => {
    const graph = new Graph();
    const random = graph.input('random', [3], 'i32');
    graph.output('y', dropoutSteps(full(graph, [T, B, C], 1), { rate: 0.5, variational }, { random }, 4));
    return (await new Engine(float64).run(plan(graph), { random: [1, 2, 3] })).y as Float64Array;
  };
  const step = (y: Float64Array, at: number): number[] => [...y.subarray(at * B * C, (at + 1) * B * C)];
  const [same, other] = await Promise.all([masks(true), masks(false)]);
  for (let at = 1; at < T; at++) {
    t.deepEqual(step(same, at), step(same, 0));
    t.notDeepEqual(step(other, at), step(other, 0));
  }
  t.deepEqual([...new Set(same)].sort(), [0, 2]);
});

test('recurrent dropout and zoneout change the loss in training', async (t) => {
  const [plain] = await windows(language);
  for (const more of [{ recurrentDropout: 0.5 }, { zoneout: 0.5 }, { cellZoneout: 0.5 }]) {
    const [other] = await windows({ ...language, ...more });
    t.not(other?.loss?.[0], plain?.loss?.[0], JSON.stringify(more));
  }
});

test('the forget gate’s bias is raised where asked for', async (t) => {
  const biases = async (forgetBias: number): Promise<number[]> => {
    const model = new Model(new LanguageModelNetwork({ ...language, forgetBias }), float64);
    await model.allocate();
    await model.initialise(3);
    return [...(await model.engine.read(model.network.parameters.arena.get('lstm.bias_ih_l0')))];
  };
  const [plain, raised] = await Promise.all([biases(0), biases(2)]);
  t.true(
    near(
      raised,
      plain.map((value, i) => value + (i >= H && i < 2 * H ? 2 : 0)),
    ),
  );
});

for (const [config, message] of [
  [{ kind: 'gtu' }, /`kind` to be one of rnn, lstm, gru.*"gtu"/],
  [{ hiddensize: 3 }, /unknown option `hiddensize`: did you mean `hiddenSize`/],
  [{ kind: 'gru', projectionSize: 2 }, /`projectionSize` only with kind lstm.*gru/],
  [{ kind: 'lstm', nonlinearity: 'relu' }, /`nonlinearity` only with kind rnn.*lstm/],
  [{ kind: 'lstm', projectionSize: H }, /`projectionSize` to be below hiddenSize 4.*4/],
  [{ kind: 'lstm', dropout: 1 }, /`dropout` to be a number from 0 to below 1.*1/],
  [{ kind: 'lstm', layers: 0 }, /`layers` to be a whole number from 1 to 1000.*0/],
] as const) {
  test(`refused by name: ${JSON.stringify(config)}`, (t) => {
    const all = { kind: 'lstm', inputSize: I, hiddenSize: H, ...config } as unknown as RecurrentConfig;
    t.throws(() => new Recurrent(new Parameters().scope, all), { instanceOf: OptionError, message });
  });
}
