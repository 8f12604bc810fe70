/** Folders as Hugging Face has them, in and out. */
import { execFile, spawnSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import type { EncodedSequence } from '../../src/data/encoder-batch.js';
import { FileError, FormatError } from '../../src/formats/errors.js';
import { type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.js';
import { BertForMaskedLM } from '../../src/models/bert-masked-lm.js';
import { BertModel } from '../../src/models/bert-model.js';
import { BertForSequenceClassification } from '../../src/models/bert-sequence-classification.js';
import { BertForTokenClassification } from '../../src/models/bert-token-classification.js';
import { WordPieceTokenizer } from '../../src/text/tokenizer.js';
import { SPECIAL_TOKENS } from '../../src/text/word-piece.js';
import { Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import {
  changeConfig,
  changeTensors,
  checkpointFolder,
  expectedLogits,
  logitsError,
  type Precision,
  readTensors,
  renamed,
  type Tensors,
} from './bert-folder.js';
import { folder } from './folder.js';

const run = promisify(execFile);
const backend = float64;

for (const precision of ['F32', 'F16', 'BF16'] as const satisfies readonly Precision[]) {
  onEvery(`a checkpoint in ${precision} gives PyTorch’s logits`, async (t, each) => {
    const error = await logitsError(await checkpointFolder(t, precision), each, precision);
    t.true(error < (each.isa === 'float64' ? 1e-9 : 2e-5), `${error}`);
  });
}

const names: Readonly<Record<string, (name: string) => string>> = {
  'without the prefix `bert.`': (name) => name.replace(/^bert\./, ''),
  'with gamma and beta': (name) =>
    name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
  'with the bias of the decoder': (name) => name.replace('cls.predictions.bias', 'cls.predictions.decoder.bias'),
};
for (const [title, rename] of Object.entries(names)) {
  test(`a checkpoint ${title} is the same`, async (t) => {
    const path = await checkpointFolder(t);
    await changeTensors(path, (tensors) => renamed(tensors, rename));
    t.true((await logitsError(path, backend)) < 1e-9);
  });
}

const named = (name: string, shape: readonly number[]): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape,
  values: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});

test('tensors that repeat others, and those of other heads, do no harm; the latter are told by name', async (t) => {
  const path = await checkpointFolder(t);
  const extra = [
    named('bert.embeddings.position_ids', [1, 12]),
    named('cls.predictions.decoder.weight', [19, 16]),
    named('cls.predictions.decoder.bias', [19]),
    named('cls.seq_relationship.weight', [2, 16]),
    named('bert.pooler.dense.weight', [16, 16]),
  ];
  await changeTensors(path, (tensors) => [...tensors.values(), ...extra]);
  t.true((await logitsError(path, backend)) < 1e-9);
  const { fresh, unused } = (await BertForMaskedLM.load(path, { backend })).checkpoint;
  t.deepEqual(fresh, []);
  t.deepEqual(unused.toSorted(), ['bert.pooler.dense.weight', 'cls.seq_relationship.weight']);
});

/** Cuts model.safetensors into two files with an index. */
async function cut(path: string): Promise<void> {
  const tensors = [...(await readTensors(join(path, 'model.safetensors'))).values()];
  const parts = {
    'model-00001-of-00002.safetensors': tensors.slice(0, 9),
    'model-00002-of-00002.safetensors': tensors.slice(9),
  };
  const places: Record<string, string> = {};
  for (const [file, part] of Object.entries(parts)) {
    await writeSafetensors(join(path, file), part);
    for (const { name } of part) places[name] = file;
  }
  await writeFile(join(path, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: places }));
  await rm(join(path, 'model.safetensors'));
}

test('a checkpoint in several files is the same', async (t) => {
  const path = await checkpointFolder(t);
  await cut(path);
  t.true((await logitsError(path, backend)) < 1e-9);
});

test('what is saved holds the very numbers that were loaded, and all that config.json said', async (t) => {
  const path = await checkpointFolder(t);
  const config = JSON.parse(await readFile(join(path, 'config.json'), 'utf8'));
  const pieces = Array.from({ length: config.vocab_size - SPECIAL_TOKENS.length }, (_, index) => `piece${index}`);
  const { files } = await WordPieceTokenizer.fromVocabulary([...SPECIAL_TOKENS, ...pieces]);
  const json = `${files['tokenizer.json']}  \n`; // as nobody would write it
  const tokenizer = { 'tokenizer.json': json, 'vocab.txt': files['vocab.txt']!, 'special_tokens_map.json': '{ }' };
  for (const [name, content] of Object.entries(tokenizer)) await writeFile(join(path, name), content);
  await writeFile(join(path, 'README.md'), 'not of the tokenizer');
  const saved = join(await folder(t), 'saved');
  const model = await BertForMaskedLM.load(path, { backend });
  t.is(model.tokenizer?.token(5), 'piece0');
  await model.save(saved);
  t.deepEqual((await readdir(saved)).sort(), ['config.json', 'model.safetensors', ...Object.keys(tokenizer)].sort());
  for (const [name, content] of Object.entries(tokenizer)) t.is(await readFile(join(saved, name), 'utf8'), content);
  const sorted = (tensors: Tensors) => [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  t.deepEqual(
    sorted(await readTensors(join(saved, 'model.safetensors'))),
    sorted(await readTensors(join(path, 'model.safetensors'))),
  );
  const after = JSON.parse(await readFile(join(saved, 'config.json'), 'utf8'));
  for (const [name, value] of Object.entries(config)) t.deepEqual(after[name], value, name);
  t.true((await logitsError(saved, backend)) < 1e-9);
});

const python = '/usr/bin/python3';
const hasTorch = spawnSync(python, ['-c', 'import torch']).status === 0;
const readBack = 'PyTorch finds in what we save the logits that we do, and notices when it is not what we saved';
if (!hasTorch) test.skip(`${readBack} (skipped: no PyTorch for ${python})`, () => {});
else
  test(readBack, async (t) => {
    const model = await BertForMaskedLM.load(await checkpointFolder(t), { backend });
    const { batch } = await expectedLogits('F32');
    const trainer = new Trainer(model, { learningRate: 0.1 });
    await trainer.fit(model.batches([{ ...batch, labels: batch.tokens }]), { steps: 1 });
    const saved = await folder(t);
    await model.save(saved);
    const loaded = await BertForMaskedLM.load(saved, { backend }); // its numbers are those of the file, rounded to float32
    const logits = Float64Array.from(await loaded.logits(batch));
    const inputs = (['tokens', 'types', 'mask'] as const).map((name): TensorToWrite => {
      return { name, dtype: 'I32', shape: [batch.batch, batch.time], values: batch[name] };
    });
    await writeSafetensors(join(saved, 'expected.safetensors'), [
      ...inputs,
      { name: 'logits', dtype: 'F64', shape: [logits.length], values: logits },
    ]);
    const check = () => run(python, ['test/golden/check_bert.py', saved]);
    await t.notThrowsAsync(check());
    const [first, second] = [
      'bert.encoder.layer.0.attention.self.key.weight',
      'bert.encoder.layer.1.attention.self.key.weight',
    ];
    const swap: Readonly<Record<string, string>> = { [first]: second, [second]: first };
    await changeTensors(saved, (tensors) => renamed(tensors, (name) => swap[name] ?? name));
    await t.throwsAsync(check(), { message: /logits are off by/ });
  });

const head = ['classifier.weight', 'classifier.bias'];
const pooler = ['bert.pooler.dense.weight', 'bert.pooler.dense.bias'];

test('a head that the folder lacks is fresh where that is asked for, and said to be', async (t) => {
  const path = await checkpointFolder(t);
  const labels = ['yes', 'no'];
  const classifier = await BertForSequenceClassification.load(path, { labels, freshHead: true, backend });
  t.deepEqual(classifier.checkpoint.fresh, [...pooler, ...head]);
  t.true(classifier.checkpoint.unused.every((name) => name.startsWith('cls.predictions.')));
  const labeller = await BertForTokenClassification.load(path, { labels, freshHead: true, backend });
  t.deepEqual(labeller.checkpoint.fresh, head);
  const encoder = await BertModel.load(path, { backend });
  t.deepEqual([encoder.hasPooler, encoder.checkpoint.fresh], [false, []]);
  const values = async (model: BertForSequenceClassification): Promise<Map<string, Float32Array>> =>
    new Map((await model.readParameters()).map(([{ name }, its]) => [name, its]));
  const [found, stored] = [await values(classifier), await readTensors(join(path, 'model.safetensors'))];
  t.deepEqual(
    found.get('bert.encoder.layer.1.output.dense.weight'),
    stored.get('bert.encoder.layer.1.output.dense.weight')?.values,
  );
  t.deepEqual(found.get('classifier.bias'), new Float32Array(2));
  const again = await values(
    await BertForSequenceClassification.load(path, { labels, freshHead: true, backend, seed: 1 }),
  );
  const other = await values(
    await BertForSequenceClassification.load(path, { labels, freshHead: true, backend, seed: 2 }),
  );
  t.deepEqual(again.get('classifier.weight'), found.get('classifier.weight'));
  t.notDeepEqual(other.get('classifier.weight'), found.get('classifier.weight'));
});

const input: EncodedSequence = { tokens: [3, 4, 5] };

test('a classifier that was saved comes back with its classes; with others only its encoder does', async (t) => {
  const path = await checkpointFolder(t);
  const model = await BertForSequenceClassification.load(path, { labels: ['yes', 'no'], freshHead: true, backend });
  const saved = join(path, 'saved');
  await model.save(saved);
  const loaded = await BertForSequenceClassification.load(saved, { backend });
  t.deepEqual(loaded.labels, ['yes', 'no']);
  t.deepEqual(loaded.checkpoint, { fresh: [], unused: [] });
  const again = await BertForSequenceClassification.load(saved, { backend });
  t.deepEqual(await loaded.predict([input]), await again.predict([input]));
  const [[before], [after]] = [await model.predict([input]), await loaded.predict([input])];
  t.true(Math.abs(before!.probability - after!.probability) < 1e-7, 'but for the rounding to float32');
  const labels = ['no', 'yes'];
  await t.throwsAsync(BertForSequenceClassification.load(saved, { labels, backend }), {
    instanceOf: FormatError,
    message: /model\.safetensors.*`classifier\.weight`/,
  });
  const other = await BertForSequenceClassification.load(saved, { labels, freshHead: true, backend });
  t.deepEqual(other.checkpoint.fresh, head);
  const regression = await BertForSequenceClassification.load(saved, {
    labels: 'regression',
    freshHead: true,
    backend,
  });
  await regression.save(saved);
  const back = await BertForSequenceClassification.load(saved, { backend });
  t.is(back.labels, undefined);
  const [[number], [same]] = [await back.predictValues([input]), await regression.predictValues([input])];
  t.true(Math.abs(number! - same!) < 1e-6);
  await t.throwsAsync(back.predict([input]), { message: /Expected a model of classes.*predictValues/ });
});

test('rates may be other than the folder’s', async (t) => {
  const path = await checkpointFolder(t);
  const { config } = await BertForMaskedLM.load(path, { backend, dropout: 0, attentionDropout: 0.3 });
  t.deepEqual([config.dropout, config.attentionDropout], [0, 0.3]);
});

interface Hostile {
  readonly title: string;
  readonly damage: (path: string) => Promise<unknown>;
  readonly message: RegExp;
  readonly by?: typeof FormatError | typeof FileError;
}

const without = (pattern: RegExp) => (path: string) =>
  changeTensors(path, (tensors) => [...tensors.values()].filter(({ name }) => !pattern.test(name)));
const more = (tensor: TensorToWrite) => (path: string) =>
  changeTensors(path, (tensors) => [...tensors.values(), tensor]);
const WEIGHTS = 'model.safetensors';

const hostile: readonly Hostile[] = [
  {
    title: 'without config.json',
    damage: (p) => rm(join(p, 'config.json')),
    message: /config\.json.*no such/,
    by: FileError,
  },
  {
    title: 'without weights',
    damage: (p) => rm(join(p, WEIGHTS)),
    message: /model\.safetensors.*no such/,
    by: FileError,
  },
  {
    title: 'with a pytorch_model.bin only',
    damage: async (p) => {
      await rm(join(p, WEIGHTS));
      await writeFile(join(p, 'pytorch_model.bin'), '');
    },
    message: /Expected weights as safetensors but received only pytorch_model\.bin: python3 -c ".*" converts it$/,
  },
  {
    title: 'of another family',
    damage: (p) => changeConfig(p, { model_type: 'roberta' }),
    message: /`model_type`.*"bert".*"roberta"/,
  },
  {
    title: 'with relative positions',
    damage: (p) => changeConfig(p, { position_embedding_type: 'relative_key' }),
    message: /`position_embedding_type`.*"absolute".*"relative_key"/,
  },
  {
    title: 'with untied words',
    damage: (p) => changeConfig(p, { tie_word_embeddings: false }),
    message: /`tie_word_embeddings`.*true.*false/,
  },
  {
    title: 'with an activation we lack',
    damage: (p) => changeConfig(p, { hidden_act: 'silu' }),
    message: /`hidden_act`.*gelu, gelu_new, relu.*"silu"/,
  },
  {
    title: 'without a vocabulary size',
    damage: (p) => changeConfig(p, { vocab_size: undefined }),
    message: /`vocab_size`.*none/,
  },
  {
    title: 'with heads that do not divide its width',
    damage: (p) => changeConfig(p, { num_attention_heads: 3 }),
    message: /config\.json: .*`hidden_size` to be a multiple of `num_attention_heads`, 3, but received \d+/,
  },
  {
    title: 'with another width',
    damage: (p) => changeConfig(p, { hidden_size: 32 }),
    message: /`bert\.embeddings\.word_embeddings\.weight`.*\[19, 32\].*\[19, 16\]/,
  },
  {
    title: 'with a padding token beyond its vocabulary',
    damage: (p) => changeConfig(p, { pad_token_id: 19 }),
    message: /`pad_token_id`.*0 … 18.*19/,
  },
  {
    title: 'with a layer more',
    damage: (p) => changeConfig(p, { num_hidden_layers: 3 }),
    message: /`bert\.encoder\.layer\.2\.attention\.self\.query\.weight`.*none/,
  },
  {
    title: 'with a layer less',
    damage: (p) => changeConfig(p, { num_hidden_layers: 1 }),
    message: /`bert\.encoder\.layer\.1\..*only tensors of an encoder/,
  },
  {
    title: 'without a tensor of the encoder',
    damage: without(/1\.output\.dense\.bias/),
    message: /`bert\.encoder\.layer\.1\.output\.dense\.bias`.*none/,
  },
  { title: 'without its head', damage: without(/^cls/), message: /`cls\.predictions\.bias`.*none/ },
  {
    title: 'with a tensor twice',
    damage: more(named('embeddings.LayerNorm.gamma', [16])),
    message: /`embeddings\.LayerNorm\.gamma`.*no other tensor/,
  },
  {
    title: 'with a NaN',
    damage: (p) =>
      changeTensors(p, (tensors) => {
        (tensors.get('cls.predictions.bias')?.values as Float32Array)[3] = Number.NaN;
        return [...tensors.values()];
      }),
    message: /`cls\.predictions\.bias`.*finite.*NaN at element 3/,
  },
  {
    title: 'with truncated weights',
    damage: async (p) => writeFile(join(p, WEIGHTS), (await readFile(join(p, WEIGHTS))).subarray(0, -9)),
    message: /model\.safetensors: tensor `[\w.]+`: Expected data that ends within the file's \d+ bytes of data/,
  },
  {
    title: 'with a truncated part',
    damage: async (p) => {
      await cut(p);
      const part = join(p, 'model-00002-of-00002.safetensors');
      await writeFile(part, (await readFile(part)).subarray(0, -9));
    },
    message: /model-00002-of-00002\.safetensors: tensor `[\w.]+`: Expected data that ends within the file's \d+ bytes/,
  },
  {
    title: 'without a part',
    damage: async (p) => {
      await cut(p);
      await rm(join(p, 'model-00001-of-00002.safetensors'));
    },
    message: /model-00001-of-00002\.safetensors.*no such/,
    by: FileError,
  },
  {
    title: 'with an index that names a tensor its file lacks',
    damage: async (p) => {
      await cut(p);
      const index = join(p, `${WEIGHTS}.index.json`);
      const json = JSON.parse(await readFile(index, 'utf8'));
      json.weight_map.spy = 'model-00001-of-00002.safetensors';
      await writeFile(index, JSON.stringify(json));
    },
    message: /model-00001-of-00002\.safetensors: tensor `spy`/,
  },
  {
    title: 'with an index that leads out of the folder',
    damage: async (p) => {
      await rm(join(p, WEIGHTS));
      await writeFile(join(p, `${WEIGHTS}.index.json`), '{"weight_map": {"a": "../a.safetensors"}}');
    },
    message: /index\.json: tensor `a`: Expected the name of a file in the same folder.*\.\.\/a/,
  },
  {
    title: 'with an index without a map',
    damage: async (p) => {
      await rm(join(p, WEIGHTS));
      await writeFile(join(p, `${WEIGHTS}.index.json`), '{}');
    },
    message: /index\.json.*`weight_map`.*none/,
  },
];

for (const { title, damage, message, by = FormatError } of hostile) {
  test(`a folder ${title} is refused, and the message says what is wrong where`, async (t) => {
    const path = await checkpointFolder(t);
    await damage(path);
    const error = await t.throwsAsync(BertForMaskedLM.load(path, { backend }), { instanceOf: by });
    t.regex(error!.message, message);
    t.false(error!.message.includes('\n'));
  });
}

test('classes that config.json cannot mean are refused', async (t) => {
  const path = await checkpointFolder(t);
  const load = (): Promise<unknown> => BertForSequenceClassification.load(path, { freshHead: true, backend });
  await t.throwsAsync(load(), { message: /config\.json: Expected classes in `id2label`, or the option `labels`,/ });
  for (const [change, message] of [
    [{ id2label: { 0: 'a', 2: 'b' } }, /`id2label` to name classes 0, 1, 2/],
    [{ id2label: { 0: 'a', 1: 'a' } }, /`id2label` to name different classes/],
    [{ id2label: null, num_labels: 0 }, /`num_labels`.*0/],
    [{ num_labels: 2, problem_type: 'multi_label_classification' }, /`problem_type`.*"multi_label_classification"/],
    [{ num_labels: 2, problem_type: 'regression' }, /one label.*regression.*2/],
  ] as const) {
    await changeConfig(path, change);
    await t.throwsAsync(load(), { instanceOf: FormatError, message });
  }
  await t.throwsAsync(BertForMaskedLM.load(path, { freshHeads: true, backend } as never), {
    code: 'ERR_SEQGRAD_OPTION',
    message: 'BertForMaskedLM: unknown option `freshHeads`: did you mean `freshHead`?',
  });
});
