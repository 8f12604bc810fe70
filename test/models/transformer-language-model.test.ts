import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { CharacterVocabulary } from '../../src/data/vocabulary.js';
import type { Reader } from '../../src/models/text-model.js';
import {
  TransformerLanguageModel,
  type TransformerLanguageModelOptions,
} from '../../src/models/transformer-language-model.js';
import { OptionError } from '../../src/program/options.js';
import { Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { folder } from './folder.js';

const text = 'to be or not to be. '.repeat(30);
const vocabulary = CharacterVocabulary.fromText(text);

const small = (backend: Backend, more: Partial<TransformerLanguageModelOptions> = {}) =>
  TransformerLanguageModel.create({
    vocabulary,
    hiddenSize: 16,
    heads: 2,
    layers: 1,
    context: 12,
    dropout: 0,
    backend,
    ...more,
  });

onEvery('text is learnt and written on, and the model comes back from its folder', async (t, backend) => {
  const model = await small(backend);
  const before = await model.evaluate(text, { batch: 4, window: 12 });
  await new Trainer(model, { learningRate: 0.02 }).fit(model.batches(text, { batch: 6, window: 12 }), { steps: 30 });
  const after = await model.evaluate(text, { batch: 4, window: 12 });
  t.true(after.loss < before.loss - 1, `${before.loss} → ${after.loss}`);
  t.is(after.labels, before.labels);
  const path = await folder(t);
  await model.save(path);
  const loaded = await TransformerLanguageModel.load(path, { backend });
  t.deepEqual(loaded.settings, model.settings);
  const options = { prompt: 'to be or', length: 20, temperature: 0 };
  t.is(await loaded.generateText(options), await model.generateText(options));
});

test('what comes next depends on the last tokens of the context, and on nothing before them', async (t) => {
  const model = await small(float64);
  const readerOf = () => (model as unknown as { reader(): Promise<Reader> }).reader();
  const after = async (...parts: string[]): Promise<number[]> => {
    const read = await readerOf();
    let logits: ArrayLike<number> = [];
    for (const part of parts) logits = await read(vocabulary.encode(part));
    return Array.from(logits);
  };
  const expected = await after('to be or not');
  t.deepEqual(await after('not to be or not'), expected, 'twelve characters are seen');
  t.deepEqual(await after('not to b', 'e or', ' not'), expected);
  t.notDeepEqual(await after('no be or not'), expected);
});

test('the logits of a text do not depend on how it is read', async (t) => {
  const model = await small(float64);
  const likeliest = { length: 1, temperature: 0 } as const;
  let written = '';
  for await (const piece of model.generate({ prompt: 'to ', length: 7, temperature: 0 })) written += piece;
  for (let length = 0; length < 7; length++)
    t.is(await model.generateText({ ...likeliest, prompt: `to ${written.slice(0, length)}` }), written.charAt(length));
});

test('evaluation counts every label once, in one window or several', async (t) => {
  const model = await small(float64);
  const { labels } = await model.evaluate(text.slice(0, 100), { batch: 3, window: 7 });
  t.is(labels, 99);
  const one = await model.evaluate(text.slice(0, 13), { batch: 1, window: 12 });
  t.is(one.labels, 12);
});

test('options that do not fit are refused by name', async (t) => {
  const refused = async (options: object, message: RegExp): Promise<void> => {
    await t.throwsAsync(small(float64, options), { instanceOf: OptionError, message });
  };
  await refused({ hiddenSize: 15 }, /`hiddenSize` to be a multiple of `heads`, 2, but received 15/);
  await refused({ contexts: 3 }, /unknown option `contexts`: did you mean `context`\?/);
  await refused({ preset: 'large' }, /`preset` to be one of tiny, mini.*"large"/);
  await refused({ vocabulary: undefined }, /`vocabulary`/);
  const model = await small(float64);
  t.throws(() => model.batches(text, { window: 13 }).next(), {
    instanceOf: OptionError,
    message: /`window`.*at most 12.*13/,
  });
});

test('a folder that does not fit is refused by name', async (t) => {
  const path = await folder(t);
  await (await small(float64)).save(path);
  const file = join(path, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8'));
  for (const [change, message] of [
    [{ num_heads: 3 }, /config\.json.*`num_heads`, 3,/],
    [{ context: undefined }, /config\.json.*`context`.*none/],
    [{ vocab_size: 3 }, /vocab\.json.*3 tokens/],
    [{ num_layers: 2 }, /transformer\.encoder\.layer\.1\..*none/],
    [{ model_type: 'language_model' }, /"transformer_language_model".*"language_model"/],
  ] as const) {
    await writeFile(file, JSON.stringify({ ...config, ...change }));
    await t.throwsAsync(TransformerLanguageModel.load(path, { backend: float64 }), {
      code: 'ERR_SEQGRAD_FORMAT',
      message,
    });
  }
});
