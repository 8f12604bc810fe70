/** Several engines, several tasks on one engine: everything takes its turn, and nothing meets a half-finished step. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { ClosedError } from '../../src/backends/executor.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { LanguageModel } from '../../src/models/language-model.js';
import { add } from '../../src/ops/elementwise.js';
import { Arena } from '../../src/program/variable.js';
import { Trainer } from '../../src/train/trainer.js';
import { backends, onEvery } from './backends.js';
import { bitsOf, smallModel, text } from './text.js';

const folder = mkdtempSync(join(tmpdir(), 'seqgrad-queue-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

test('engines of all backends train at once, each as if it were alone', async (t) => {
  const train = async (backend: (typeof backends)[number]): Promise<string> => {
    const model = await smallModel(backend, { dropout: 0.2 });
    await new Trainer(model, { learningRate: 0.01 }).fit(model.batches(text, { batch: 2, window: 16 }), { steps: 5 });
    const bits = await bitsOf(model);
    await model.engine.close();
    return bits;
  };
  const alone: string[] = [];
  for (const backend of backends) alone.push(await train(backend));
  t.deepEqual(await Promise.all([...backends, ...backends].map(train)), [...alone, ...alone]);
});

onEvery('two trainers of one model take turns, step by step', async (t, backend) => {
  const model = await smallModel(backend);
  const trainers = [1, 2].map((seed) => new Trainer(model, { learningRate: 1e-3, seed }));
  const before = await model.evaluate(text.slice(0, 400), { batch: 2, window: 16 });
  const histories = await Promise.all(
    trainers.map((trainer) => trainer.fit(model.batches(text, { batch: 2, window: 16 }), { steps: 10 })),
  );
  t.true(histories.every((steps) => steps.length === 10 && steps.every(({ loss }) => Number.isFinite(loss))));
  const after = await model.evaluate(text.slice(0, 400), { batch: 2, window: 16 });
  t.true(after.loss < before.loss);
});

onEvery('one engine used from several tasks at once loses no update', async (t, backend) => {
  const engine = new Engine(backend);
  const arena = new Arena('counter');
  const counter = arena.add('counter', [1]);
  await engine.place(arena);
  const graph = new Graph();
  graph.assign(counter, add(graph.read(counter), graph.input('by', [1])));
  const increment = plan(graph);
  const task = async (by: number): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      if (i % 2 === 0) await engine.run(increment, { by: [by] });
      // By hand, with a pause in the middle of the turn.
      else {
        await engine.use(async (session) => {
          const [value = Number.NaN] = await session.read(counter);
          await new Promise((resolve) => setTimeout(resolve, 0));
          await session.write(counter, [value + by]);
        });
      }
    }
  };
  await Promise.all([1, 2, 3].map(task));
  t.deepEqual([...(await engine.read(counter))], [20 * (1 + 2 + 3)]);
  await engine.close();
});

onEvery('what is saved while training is the state between two steps', async (t, backend) => {
  const stateAfter = async (steps: number): Promise<string> => {
    const model = await smallModel(backend);
    await new Trainer(model).fit(model.batches(text, { batch: 2, window: 16 }), { steps });
    return bitsOf(model);
  };
  const allowed = [];
  for (let steps = 0; steps <= 6; steps++) allowed.push(await stateAfter(steps));
  const model = await smallModel(backend);
  const training = new Trainer(model).fit(model.batches(text, { batch: 2, window: 16 }), { steps: 6 });
  const paths: string[] = [];
  for (let i = 0; i < 4; i++) {
    paths.push(join(folder, `${backend.name} ${i}`));
    await model.save(paths[i] as string);
  }
  await training;
  for (const path of paths) t.true(allowed.includes(await bitsOf(await LanguageModel.load(path, { backend }))), path);
});

onEvery('an engine that is closed while it trains rejects the step, and no other engine', async (t, backend) => {
  const [one, other] = [await smallModel(backend), await smallModel(backend)];
  const trainOn = (model: LanguageModel, steps: number) =>
    new Trainer(model).fit(model.batches(text, { batch: 2, window: 16 }), { steps });
  const [closed, open] = [trainOn(one, Number.POSITIVE_INFINITY), trainOn(other, 5)];
  const rejected = t.throwsAsync(closed, { instanceOf: ClosedError });
  await new Promise((resolve) => setTimeout(resolve, 20));
  await one.engine.close();
  await rejected;
  t.is((await open).length, 5);
  await t.throwsAsync(one.evaluate(text.slice(0, 100)), { instanceOf: ClosedError });
});
