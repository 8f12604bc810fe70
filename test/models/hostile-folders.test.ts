import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { DataError } from '../../src/data/errors.js';
import { FileError, FormatError } from '../../src/formats/errors.js';
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.js';
import { LanguageModel } from '../../src/models/language-model.js';
import { float64 } from '../graph/evaluate.js';
import { smallModel } from '../train/text.js';
import { folder } from './folder.js';

/** What is wrong with a folder, and what the message must name. */
const hostile: readonly {
  title: string;
  damage: (path: string) => Promise<unknown>;
  message: RegExp;
  by?: typeof FormatError | typeof FileError | typeof DataError;
}[] = [
  {
    title: 'without config.json',
    damage: (p) => rm(join(p, 'config.json')),
    message: /config\.json.*no such file/,
    by: FileError,
  },
  {
    title: 'without vocab.json',
    damage: (p) => rm(join(p, 'vocab.json')),
    message: /vocab\.json.*no such file/,
    by: FileError,
  },
  {
    title: 'without tensors',
    damage: (p) => rm(join(p, 'model.safetensors')),
    message: /model\.safetensors.*no such file/,
    by: FileError,
  },
  {
    title: 'of another version',
    damage: config({ format_version: 2 }),
    message: /config\.json.*format_version.*1.*received 2/,
  },
  {
    title: 'of another kind of model',
    damage: config({ model_type: 'bert' }),
    message: /config\.json.*lstm_language_model.*"bert"/,
  },
  {
    title: 'of another program',
    damage: (p) => writeFile(join(p, 'config.json'), '{"name":"x"}'),
    message: /config\.json.*format_version.*none/,
  },
  {
    title: 'with a list for a config',
    damage: (p) => writeFile(join(p, 'config.json'), '[]'),
    message: /config\.json.*an object/,
  },
  {
    title: 'with null for a config',
    damage: (p) => writeFile(join(p, 'config.json'), 'null'),
    message: /config\.json.*an object/,
  },
  {
    title: 'with half a config',
    damage: (p) => writeFile(join(p, 'config.json'), '{"format_'),
    message: /config\.json.*JSON/,
  },
  {
    title: 'with hidden size 0',
    damage: config({ hidden_size: 0 }),
    message: /config\.json.*`hidden_size`.*whole number from 1.*0/,
  },
  {
    title: 'with a hidden size in words',
    damage: config({ hidden_size: '12' }),
    message: /config\.json.*`hidden_size`.*"12"/,
  },
  {
    title: 'with a hidden size nothing can hold',
    damage: config({ hidden_size: 2 ** 40 }),
    message: /bytes/,
    by: Error as never,
  },
  { title: 'with more layers than there can be', damage: config({ num_layers: 1e9 }), message: /num_layers/ },
  { title: 'with no layers', damage: config({ num_layers: undefined }), message: /config\.json.*`num_layers`.*none/ },
  { title: 'with dropout 1', damage: config({ dropout: 1 }), message: /config\.json.*`dropout`.*1/ },
  {
    title: 'with another hidden size',
    damage: config({ hidden_size: 13 }),
    message: /model\.safetensors.*`lstm\.weight_ih_l0`.*\[52, 7\].*\[48, 7\]/,
  },
  {
    title: 'with one layer less',
    damage: config({ num_layers: 1 }),
    message: /model\.safetensors.*`lstm\.weight_ih_l1`.*only tensors of the model/,
  },
  {
    title: 'with one layer more',
    damage: config({ num_layers: 3 }),
    message: /model\.safetensors.*`lstm\.weight_ih_l2`/,
  },
  {
    title: 'with another vocabulary size',
    damage: config({ vocab_size: 99 }),
    message: /vocab\.json.*99 tokens.*received \d+/,
  },
  {
    title: 'with a shorter vocabulary',
    damage: (p) => writeFile(join(p, 'vocab.json'), '{"type":"characters","characters":["a"]}'),
    message: /vocab\.json.*tokens.*received 1/,
  },
  {
    title: 'with a list for a vocabulary',
    damage: (p) => writeFile(join(p, 'vocab.json'), '["a"]'),
    message: /vocab\.json.*"type": "characters"/,
    by: DataError,
  },
  {
    title: 'with a NaN',
    damage: tensors((name, values) => name === 'head.bias' && values.fill(Number.NaN, 2, 3)),
    message: /model\.safetensors.*`head\.bias`.*NaN at element 2/,
  },
  {
    title: 'with an extra tensor',
    damage: tensors(() => false, { name: 'spy', dtype: 'F32', shape: [1], values: new Float32Array(1) }),
    message: /model\.safetensors.*`spy`/,
  },
  {
    title: 'with truncated tensors',
    damage: async (p) =>
      writeFile(join(p, 'model.safetensors'), (await readFile(join(p, 'model.safetensors'))).subarray(0, -5)),
    message: /model\.safetensors/,
  },
  {
    title: 'with half a header',
    damage: async (p) =>
      writeFile(join(p, 'model.safetensors'), (await readFile(join(p, 'model.safetensors'))).subarray(0, 50)),
    message: /model\.safetensors/,
  },
  {
    title: 'with empty tensors',
    damage: (p) => writeFile(join(p, 'model.safetensors'), ''),
    message: /model\.safetensors.*0 bytes/,
  },
];

function config(change: Readonly<Record<string, unknown>>): (path: string) => Promise<void> {
  return async (path) => {
    const file = join(path, 'config.json');
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }));
  };
}

function tensors(
  change: (name: string, values: Float32Array) => unknown,
  ...extra: TensorToWrite[]
): (path: string) => Promise<void> {
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
    const error = await t.throwsAsync(LanguageModel.load(path, { backend: float64 }), { instanceOf: by });
    t.regex(error!.message, message);
    t.false(error!.message.includes('\n'));
  });
}
