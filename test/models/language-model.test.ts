import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { DataError } from '../../src/data/errors.js';
import { learnVocabulary } from '../../src/data/vocabularies.js';
import { CharacterVocabulary } from '../../src/data/vocabulary.js';
import { FileError } from '../../src/formats/errors.js';
import { SafetensorsReader } from '../../src/formats/safetensors.js';
import { LanguageModel } from '../../src/models/language-model.js';
import { OptionError } from '../../src/program/options.js';
import { Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { bitsOf, smallModel, text, vocabulary } from '../train/text.js';
import { folder } from './folder.js';

/** Trained a little, with its options away from the defaults. */
async function trained(backend = float64): Promise<LanguageModel> {
  const model = await smallModel(backend, { layers: 2, dropout: 0.1 });
  await new Trainer(model, { learningRate: 0.02 }).fit(model.batches(text, { batch: 4, window: 8 }), { steps: 5 });
  return model;
}

onEvery('a model comes back from its folder with the same bits, losses and text', async (t, backend) => {
  const model = await trained(backend);
  const path = join(await folder(t), 'not', 'there', 'yet');
  await model.save(path);
  const loaded = await LanguageModel.load(path, { backend });
  t.is(await bitsOf(loaded), await bitsOf(model));
  t.deepEqual(loaded.network.config, model.network.config);
  t.deepEqual(await loaded.evaluate(text.slice(0, 300)), await model.evaluate(text.slice(0, 300)));
  const options = { prompt: 'the ', length: 30, seed: 3 };
  t.is(await loaded.generateText(options), await model.generateText(options));
  t.deepEqual((await readdir(path)).sort(), ['config.json', 'model.safetensors', 'vocab.json']);
});

test('a folder says its version, and its tensors have PyTorch’s names', async (t) => {
  const path = await folder(t);
  await (await trained()).save(path);
  const config = JSON.parse(await readFile(join(path, 'config.json'), 'utf8'));
  t.is(config.format_version, 1);
  t.is(config.model_type, 'language_model');
  const reader = await SafetensorsReader.open(join(path, 'model.safetensors'));
  t.deepEqual(reader.info('lstm.weight_ih_l1').shape, [48, 12]);
  t.deepEqual([...reader.tensors.keys()].filter((name) => name.startsWith('lstm')).length, 8);
  await reader.close();
});

test('a save that fails leaves the old model as it was', async (t) => {
  const path = await folder(t);
  const model = await trained();
  await model.save(path);
  const before = await Promise.all((await readdir(path)).map((name) => readFile(join(path, name), 'base64')));
  const other = await smallModel(float64);
  Object.assign(other.network.parameters.arena.variables[2]!, { shape: [1] }); // not what the file will be given
  await t.throwsAsync(other.save(path), { message: /Expected 1 values/ });
  t.deepEqual(await Promise.all((await readdir(path)).map((name) => readFile(join(path, name), 'base64'))), before);
  t.deepEqual((await readdir(path)).length, 3, 'nothing is left behind');
});

test('a folder below a file cannot be written', async (t) => {
  const path = join(await folder(t), 'file');
  await writeFile(path, '');
  const error = await t.throwsAsync((await smallModel(float64)).save(join(path, 'model')), { instanceOf: FileError });
  t.regex(error.message, /file/);
});

onEvery(
  'temperature 0 and topK 1 take the likeliest character, and a seed gives the same text again',
  async (t, backend) => {
    const model = await trained(backend);
    const likeliest = await model.generateText({ prompt: 'a gate', temperature: 0, length: 40 });
    t.is(likeliest.length, 40);
    t.is(await model.generateText({ prompt: 'a gate', temperature: 0, length: 40, seed: 9 }), likeliest);
    t.is(await model.generateText({ prompt: 'a gate', topK: 1, temperature: 2, length: 40 }), likeliest);
    const drawn = await model.generateText({ length: 40, seed: 4 });
    t.is(await model.generateText({ length: 40, seed: 4 }), drawn);
    t.not(await model.generateText({ length: 40, seed: 5 }), drawn);
    t.is(await model.generateText({ length: 0 }), '');
  },
);

onEvery('two generations at once do not disturb each other', async (t, backend) => {
  const model = await trained(backend);
  const options = [
    { prompt: 'the cell', seed: 1, length: 25 },
    { prompt: 'keeps', seed: 2, length: 30 },
  ];
  const alone = [];
  for (const each of options) alone.push(await model.generateText(each));
  t.deepEqual(await Promise.all(options.map((each) => model.generateText(each))), alone);
});

test('generating stops when it is aborted, and says what it cannot take', async (t) => {
  const model = await smallModel(float64);
  const controller = new AbortController();
  let pieces = 0;
  for await (const piece of model.generate({ length: 100, signal: controller.signal })) {
    t.is(piece.length, 1);
    if (++pieces === 3) controller.abort();
  }
  t.is(pieces, 3);
  const refused = (options: object, message: RegExp, instanceOf: typeof OptionError | typeof DataError = OptionError) =>
    t.throwsAsync(model.generateText(options), { instanceOf, message });
  await refused({ prompt: 'a ü' }, /"ü" \(U\+00FC\) at position 2/, DataError);
  await refused({ lenght: 3 }, /unknown option `lenght`: did you mean `length`\?/);
  await refused({ temperature: -1 }, /`temperature`/);
  await refused({ topK: 0 }, /`topK`/);
  await refused({ length: 1.5 }, /`length`/);
  await refused({ prompt: 3 }, /`prompt`/);
});

test('short texts are evaluated, too short ones refused', async (t) => {
  const model = await smallModel(float64);
  t.is((await model.evaluate('the cell')).labels, 7);
  t.is((await model.evaluate('th')).labels, 1);
  await t.throwsAsync(model.evaluate('t'), { instanceOf: DataError, message: /at least 2 characters/ });
  await t.throwsAsync(model.evaluate('€uro'), { instanceOf: DataError, message: /U\+20AC/ });
  const { loss, perplexity } = await model.evaluate(text.slice(0, 50));
  t.is(perplexity, Math.exp(loss));
  t.true(Math.abs(loss - Math.log(vocabulary.size)) < 0.5, 'an untrained model knows nothing');
});

test('options of a model that do not fit are refused by name', async (t) => {
  const refused = (options: object, message: RegExp) =>
    t.throwsAsync(LanguageModel.create({ vocabulary, backend: float64, ...options }), {
      instanceOf: OptionError,
      message,
    });
  await refused({ hidden: 3 }, /unknown option `hidden`: did you mean `hiddenSize`\?|expected one of .*hiddenSize/);
  await refused({ hiddenSize: 0 }, /`hiddenSize`.*whole number from 1.*0/);
  await refused({ layers: 1e9 }, /`layers`/);
  await refused({ dropout: 1 }, /`dropout`/);
  await refused({ vocabulary: undefined }, /`vocabulary`/);
  await refused({ vocabulary: ['a'] }, /`vocabulary`.*CharacterVocabulary/);
  t.is(CharacterVocabulary.fromText('aab').size, 2);
});

test('a folder of the first version, which knew only LSTMs, still loads', async (t) => {
  const path = await folder(t);
  const model = await trained();
  await model.save(path);
  const file = join(path, 'config.json');
  const { kind: _, model_type: __, ...rest } = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...rest, model_type: 'lstm_language_model' }));
  t.is(await bitsOf(await LanguageModel.load(path, { backend: float64 })), await bitsOf(model));
});

for (const units of ['words', 'bpe'] as const) {
  onEvery(`a language model over ${units} learns, comes back from its folder, and writes text`, async (t, backend) => {
    const learnt = learnVocabulary([text], { units, size: 280 });
    const model = await LanguageModel.create({ vocabulary: learnt, hiddenSize: 16, seed: 5, backend });
    const before = (await model.evaluate(text)).loss;
    await new Trainer(model, { learningRate: 0.03 }).fit(model.batches(text, { batch: 4, window: 16 }), { steps: 60 });
    const after = await model.evaluate(text);
    t.true(after.loss < before - 0.5, `${before} → ${after.loss}`);
    t.is(after.labels < text.length / 2, true);
    const path = await folder(t);
    await model.save(path);
    const loaded = await LanguageModel.load(path, { backend });
    const options = { prompt: 'the cell', length: 12, seed: 3 };
    const written = await model.generateText(options);
    t.is(await loaded.generateText(options), written);
    t.false(written.includes('<unknown>'));
    t.false(/\S{30}/.test(written), 'words have spaces between them');
  });
}

for (const kind of ['rnn', 'gru', 'lstm'] as const) {
  onEvery(
    `${kind} language models learn in windows that overlap, and keep their options in their folder`,
    async (t, backend) => {
      const own = {
        rnn: { nonlinearity: 'relu' },
        gru: { learnedInitialState: true },
        lstm: { projectionSize: 6, forgetBias: 1 },
      } as const;
      const options = {
        ...own[kind],
        recurrentDropout: 0.05,
        tiedWeights: true,
        labelSmoothing: 0.05,
        activationRegularisation: 0.1,
      };
      const embeddingSize = kind === 'lstm' ? 6 : 12;
      const model = await smallModel(backend, { kind, embeddingSize, ...options });
      const before = (await model.evaluate(text)).loss;
      const batches = model.batches(text, { batch: 4, window: 12, step: 5 });
      await new Trainer(model, { learningRate: 0.02 }).fit(batches, { steps: 40 });
      const after = (await model.evaluate(text)).loss;
      t.true(after < before - 0.2, `${before} → ${after}`);
      const path = await folder(t);
      await model.save(path);
      const loaded = await LanguageModel.load(path, { backend });
      t.deepEqual(loaded.settings, model.settings);
      t.like(loaded.settings, { kind, ...options });
      t.is((await loaded.evaluate(text)).loss, after);
    },
  );
}

test('settings in a folder that do not fit together are refused with the file’s name', async (t) => {
  const path = await folder(t);
  await (await trained()).save(path);
  const file = join(path, 'config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), reset_before: true }));
  await t.throwsAsync(LanguageModel.load(path, { backend: float64 }), {
    code: 'ERR_SEQGRAD_FORMAT',
    message: /config\.json: Expected settings that fit together .*`reset_before` only with kind gru/,
  });
});

onEvery('with documents, what stands before one does not matter to it', async (t, backend) => {
  const model = await smallModel(backend, { kind: 'gru', documentEnd: '.' });
  const after = 'the cell forgets what a gate lets through and keeps its state';
  /** The loss of the second half alone, from the losses of the whole and of the first half. */
  const lossAfter = async (before: string): Promise<number> => {
    const half = await model.evaluate(`${before}.${after.slice(0, 1)}`, { batch: 1, window: 8 });
    const whole = await model.evaluate(`${before}.${after}`, { batch: 1, window: 8 });
    return whole.loss * whole.labels - half.loss * half.labels;
  };
  const [one, other] = [await lossAfter('what a gate lets'), await lossAfter('keeps the cell and')];
  t.true(Math.abs(one - other) < 1e-3 * one, `${one} ${other}`);
  const path = await folder(t);
  await model.save(path);
  const loaded = await LanguageModel.load(path, { backend });
  t.is(
    (await loaded.evaluate('the cell. a gate.', { batch: 1 })).loss,
    (await model.evaluate('the cell. a gate.', { batch: 1 })).loss,
  );
  await t.throwsAsync(smallModel(backend, { documentEnd: 'the' }), {
    message: /`documentEnd` to be one token of the vocabulary but received "the", which is 3/,
  });
});
