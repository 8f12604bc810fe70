import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CharacterVocabulary } from '../../src/data/vocabulary.js';
import { DataError } from '../../src/data/errors.js';
import { FileError, FormatError } from '../../src/formats/errors.js';
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.js';
import { LstmLanguageModel } from '../../src/models/language-model.js';
import { OptionError } from '../../src/program/options.js';
import { Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { bitsOf, smallModel, text, vocabulary } from '../train/text.js';

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'seqgrad-test-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Trained a little, with its options away from the defaults. */
async function trained(backend = float64): Promise<LstmLanguageModel> {
  const model = await smallModel(backend, { layers: 2, dropout: 0.1 });
  await new Trainer(model, { learningRate: 0.02 }).fit(model.batches(text, { batch: 4, window: 8 }), { steps: 5 });
  return model;
}

onEvery('a model comes back from its folder with the same bits, losses and text', async (t, backend) => {
  const model = await trained(backend);
  const path = join(await folder(t), 'not', 'there', 'yet');
  await model.save(path);
  const loaded = await LstmLanguageModel.load(path, { backend });
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
  t.is(config.model_type, 'lstm_language_model');
  const reader = await SafetensorsReader.open(join(path, 'model.safetensors'));
  t.deepEqual(reader.info('lstm.weight_ih_l1').shape, [48, 12]);
  t.deepEqual([...reader.tensors.keys()].filter((name) => name.startsWith('lstm')).length, 8);
  await reader.close();
});

/** What is wrong with a folder, and what the message must name. */
const hostile: readonly { title: string; damage: (path: string) => Promise<unknown>; message: RegExp; by?: typeof FormatError | typeof FileError | typeof DataError }[] = [
  { title: 'without config.json', damage: (p) => rm(join(p, 'config.json')), message: /config\.json.*no such file/, by: FileError },
  { title: 'without vocab.json', damage: (p) => rm(join(p, 'vocab.json')), message: /vocab\.json.*no such file/, by: FileError },
  { title: 'without tensors', damage: (p) => rm(join(p, 'model.safetensors')), message: /model\.safetensors.*no such file/, by: FileError },
  { title: 'of another version', damage: config({ format_version: 2 }), message: /config\.json.*format_version.*1.*received 2/ },
  { title: 'of another kind of model', damage: config({ model_type: 'bert' }), message: /config\.json.*lstm_language_model.*"bert"/ },
  { title: 'of another program', damage: (p) => writeFile(join(p, 'config.json'), '{"name":"x"}'), message: /config\.json.*format_version.*none/ },
  { title: 'with a list for a config', damage: (p) => writeFile(join(p, 'config.json'), '[]'), message: /config\.json.*an object/ },
  { title: 'with null for a config', damage: (p) => writeFile(join(p, 'config.json'), 'null'), message: /config\.json.*an object/ },
  { title: 'with half a config', damage: (p) => writeFile(join(p, 'config.json'), '{"format_'), message: /config\.json.*JSON/ },
  { title: 'with hidden size 0', damage: config({ hidden_size: 0 }), message: /config\.json.*`hidden_size`.*whole number from 1.*0/ },
  { title: 'with a hidden size in words', damage: config({ hidden_size: '12' }), message: /config\.json.*`hidden_size`.*"12"/ },
  { title: 'with a hidden size nothing can hold', damage: config({ hidden_size: 2 ** 40 }), message: /bytes/, by: Error as never },
  { title: 'with more layers than there can be', damage: config({ num_layers: 1e9 }), message: /num_layers/ },
  { title: 'with no layers', damage: config({ num_layers: undefined }), message: /config\.json.*`num_layers`.*none/ },
  { title: 'with dropout 1', damage: config({ dropout: 1 }), message: /config\.json.*`dropout`.*1/ },
  { title: 'with another hidden size', damage: config({ hidden_size: 13 }), message: /model\.safetensors.*`lstm\.weight_ih_l0`.*\[52, 7\].*\[48, 7\]/ },
  { title: 'with one layer less', damage: config({ num_layers: 1 }), message: /model\.safetensors.*`lstm\.weight_ih_l1`.*only tensors of the model/ },
  { title: 'with one layer more', damage: config({ num_layers: 3 }), message: /model\.safetensors.*`lstm\.weight_ih_l2`/ },
  { title: 'with another vocabulary size', damage: config({ vocab_size: 99 }), message: /vocab\.json.*99 characters.*received \d+/ },
  { title: 'with a shorter vocabulary', damage: (p) => writeFile(join(p, 'vocab.json'), '{"type":"characters","characters":["a"]}'), message: /vocab\.json.*characters.*received 1/ },
  { title: 'with a list for a vocabulary', damage: (p) => writeFile(join(p, 'vocab.json'), '["a"]'), message: /vocab\.json.*"type": "characters"/, by: DataError },
  { title: 'with a NaN', damage: tensors((name, values) => name === 'head.bias' && values.fill(Number.NaN, 2, 3)), message: /model\.safetensors.*`head\.bias`.*NaN at element 2/ },
  { title: 'with an extra tensor', damage: tensors(() => false, { name: 'spy', dtype: 'F32', shape: [1], values: new Float32Array(1) }), message: /model\.safetensors.*`spy`/ },
  { title: 'with truncated tensors', damage: async (p) => writeFile(join(p, 'model.safetensors'), (await readFile(join(p, 'model.safetensors'))).subarray(0, -5)), message: /model\.safetensors/ },
  { title: 'with half a header', damage: async (p) => writeFile(join(p, 'model.safetensors'), (await readFile(join(p, 'model.safetensors'))).subarray(0, 50)), message: /model\.safetensors/ },
  { title: 'with empty tensors', damage: (p) => writeFile(join(p, 'model.safetensors'), ''), message: /model\.safetensors.*0 bytes/ },
];

function config(change: Readonly<Record<string, unknown>>): (path: string) => Promise<void> {
  return async (path) => {
    const file = join(path, 'config.json');
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }));
  };
}

function tensors(change: (name: string, values: Float32Array) => unknown, ...extra: TensorToWrite[]): (path: string) => Promise<void> {
  return async (path) => {
    const file = join(path, 'model.safetensors');
    const reader = await SafetensorsReader.open(file);
    const all: TensorToWrite[] = [...extra];
    for (const [name, { shape }] of reader.tensors) {
      const values = await reader.readFloat32(name);
      change(name, values);
      all.push({ name, dtype: 'F32', shape, values });
    }
    await reader.close();
    await writeSafetensors(file, all);
  };
}

for (const { title, damage, message, by = FormatError } of hostile) {
  test(`a folder ${title} is refused, and the message says what is wrong where`, async (t) => {
    const path = await folder(t);
    const model = await smallModel(float64, { layers: 2 });
    await model.save(path);
    await damage(path);
    const error = await t.throwsAsync(LstmLanguageModel.load(path, { backend: float64 }), { instanceOf: by });
    t.regex(error!.message, message);
    t.false(error!.message.includes('\n'));
  });
}

test('a save that fails leaves the old model as it was', async (t) => {
  const path = await folder(t);
  const model = await trained();
  await model.save(path);
  const before = await Promise.all((await readdir(path)).map((name) => readFile(join(path, name), 'base64')));
  const other = await smallModel(float64);
  other.readParameters = async () => {
    const parameters = await smallModel(float64).then((m) => m.readParameters());
    return [...parameters.slice(0, 2), [parameters[2]![0], new Float32Array(1)]];
  };
  await t.throwsAsync(other.save(path));
  t.deepEqual(await Promise.all((await readdir(path)).map((name) => readFile(join(path, name), 'base64'))), before);
  t.deepEqual((await readdir(path)).length, 3, 'nothing is left behind');
});

test('a folder below a file cannot be written', async (t) => {
  const path = join(await folder(t), 'file');
  await writeFile(path, '');
  const error = await t.throwsAsync((await smallModel(float64)).save(join(path, 'model')), { instanceOf: FileError });
  t.regex(error.message, /file/);
});

onEvery('temperature 0 and topK 1 take the likeliest character, and a seed gives the same text again', async (t, backend) => {
  const model = await trained(backend);
  const likeliest = await model.generateText({ prompt: 'a gate', temperature: 0, length: 40 });
  t.is(likeliest.length, 40);
  t.is(await model.generateText({ prompt: 'a gate', temperature: 0, length: 40, seed: 9 }), likeliest);
  t.is(await model.generateText({ prompt: 'a gate', topK: 1, temperature: 2, length: 40 }), likeliest);
  const drawn = await model.generateText({ length: 40, seed: 4 });
  t.is(await model.generateText({ length: 40, seed: 4 }), drawn);
  t.not(await model.generateText({ length: 40, seed: 5 }), drawn);
  t.is(await model.generateText({ length: 0 }), '');
});

onEvery('two generations at once do not disturb each other', async (t, backend) => {
  const model = await trained(backend);
  const options = [{ prompt: 'the cell', seed: 1, length: 25 }, { prompt: 'keeps', seed: 2, length: 30 }];
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
    t.throwsAsync(LstmLanguageModel.create({ vocabulary, backend: float64, ...options }), { instanceOf: OptionError, message });
  await refused({ hidden: 3 }, /unknown option `hidden`: did you mean `hiddenSize`\?|expected one of .*hiddenSize/);
  await refused({ hiddenSize: 0 }, /`hiddenSize`.*whole number from 1.*0/);
  await refused({ layers: 1e9 }, /`layers`/);
  await refused({ dropout: 1 }, /`dropout`/);
  await refused({ vocabulary: undefined }, /`vocabulary`/);
  await refused({ vocabulary: ['a'] }, /`vocabulary`.*CharacterVocabulary/);
  t.is(CharacterVocabulary.fromText('aab').size, 2);
});
