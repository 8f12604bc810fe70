import { readdir } from 'node:fs/promises';
import test from 'ava';
import type { Pooling } from '../../src/models/networks/classifier.js';
import { type LearntClassifierOptions, SequenceClassifier } from '../../src/models/sequence-classifier.js';
import { Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { texts } from './examples.js';
import { folder } from './folder.js';

const examples = texts(200);
const unseen = texts(100, 'unseen');

async function trained(options: LearntClassifierOptions, steps = 60): Promise<SequenceClassifier> {
  const model = await SequenceClassifier.fromExamples(examples, { hiddenSize: 12, embeddingSize: 6, ...options });
  await new Trainer(model, { learningRate: 0.02 }).fit(model.batches(examples, { batch: 16 }), { steps });
  return model;
}

onEvery('a classifier learns, and comes back from its folder with the same predictions', async (t, backend) => {
  const model = await trained({ backend, bidirectional: true, layers: 2, dropout: 0.1 }, 80);
  const evaluation = await model.evaluate(unseen);
  t.true(evaluation.accuracy > 0.95, `${evaluation.accuracy}`);
  t.is(evaluation.count, 100);
  t.is(
    evaluation.confusion.flat().reduce((sum, count) => sum + count),
    100,
  );
  t.deepEqual(
    evaluation.classes.map(({ label }) => label),
    ['a', 'b', 'c'],
  );
  const path = await folder(t);
  await model.save(path);
  const loaded = await SequenceClassifier.load(path, { backend });
  t.deepEqual(loaded.settings, model.settings);
  t.deepEqual(await loaded.predict(['axx', 'never-seen ü']), await model.predict(['axx', 'never-seen ü']));
  t.deepEqual(await loaded.evaluate(unseen), evaluation);
  t.deepEqual((await readdir(path)).sort(), ['config.json', 'model.safetensors', 'vocab.json']);
});

for (const [pooling, kind] of [
  ['last', 'gru'],
  ['mean', 'lstm'],
  ['max', 'rnn'],
] as const satisfies readonly (readonly [Pooling, string])[]) {
  onEvery(
    `a ${kind} with pooling ${pooling} learns, whatever stands beside a text in its batch`,
    async (t, backend) => {
      const model = await trained({ backend, pooling, kind, bidirectional: true }, 80);
      t.true((await model.evaluate(unseen)).accuracy > 0.9);
      const some = ['a', 'bxyzxyzx', 'cx', 'ayyyy', 'bzz'];
      const together = await model.predict(some, { batch: 5 });
      for (const [index, text] of some.entries()) {
        const [alone] = await model.predict([text]);
        t.is(alone?.label, together[index]?.label);
        for (const [at, probability] of (alone?.probabilities ?? []).entries()) {
          t.true(Math.abs(probability - (together[index]?.probabilities[at] as number)) < 1e-5);
        }
      }
    },
  );
}

test('loss and metrics do not depend on how examples are batched or ordered', async (t) => {
  const model = await trained({ backend: float64 }, 5);
  const { loss, ...metrics } = await model.evaluate(unseen, { batch: 100 });
  for (const [batch, order] of [
    [1, unseen],
    [7, unseen.toReversed()],
    [64, unseen],
  ] as const) {
    const { loss: other, ...same } = await model.evaluate(order, { batch });
    t.true(Math.abs(other - loss) < 1e-12 * loss);
    t.deepEqual(same, metrics);
  }
});

test('words and byte pairs can be classified too', async (t) => {
  for (const units of ['words', 'bpe'] as const) {
    const spaced = examples.map(({ text, label }) => ({ text: [...text].join(' '), label }));
    const model = await SequenceClassifier.fromExamples(spaced, {
      units,
      vocabularySize: 300,
      hiddenSize: 12,
      embeddingSize: 6,
      backend: float64,
    });
    t.is(model.vocabulary.units, units);
    await new Trainer(model, { learningRate: 0.03 }).fit(model.batches(spaced, { batch: 16 }), { steps: 60 });
    t.true((await model.evaluate(spaced)).accuracy > 0.9, units);
  }
});

test('a text is read up to `maxLength`', async (t) => {
  const model = await trained({ backend: float64, maxLength: 4 }, 5);
  t.deepEqual(await model.predict(['axyzzzz']), await model.predict(['axyz']));
  t.notDeepEqual(await model.predict(['axyz']), await model.predict(['axy']));
});

test('examples may come from anything that yields them', async (t) => {
  async function* source() {
    yield* examples;
  }
  const model = await SequenceClassifier.fromExamples(source(), { hiddenSize: 4, backend: float64 });
  const same = await SequenceClassifier.fromExamples(examples, { hiddenSize: 4, backend: float64 });
  const [batch] = [(await model.batches(source()).next()).value];
  t.deepEqual(batch, (await same.batches(examples).next()).value);
  t.deepEqual(await model.evaluate(source()), await same.evaluate(examples));
});

test('the same seed gives the same training, another one another', async (t) => {
  const losses = async (seed: number): Promise<number[]> => {
    const model = await SequenceClassifier.fromExamples(examples, { hiddenSize: 4, backend: float64, seed });
    const steps = await new Trainer(model, { seed }).fit(model.batches(examples, { batch: 16, seed }), { steps: 3 });
    return steps.map(({ loss }) => loss);
  };
  t.deepEqual(await losses(5), await losses(5));
  t.notDeepEqual(await losses(5), await losses(6));
});

test('examples that cannot be used are refused by name', async (t) => {
  const model = await trained({ backend: float64 }, 1);
  const wrong = [{ text: 'a', label: 'd', where: 'x.csv:7' }];
  await t.throwsAsync(model.evaluate(wrong), {
    code: 'ERR_SEQGRAD_DATA',
    message: 'x.csv:7: Expected one of the model’s 3 labels (a, b, c) but received "d"',
  });
  await t.throwsAsync(model.predict(['a', '']), { message: 'Expected a text to classify but received ""' });
  await t.throwsAsync(model.batches([]).next(), { message: /Expected examples to train on but received none/ });
  await t.throwsAsync(model.batches(examples, { batch: 0 }).next(), { code: 'ERR_SEQGRAD_OPTION' });
  await t.throwsAsync(SequenceClassifier.fromExamples([{ text: 'a', label: 'x' }], { backend: float64 }), {
    message: 'Expected labels of at least two classes but received only "x"',
  });
  await t.throwsAsync(SequenceClassifier.fromExamples([], { backend: float64 }), { message: /received none/ });
  await t.throwsAsync(SequenceClassifier.fromExamples(examples, { poling: 'max' } as never), {
    code: 'ERR_SEQGRAD_OPTION',
    message: 'SequenceClassifier: unknown option `poling`: did you mean `pooling`?',
  });
});
