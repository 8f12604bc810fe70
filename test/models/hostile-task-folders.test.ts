import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Forecaster } from '../../src/models/forecaster.js';
import { SequenceClassifier } from '../../src/models/sequence-classifier.js';
import { SequenceLabeller } from '../../src/models/sequence-labeller.js';
import { float64 } from '../graph/evaluate.js';
import { sequences, texts, wave } from './examples.js';
import { folder } from './folder.js';

const small = { hiddenSize: 4, backend: float64 };
const models = {
  classifier: { type: SequenceClassifier, create: () => SequenceClassifier.fromExamples(texts(20), small) },
  labeller: { type: SequenceLabeller, create: () => SequenceLabeller.fromExamples(sequences(20), small) },
  forecaster: { type: Forecaster, create: () => Forecaster.create(wave(40), { ...small, targets: ['wave'] }) },
};

/** What is changed in config.json (undefined takes a setting away), and what the message must name. */
const hostile: readonly (readonly [model: keyof typeof models, change: Record<string, unknown>, message: RegExp])[] = [
  [
    'classifier',
    { model_type: 'forecaster' },
    /config\.json: Expected "model_type": "sequence_classifier" but received "forecaster"/,
  ],
  [
    'classifier',
    { labels: ['a', 'b'] },
    /model\.safetensors: tensor `head\.weight`: Expected shape \[2, 4\] but received \[3, 4\]/,
  ],
  ['classifier', { labels: ['a', 'b', 'b'] }, /config\.json: Expected `labels` to be a list of different names/],
  ['classifier', { labels: undefined }, /config\.json: Expected `labels` .* but received none/],
  ['classifier', { pooling: 'first' }, /`pooling` to be one of last, mean, max but received "first"/],
  ['classifier', { kind: 'gru' }, /model\.safetensors: .*gru\.weight_ih_l0/],
  ['classifier', { bidirectional: 1 }, /`bidirectional` to be true or false but received 1/],
  ['classifier', { max_length: 0 }, /`max_length` to be a whole number from 1 but received 0/],
  ['labeller', { hidden_size: '4' }, /`hidden_size` to be a whole number from 1 but received "4"/],
  ['labeller', { zoneout: 2 }, /`zoneout` to be a number from 0 to below 1 but received 2/],
  ['forecaster', { scaling: { mean: [1], deviation: [0] } }, /`scaling` to be means and deviations of the columns/],
  ['forecaster', { scaling: { mean: [1], deviation: [1] } }, /`scaling` to be .* of 2 columns but received 1/],
  ['forecaster', { targets: ['tide'] }, /`targets` to be of the columns wave, ahead but received tide/],
  ['forecaster', { quantiles: [0.5, 0.5] }, /`quantiles` to be ascending/],
  [
    'forecaster',
    { horizon: 2 },
    /model\.safetensors: tensor `head\.weight`: Expected shape \[2, 4\] but received \[1, 4\]/,
  ],
];

for (const [name, change, message] of hostile) {
  test(`a ${name} with ${JSON.stringify(change)} is refused by name`, async (t) => {
    const path = await folder(t);
    const { type, create } = models[name];
    await (await create()).save(path);
    const file = join(path, 'config.json');
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }));
    await t.throwsAsync(type.load(path, { backend: float64 }), { code: 'ERR_SEQGRAD_FORMAT', message });
  });
}

test('a classifier without its vocabulary, or with one of another size, is refused by name', async (t) => {
  const path = await folder(t);
  await (await models.classifier.create()).save(path);
  const file = join(path, 'vocab.json');
  await writeFile(file, '{"type":"characters","characters":["a"]}');
  await t.throwsAsync(SequenceClassifier.load(path, { backend: float64 }), {
    message: /model\.safetensors: tensor `embedding\.weight`/,
  });
  await writeFile(file, '{"type":"numbers"}');
  await t.throwsAsync(SequenceClassifier.load(path, { backend: float64 }), {
    message: /vocab\.json: Expected \{ "type": "characters" or "words"/,
  });
  await rm(file);
  await t.throwsAsync(SequenceClassifier.load(path, { backend: float64 }), {
    code: 'ERR_SEQGRAD_FILE',
    message: /vocab\.json/,
  });
});
