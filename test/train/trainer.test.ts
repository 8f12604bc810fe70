import test from 'ava';
import { type Backend, OutOfMemoryError } from '../../src/backends/executor.js';
import { DataError } from '../../src/data/errors.js';
import type { LanguageModel } from '../../src/models/language-model.js';
import { OptionError } from '../../src/program/options.js';
import { NonFiniteError } from '../../src/train/locate.js';
import { planMemory } from '../../src/train/memory.js';
import { type Batch, Trainer } from '../../src/train/trainer.js';
import type { TrainerOptions } from '../../src/train/trainer-options.js';
import { float64 } from '../graph/evaluate.js';
import { backends, onEvery } from './backends.js';
import { bitsOf, smallModel, text } from './text.js';

const windows = { batch: 4, window: 8 };

function take(model: LanguageModel, count: number, from = 0): Batch[] {
  const batches: Batch[] = [];
  for (const batch of model.batches(text, windows)) {
    if (batches.push(batch) === from + count) break;
  }
  return batches.slice(from);
}

/** All that a step may change: parameters, moments, carried state. */
async function everything(model: LanguageModel): Promise<string> {
  const arenas = model.engine.arenas.filter(({ name }) => !/gradients|controls|next training state/.test(name));
  const parts: string[] = [];
  for (const arena of arenas) parts.push(`${arena.name} ${Array.from(await model.engine.read(arena.whole)).join()}`);
  return parts.join('\n');
}

async function poison(model: LanguageModel, name: string, index: number, value: number): Promise<() => Promise<void>> {
  const variable = model.network.parameters.arena.get(name);
  const old = Float32Array.from(await model.engine.read(variable));
  await model.engine.write(variable, old.with(index, value));
  return () => model.engine.write(variable, old);
}

onEvery(
  'a step that is not finite changes nothing, says where, and training goes on as if it had not been',
  async (t, backend) => {
    const run = async (disturbed: boolean): Promise<string> => {
      const model = await smallModel(backend, { dropout: 0.2 });
      const trainer = new Trainer(model, { learningRate: 0.01 });
      await trainer.fit(take(model, 3));
      if (disturbed) {
        const heal = await poison(model, 'lstm.weight_hh_l0', 12 * 12 + 5, Number.NaN); // the forget gate of unit 0
        const before = await everything(model);
        const error = await t.throwsAsync(trainer.fit(take(model, 1, 3)), { instanceOf: NonFiniteError });
        t.is(error.step, 4);
        t.regex(error.message, /step 4: .*lstm\.l0.*lstmForward/);
        t.is(error.where?.label, 'lstm.l0');
        t.regex(error.where?.position ?? '', /forget_gate, unit 0/);
        t.is(await everything(model), before);
        t.is(trainer.step, 3);
        await heal();
      }
      await trainer.fit(take(model, 3, 3));
      return everything(model);
    };
    t.is(await run(true), await run(false));
  },
);

for (const [name, value, where] of [
  ['embedding.weight', Number.NaN, { label: 'lstm.l0', instruction: 'matmul', operand: 'c' }],
  ['lstm.weight_ih_l0', Number.POSITIVE_INFINITY, { label: 'lstm.l0', instruction: 'matmul', operand: 'c' }],
  ['head.weight', Number.NaN, { label: 'head', instruction: 'matmul', operand: 'c' }],
  ['head.bias', Number.NEGATIVE_INFINITY, { label: 'head', instruction: 'matmul', operand: 'c' }],
] as const) {
  test(`a ${value} in ${name} is found where it first matters`, async (t) => {
    const model = await smallModel(float64);
    const trainer = new Trainer(model);
    const variable = model.network.parameters.arena.get(name);
    await model.engine.write(variable, new Float32Array(variable.elements).fill(value));
    const { where: found } = await t.throwsAsync(trainer.fit(take(model, 1)), { instanceOf: NonFiniteError });
    const { label, instruction, operand } = found!;
    t.deepEqual({ label, instruction, operand }, where);
  });
}

onEvery('a learning rate that explodes is stopped by an error, with finite parameters left', async (t, backend) => {
  const model = await smallModel(backend);
  const trainer = new Trainer(model, {
    learningRate: 3e38,
    optimizer: { kind: 'sgd' },
    clipNorm: Number.POSITIVE_INFINITY,
    weightDecay: 0,
  });
  await t.throwsAsync(trainer.fit(take(model, 50)), { instanceOf: NonFiniteError });
  t.true((await model.readParameters()).every(([, values]) => values.every(Number.isFinite)));
});

onEvery('a batch that does not fit is refused, and training goes on as if it had not been', async (t, backend) => {
  const run = async (disturbed: boolean): Promise<string> => {
    const model = await smallModel(backend);
    const trainer = new Trainer(model, { learningRate: 0.01 });
    await trainer.fit(take(model, 2));
    if (disturbed) {
      const [batch] = take(model, 1, 2) as [Batch];
      await t.throwsAsync(trainer.fit([{ ...batch, inputs: { ...batch.inputs, tokens: [1, 2, 3] } }]), {
        message: /tokens.*received 3/,
      });
      await t.throwsAsync(trainer.fit([{ ...batch, inputs: { tokens: batch.inputs.tokens! } }]), {
        message: /labels.*received none/,
      });
    }
    await trainer.fit(take(model, 2, 2));
    return everything(model);
  };
  t.is(await run(true), await run(false));
});

onEvery(
  'a step that memory cannot hold names its bytes, and training goes on as if it had not been',
  async (t, backend) => {
    const run = async (disturbed: boolean): Promise<string> => {
      const model = await smallModel(backend);
      const trainer = new Trainer(model, { learningRate: 0.01 });
      await trainer.fit(take(model, 2));
      if (disturbed) {
        const [batch] = take(model, 1, 2) as [Batch];
        const time = 3_000_000;
        const tokens = new Int32Array(batch.batch * time);
        const long = { ...batch, time, inputs: { ...batch.inputs, tokens, labels: tokens }, labelCount: tokens.length };
        const error = await t.throwsAsync(trainer.fit([long]), { instanceOf: OutOfMemoryError });
        t.regex(error.message, /activations \(\d{10} bytes\)/);
      }
      await trainer.fit(take(model, 2, 2));
      return everything(model);
    };
    t.is(await run(true), await run(false));
  },
);

const hashes = async (backend: Backend, options: TrainerOptions = {}): Promise<string> => {
  const model = await smallModel(backend, { dropout: 0.3, layers: 2 });
  await new Trainer(model, { learningRate: 0.01, ...options }).fit(take(model, 4));
  return bitsOf(model);
};

onEvery('the same seed twice gives the same bits, another seed other ones', async (t, backend) => {
  const first = await hashes(backend);
  t.is(await hashes(backend), first);
  t.not(await hashes(backend, { seed: 2 }), first);
});

onEvery(
  'training may be interrupted by evaluating, generating and reading, and ends in the same bits',
  async (t, backend) => {
    const model = await smallModel(backend, { dropout: 0.3, layers: 2 });
    const trainer = new Trainer(model, { learningRate: 0.01 });
    const quiet = await smallModel(backend, { dropout: 0.3, layers: 2 });
    const expected = await quiet.evaluate(text.slice(0, 200), { batch: 2, window: 16 });
    const [evaluation, sample] = await Promise.all([
      model.evaluate(text.slice(0, 200), { batch: 2, window: 16 }),
      model.generateText({ length: 5, temperature: 0 }),
      trainer.fit(take(model, 4)),
      model.readParameters(),
      model.evaluate(text.slice(0, 100), { batch: 4, window: 8 }),
    ]);
    t.is(sample.length, 5);
    t.true(Number.isFinite(evaluation.loss) && Number.isFinite(expected.loss));
    t.is(await bitsOf(model), await hashes(backend));
  },
);

onEvery('two models train at once, each as if it were alone', async (t, backend) => {
  t.deepEqual(new Set(await Promise.all([hashes(backend), hashes(backend), hashes(backend)])).size, 1);
});

test('two evaluations at once give what each gives alone', async (t) => {
  for (const backend of backends) {
    const model = await smallModel(backend);
    const parts = [text.slice(0, 300), text.slice(300, 700)];
    const alone = [];
    for (const part of parts) alone.push(await model.evaluate(part, { batch: 2, window: 10 }));
    const together = await Promise.all(parts.map((part) => model.evaluate(part, { batch: 2, window: 10 })));
    t.deepEqual(together, alone, backend.name);
  }
});

test('the plan may be asked for while training begins', async (t) => {
  const model = await smallModel(float64);
  const trainer = new Trainer(model);
  const [memory] = await Promise.all([planMemory(trainer, { time: 8, batch: 4 }), trainer.fit(take(model, 1))]);
  t.true(memory.peak >= memory.parameters + memory.gradients + memory.optimizer);
});

test('training stops after the steps asked for, at the end of the batches, and on abort', async (t) => {
  const model = await smallModel(float64);
  const trainer = new Trainer(model, { microBatches: 2 });
  t.is((await trainer.fit(take(model, 10), { steps: 3 })).length, 3);
  t.is((await trainer.fit(take(model, 5))).length, 2, 'half a step is not taken');
  const controller = new AbortController();
  let seen = 0;
  for await (const step of trainer.train(model.batches(text, windows), { signal: controller.signal })) {
    seen = step.step;
    if (seen === 7) controller.abort();
  }
  t.is(seen, 7);
  t.is(trainer.step, 7);
});

test('options that do not fit are refused by name', async (t) => {
  const model = await smallModel(float64);
  const refused = (options: object, message: RegExp): void => {
    t.throws(() => new Trainer(model, options), { instanceOf: OptionError, message });
  };
  refused({ learningRates: 1 }, /unknown option `learningRates`: did you mean `learningRate`\?/);
  refused({ learningRate: Number.NaN }, /`learningRate`.*NaN/);
  refused({ learningRate: 0 }, /`learningRate`.*above 0/);
  refused({ weightDecay: -1 }, /`weightDecay`/);
  refused({ clipNorm: '1' }, /`clipNorm`.*"1"/);
  refused({ microBatches: 0 }, /`microBatches`.*whole number from 1/);
  refused({ seed: 0.5 }, /`seed`/);
  refused({ optimizer: { kind: 'adam' } }, /`optimizer.kind`.*adam/);
  refused({ optimizer: { kind: 'sgd', beta: 1 } }, /unknown option `beta`/);
  refused({ optimizer: { kind: 'adamw', betas: 0.9 } }, /`betas`/);
  refused({ optimizer: { kind: 'adamw', betas: [0.9, 1] } }, /`betas`/);
  refused({ groups: [{ match: 'bias' }] }, /`match`/);
  refused({ groups: [{ match: /bias/, weightdecay: 0 }] }, /unknown option `weightdecay`.*`weightDecay`/);
  refused({ groups: [{ match: /bias/, rateFactor: Number.NaN }] }, /`rateFactor`/);
  await t.throwsAsync(new Trainer(model, { learningRate: () => Number.NaN }).fit(take(model, 1)), {
    instanceOf: OptionError,
    message: /at step 1 but received NaN/,
  });
  t.throws(() => model.batches('abc', windows).next(), { instanceOf: DataError });
});

onEvery('training goes on with the batches where an earlier call left them', async (t, backend) => {
  const [whole, parts] = await Promise.all([smallModel(backend), smallModel(backend)]);
  await new Trainer(whole).fit(whole.batches(text, windows), { steps: 5 });
  const trainer = new Trainer(parts);
  const batches = parts.batches(text, windows);
  t.is((await trainer.fit(batches, { steps: 2 })).length, 2);
  t.is((await trainer.fit(batches, { steps: 3 })).length, 3);
  t.is(await bitsOf(parts), await bitsOf(whole));
});
