import test from 'ava';
import { type LearntLabellerOptions, SequenceLabeller } from '../../src/models/sequence-labeller.js';
import { Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { sequences } from './examples.js';
import { folder } from './folder.js';

const examples = sequences(200);
const unseen = sequences(60, 'unseen');

async function trained(options: LearntLabellerOptions, steps = 60): Promise<SequenceLabeller> {
  const model = await SequenceLabeller.fromExamples(examples, { hiddenSize: 10, embeddingSize: 6, ...options });
  await new Trainer(model, { learningRate: 0.03 }).fit(model.batches(examples, { batch: 16 }), { steps });
  return model;
}

onEvery(
  'a labeller learns what only a reader in both directions can know, and comes back from its folder',
  async (t, backend) => {
    const model = await trained({ backend });
    const evaluation = await model.evaluate(unseen);
    t.true(evaluation.accuracy > 0.98, `${evaluation.accuracy}`);
    t.is(
      evaluation.count,
      unseen.reduce((sum, { tokens }) => sum + tokens.length, 0),
    );
    const path = await folder(t);
    await model.save(path);
    const loaded = await SequenceLabeller.load(path, { backend });
    t.deepEqual(await loaded.evaluate(unseen), evaluation);
    t.deepEqual(
      await loaded.predict([['x', 'x', 'y'], [], ['never seen']]),
      await model.predict([['x', 'x', 'y'], [], ['never seen']]),
    );
    t.deepEqual(
      (await model.predict([['x', 'x', 'y', 'y', 'y'], []])).map((labels) => labels.length),
      [5, 0],
    );
    t.deepEqual((await model.predict([['x', 'x', 'y', 'y', 'y']]))[0], ['x', 'y', 'y', 'y', 'end']);
  },
);

test('a reader in one direction cannot know it', async (t) => {
  const model = await trained({ backend: float64, bidirectional: false });
  t.true((await model.evaluate(unseen)).accuracy < 0.8);
});

test('loss and metrics do not depend on how sequences are batched or ordered', async (t) => {
  const model = await trained({ backend: float64 }, 5);
  const { loss, ...metrics } = await model.evaluate(unseen, { batch: 60 });
  for (const [batch, order] of [
    [1, unseen],
    [7, unseen.toReversed()],
  ] as const) {
    const { loss: other, ...same } = await model.evaluate(order, { batch });
    t.true(Math.abs(other - loss) < 1e-12 * loss);
    t.deepEqual(same, metrics);
  }
});

test('sequences that cannot be used are refused by name', async (t) => {
  const model = await trained({ backend: float64, maxLength: 8 }, 1);
  const evaluate = (tokens: string[], labels: string[]) => model.evaluate([{ tokens, labels, where: 'x.conll:3' }]);
  await t.throwsAsync(evaluate(['x'], ['new']), {
    code: 'ERR_SEQGRAD_DATA',
    message: 'x.conll:3: Expected one of the model’s 3 labels (end, x, y) but received "new"',
  });
  await t.throwsAsync(evaluate(['x', 'y'], ['x']), { message: /a label for each of 2 tokens but received 1/ });
  await t.throwsAsync(evaluate([], []), {
    message: /x\.conll:3: Expected a sequence of tokens but received an empty one/,
  });
  await t.throwsAsync(model.predict([Array(9).fill('x')]), {
    message: /at most 8 tokens \(`maxLength`\) but received 9/,
  });
});
