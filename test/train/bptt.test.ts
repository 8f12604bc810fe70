import test from 'ava';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { LanguageModelNetwork } from '../../src/nn/language-model.js';
import { full } from '../../src/ops/copy.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import { Model } from '../../src/train/model.js';
import { type Batch, Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from './backends.js';
import { smallModel, text, vocabulary } from './text.js';

onEvery('evaluating windows of 8 with carried state is evaluating one window of 64', async (t, backend) => {
  const model = await smallModel(backend, { layers: 2 });
  const part = text.slice(0, 3 * 64 + 1);
  const [long, short, odd] = await Promise.all([64, 8, 13].map((window) => model.evaluate(part, { batch: 3, window })));
  t.is(long?.labels, 192);
  t.is(short?.labels, 192);
  t.is(odd?.labels, 192, 'a shorter last window counts too');
  const bound = backend.isa === 'float64' ? 1e-12 : 1e-6;
  t.true(Math.abs((short?.loss as number) - (long?.loss as number)) <= bound);
  t.true(Math.abs((odd?.loss as number) - (long?.loss as number)) <= bound);
});

test('planted fault: evaluating without carried state differs', async (t) => {
  const model = await smallModel(float64);
  const [long, ...parts] = [text.slice(0, 65), text.slice(0, 9), text.slice(8, 17)];
  const whole = await model.evaluate(long!.slice(0, 17), { batch: 1, window: 8 });
  const losses = [];
  for (const part of parts) losses.push((await model.evaluate(part, { batch: 1, window: 8 })).loss);
  t.true(Math.abs(whole.loss - (losses[0]! + losses[1]!) / 2) > 1e-6);
});

test('the state flows from window to window in training, and the gradient does not', async (t) => {
  const config = {
    kind: 'lstm' as const,
    vocabularySize: vocabulary.size,
    embeddingSize: 7,
    hiddenSize: 6,
    layers: 1,
    dropout: 0,
  };
  const [B, T] = [2, 5];
  const make = async (): Promise<Model<LanguageModelNetwork>> => {
    const model = new Model(new LanguageModelNetwork(config), float64);
    await model.allocate();
    await model.initialise(3);
    return model;
  };
  const draw = (seed: number, count: number): Int32Array =>
    Int32Array.from({ length: count }, (_, i) => (i * 7 + seed * 5 + ((i * seed) % 3)) % vocabulary.size);
  const batch = (index: number): Batch => ({
    inputs: { tokens: draw(index + 1, B * T), labels: draw(index + 11, B * T) },
    time: T,
    batch: B,
    labelCount: B * T,
    first: index === 0,
  });

  // What two steps of SGD do: the second starts from the state that the first left.
  const trained = await make();
  const rate = 0.5;
  const trainer = new Trainer(trained, {
    learningRate: rate,
    weightDecay: 0,
    clipNorm: Number.POSITIVE_INFINITY,
    optimizer: { kind: 'sgd' },
  });
  await trainer.fit([batch(0)]);
  const between = new Map(await snapshot(trained));
  const [second] = await trainer.fit([batch(1)]);
  const after = new Map(await snapshot(trained));

  // The same by hand: window 1 with the old weights gives the state; window 2 takes it as a constant input.
  const byHand = await make();
  const step = async (
    parameters: ReadonlyMap<string, Float64Array>,
    index: number,
    state: Readonly<Record<string, Float64Array>>,
  ) => {
    const graph = new Graph();
    const arena = byHand.network.stateArena('by hand', B);
    const { logits, next } = byHand.network.logits(graph, { time: T, batch: B }, arena, {});
    graph.output('h', next[0] as Tensor);
    graph.output('c', next[1] as Tensor);
    const loss = crossEntropy(logits, graph.input('labels', [B * T], 'i32'), full(graph, [1], B * T));
    const { variables } = byHand.network.parameters.arena;
    const gradients = differentiate(graph, {
      from: new Map([[loss, full(graph, [1], 1)]]),
      to: variables.map((v) => graph.read(v)),
    });
    graph.output('loss', loss);
    for (const variable of variables) graph.output(variable.name, gradients.get(graph.read(variable))!);
    await byHand.engine.place(arena);
    return byHand.engine.use(async (session) => {
      for (const variable of variables) session.write(variable, parameters.get(variable.name)!);
      session.write(arena.get('h.0'), state.h ?? new Float64Array(B * 6));
      session.write(arena.get('c.0'), state.c ?? new Float64Array(B * 6));
      return session.run(plan(graph), batch(index).inputs);
    });
  };
  const fresh = new Map(await snapshot(await make()));
  const { h, c } = await step(fresh, 0, {});
  const expected = await step(between, 1, { h: h as Float64Array, c: c as Float64Array });
  const without = await step(between, 1, {});
  t.true(Math.abs((second?.loss as number) - (expected.loss?.[0] as number)) < 1e-12);
  t.true(Math.abs((second?.loss as number) - (without.loss?.[0] as number)) > 1e-4, 'the state matters');
  for (const [name, values] of after) {
    const old = between.get(name) as Float64Array;
    for (const [i, value] of values.entries()) {
      const moved = (old[i] as number) - rate * (expected[name]?.[i] as number);
      t.true(Math.abs(value - moved) < 1e-12, `${name}[${i}]`);
    }
  }
});

async function snapshot(model: Model): Promise<[string, Float64Array][]> {
  const all: [string, Float64Array][] = [];
  for (const variable of model.network.parameters.arena.variables) {
    all.push([variable.name, Float64Array.from(await model.engine.read(variable))]);
  }
  return all;
}
