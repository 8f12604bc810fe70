import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { encoderBatch, type MaskedBatch } from '../../src/data/encoder-batch.js';
import { DataError } from '../../src/data/errors.js';
import type { Encoding, Tokenizer } from '../../src/data/tokenizer.js';
import { inspect } from '../../src/inspect/inspect.js';
import { BertForMaskedLM, type Filling } from '../../src/models/bert-masked-lm.js';
import { BertModel } from '../../src/models/bert-model.js';
import { type BertExample, BertForSequenceClassification } from '../../src/models/bert-sequence-classification.js';
import { BertForTokenClassification } from '../../src/models/bert-token-classification.js';
import { OptionError } from '../../src/program/options.js';
import { planMemory } from '../../src/train/memory.js';
import { type Batch, Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { randomFrom } from '../support/random.js';
import { onFast } from '../train/backends.js';
import { folder } from './folder.js';

const LETTERS = [...'abcdefgh'];
const special = { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 } as const;
const FIRST = 5;

/** A tokenizer of letters: `#` is the mask, every other character unknown, and a space is nothing. */
const letters: Tokenizer = {
  size: FIRST + LETTERS.length,
  special,
  encode(text, { pair, maxLength = 99 } = {}): Encoding {
    const ids = (part: string) =>
      [...part]
        .filter((letter) => letter !== ' ')
        .map((letter) => (letter === '#' ? special.mask : (LETTERS.indexOf(letter) + 1 || -3) + FIRST - 1));
    const first = [special.cls, ...ids(text).slice(0, maxLength - 2), special.sep];
    const second = pair === undefined ? [] : [...ids(pair), special.sep];
    return {
      tokens: Int32Array.from([...first, ...second]),
      types: Int32Array.from([...first.map(() => 0), ...second.map(() => 1)]),
    };
  },
  encodeWords(words, { maxLength = 99 } = {}) {
    const pieces = words
      .flatMap((word, index) => [...word.trim()].map((letter) => ({ letter, index })))
      .slice(0, maxLength - 2);
    const { tokens, types } = this.encode(pieces.map(({ letter }) => letter).join(''));
    return { tokens, types, words: Int32Array.from([-1, ...pieces.map(({ index }) => index), -1]) };
  },
  decode: (tokens) => [...tokens].map((token) => LETTERS[token - FIRST] ?? '').join(''),
  token: (id) => LETTERS[id - FIRST] ?? '',
  files: { 'vocab.txt': 'letters\n' },
};

const sizes = (backend: Backend) => ({
  backend,
  hiddenSize: 16,
  layers: 1,
  heads: 2,
  feedForwardSize: 24,
  maxPositions: 16,
  dropout: 0.05,
  attentionDropout: 0.05,
  initializerRange: 0.2,
});
const options = (backend: Backend) => ({ ...sizes(backend), tokenizer: letters });

/** Runs of the alphabet: what stands at a position follows from its neighbours. */
function* masked(rows = 16, seed = 'masked'): Generator<MaskedBatch, void, undefined> {
  const random = randomFrom(seed);
  for (;;) {
    const positions = new Int32Array(rows);
    const labels = new Int32Array(rows);
    const sequences = Array.from({ length: rows }, (_, row) => {
      const start = random.integer(0, LETTERS.length - 1);
      const tokens = Array.from({ length: 6 }, (_, t) => FIRST + ((start + t) % LETTERS.length));
      const hidden = random.integer(1, 4);
      labels[row] = tokens[hidden] as number;
      positions[row] = row * 6 + hidden;
      return { tokens: tokens.with(hidden, special.mask) };
    });
    yield { ...encoderBatch(sequences, { rows, pad: special.pad, longest: 16 }), positions, labels };
  }
}

function* first<T>(count: number, source: Iterable<T>): Generator<T, void, undefined> {
  let taken = 0;
  for (const each of source) {
    if (taken++ === count) return;
    yield each;
  }
}

onFast('masked tokens are learnt and filled in, and the model comes back from its folder', async (t, backend) => {
  const model = await BertForMaskedLM.create({ ...options(backend), seed: 3 });
  const trainer = new Trainer(model, { learningRate: 0.01 });
  await trainer.fit(model.batches(masked()), { steps: 150 });
  const evaluation = await model.evaluate(first(2, masked(16, 'unseen')));
  t.true(evaluation.accuracy > 0.9, `${evaluation.accuracy}`);
  t.is(evaluation.labels, 32);
  t.true(Math.abs(evaluation.perplexity - Math.exp(evaluation.loss)) < 1e-9);
  const filling = (await model.predict(['ab#de']))[0]?.[0] as Filling;
  t.is(filling.position, 3);
  t.is(letters.token(filling.candidates[0]?.token as number), 'c');
  t.is(filling.candidates.length, 5);
  t.deepEqual(await model.predict(['abc']), [[]]);
  const path = await folder(t);
  await model.save(path);
  const loaded = await BertForMaskedLM.load(path, { backend, tokenizer: letters });
  const again = await loaded.evaluate(first(2, masked(16, 'unseen')));
  t.true(Math.abs(again.loss - evaluation.loss) < 1e-6);
  t.is(again.accuracy, evaluation.accuracy);
});

/** The class is whether a text holds an `a`; the number how many `b` there are. */
function examples(count: number, seed: string): (BertExample & { text: string; ofB: number })[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => {
    const text = Array.from({ length: random.integer(1, 9) }, () => LETTERS[random.integer(0, 3)]).join('');
    return { text, label: text.includes('a') ? 'with' : 'without', ofB: text.split('b').length - 1 };
  });
}
const seen = examples(120, 'seen');
const unseen = examples(60, 'unseen');

onFast('classes of texts are learnt, whatever stands beside a text in its batch', async (t, backend) => {
  const model = await BertForSequenceClassification.create({ ...options(backend), labels: ['with', 'without'] });
  await new Trainer(model, { learningRate: 0.01 }).fit(model.batches(seen, { batch: 24 }), { steps: 100 });
  const evaluation = await model.evaluate(unseen);
  t.true(evaluation.accuracy > 0.9, `${evaluation.accuracy}`);
  t.is(evaluation.count, 60);
  const some = ['a', 'bcd', 'ddddddda', { text: 'cc', pair: 'a' }, { tokens: [2, 6, 3] }];
  const together = await model.predict(some, { batch: 5 });
  for (const [index, input] of some.entries()) {
    const [alone] = await model.predict([input]);
    t.true(Math.abs((alone?.probability as number) - (together[index]?.probability as number)) < 1e-5);
  }
});

onFast('numbers of texts are learnt', async (t, backend) => {
  const model = await BertForSequenceClassification.create(options(backend));
  const numbered = (all: typeof seen): BertExample[] => all.map(({ text, ofB }) => ({ text, label: ofB }));
  await new Trainer(model, { learningRate: 0.01 }).fit(model.batches(numbered(seen), { batch: 24 }), { steps: 150 });
  const { rmse, mae, loss, count } = await model.evaluateValues(numbered(unseen), { batch: 16 });
  t.true(rmse < 0.6, `${rmse}`);
  t.true(mae <= rmse && Math.abs(loss - rmse ** 2) < 1e-5 && count === 60);
  const [few, many] = await model.predictValues(['acd', 'bbabbb']);
  t.true((many as number) - (few as number) > 2);
});

/** The label of a word is whether the word after it is the same. */
const words = ['ab', 'c', 'def'];
function tagged(count: number, seed: string) {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => {
    const tokens = Array.from({ length: random.integer(1, 5) }, () => words[random.integer(0, 2)] as string);
    return { tokens, labels: tokens.map((word) => (word === 'c' ? 'short' : 'long')) };
  });
}

onFast('a label is learnt for each word, by its first token', async (t, backend) => {
  const model = await BertForTokenClassification.create({ ...options(backend), labels: ['short', 'long'] });
  await new Trainer(model, { learningRate: 0.01 }).fit(model.batches(tagged(60, 'seen'), { batch: 20 }), { steps: 60 });
  const data = tagged(30, 'unseen');
  const evaluation = await model.evaluate(data);
  t.true(evaluation.accuracy > 0.95, `${evaluation.accuracy}`);
  t.is(
    evaluation.count,
    data.reduce((sum, { tokens }) => sum + tokens.length, 0),
  );
  t.deepEqual(await model.predict([['c', 'ab', ' '], [], ['def']]), [['short', 'long', undefined], [], ['long']]);
  const long = Array.from({ length: 8 }, () => 'def');
  const [found] = await model.predict([long]);
  t.is(found?.length, 8);
  t.deepEqual(
    found?.map((label) => label === undefined),
    [false, false, false, false, false, true, true, true],
  );
});

test('vectors of texts are means of hidden states, the first of them, or the pooler’s', async (t) => {
  const model = await BertModel.create(options(float64));
  const inputs = ['ab', 'abcdefg', { text: 'a', pair: 'b' }];
  const hidden = await model.encode(inputs, { batch: 2 });
  t.deepEqual(
    hidden.map(({ length }) => length / 16),
    [4, 9, 5],
  );
  const means = await model.embed(inputs);
  const firsts = await model.embed(inputs, { pooling: 'first', batch: 2 });
  for (const [index, rows] of hidden.entries()) {
    for (let column = 0; column < 16; column++) {
      const values = Array.from({ length: rows.length / 16 }, (_, row) => rows[row * 16 + column] as number);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      t.true(Math.abs((means[index]?.[column] as number) - mean) < 1e-6);
      t.true(Math.abs((firsts[index]?.[column] as number) - (values[0] as number)) < 1e-6);
    }
  }
  const pooled = await model.embed(inputs, { pooling: 'pooler' });
  t.true(pooled.every((vector) => vector.length === 16 && vector.every((value) => Math.abs(value) < 1)));
  t.deepEqual(await model.embed([]), []);
});

test('frozen layers stay as they are, all else learns', async (t) => {
  const model = await BertForSequenceClassification.create({ ...options(float64), labels: ['with', 'without'] });
  const before = await model.readParameters();
  const groups = [{ match: /^bert\.embeddings|layer\.0\.attention\.self\.key/, frozen: true }];
  await new Trainer(model, { groups }).fit(model.batches(seen.slice(0, 8)), { steps: 2 });
  const after = await model.readParameters();
  for (const [index, [{ name }, values]] of before.entries()) {
    const isFrozen = groups.some(({ match }) => match.test(name));
    t.is(`${after[index]?.[1]}` === `${values}`, isFrozen, name);
  }
});

test('the same seed gives the same training, another one another', async (t) => {
  const losses = async (seed: number): Promise<number[]> => {
    const model = await BertForMaskedLM.create({ ...options(float64), seed });
    const steps = await new Trainer(model, { seed }).fit(model.batches(masked(4)), { steps: 3 });
    return steps.map(({ loss }) => loss);
  };
  t.deepEqual(await losses(5), await losses(5));
  t.notDeepEqual(await losses(5), await losses(6));
});

test('gradients and attention probabilities can be read by name, those of joined parameters one by one', async (t) => {
  const model = await BertForMaskedLM.create({ ...options(float64), dropout: 0, attentionDropout: 0 });
  const [batch] = [...first(1, masked(3))] as [MaskedBatch];
  const [made] = [(await model.batches([batch]).next()).value as Batch];
  const { variables } = model.network.parameters.arena;
  const parameters = variables.map(({ name }) => `grad.${name}`);
  const key = 'bert.encoder.layer.0.attention.self.key.weight';
  const [seen] = await inspect(
    model,
    [made],
    [...parameters, key, 'layer.0.attention.probs', 'grad.layer.0.attention.query'],
  );
  const norm = Math.hypot(...parameters.flatMap((name) => [...(seen?.get(name)?.values ?? [])]));
  t.deepEqual(
    parameters.map((name) => seen?.get(name)?.shape),
    variables.map(({ shape }) => shape),
  );
  t.deepEqual(seen?.get(key)?.values, await model.engine.read(model.network.parameters.arena.get(key)));
  const { shape, values = [] } = seen?.get('layer.0.attention.probs') ?? {};
  t.deepEqual(shape, [3, 2, 6, 6]);
  for (let row = 0; row < 36; row++) {
    const sum = Array.from(values.slice(row * 6, (row + 1) * 6)).reduce((total, each) => total + each, 0);
    t.true(Math.abs(sum - 1) < 1e-12);
  }
  t.deepEqual(seen?.get('grad.layer.0.attention.query')?.shape, [3, 2, 6, 8]);
  const [step] = await new Trainer(model).fit([made]);
  t.true(Math.abs((step?.gradientNorm as number) - norm) < 1e-9 * norm);
});

test('micro-batches of unequal numbers of labels add up to their batch', async (t) => {
  const [whole] = [...first(1, masked(8))] as [MaskedBatch];
  const part = (from: number, to: number): MaskedBatch => ({
    tokens: whole.tokens.slice(from * 6, to * 6),
    types: whole.types.slice(from * 6, to * 6),
    mask: whole.mask.slice(from * 6, to * 6),
    positions: whole.positions.slice(from, to).map((position) => position - from * 6),
    labels: whole.labels.slice(from, to),
    time: 6,
    batch: to - from,
  });
  const stepped = async (batches: MaskedBatch[]): Promise<number[]> => {
    const model = await BertForMaskedLM.create({ ...options(float64), dropout: 0, attentionDropout: 0 });
    const trainer = new Trainer(model, { microBatches: batches.length, learningRate: 0.1 });
    const [step] = await trainer.fit(model.batches(batches));
    return [step?.loss as number, step?.gradientNorm as number];
  };
  const [together, apart] = [await stepped([whole]), await stepped([part(0, 3), part(3, 8)])];
  for (const [index, value] of together.entries()) t.true(Math.abs(value - (apart[index] as number)) < 1e-10);
});

test('memory of a step is known beforehand', async (t) => {
  const model = await BertForMaskedLM.create(options(float64));
  const trainer = new Trainer(model);
  const plan = (time: number) => planMemory(trainer, { time, batch: 4, positions: 4 });
  const [short, long] = [await plan(8), await plan(16)];
  t.true(long.activations > short.activations);
  t.is(long.parameters, short.parameters);
});

test('batches that do not fit are refused by name', async (t) => {
  const model = await BertForMaskedLM.create(options(float64));
  const [good] = [...first(1, masked(2))] as [MaskedBatch];
  const refused = async (change: Partial<MaskedBatch>, message: RegExp): Promise<void> => {
    await t.throwsAsync(model.batches([{ ...good, ...change }]).next(), { instanceOf: DataError, message });
  };
  await refused(
    { tokens: good.tokens.with(7, 13) },
    /^row 1: Expected a token from 0 to 12 \(vocab_size\) but received 13 at position 1$/,
  );
  await refused({ tokens: good.tokens.with(0, -1) }, /row 0: .*-1 at position 0/);
  await refused(
    { types: good.types.with(2, 2) },
    /row 0: Expected a type from 0 to 1 \(type_vocab_size\) but received 2/,
  );
  await refused(
    { mask: good.mask.map((value, at) => (at < 6 ? 0 : value)) },
    /row 0: Expected a mask with a position that is not 0/,
  );
  await refused({ mask: good.mask.slice(1) }, /Expected 2 · 6 `mask` but received 11/);
  await refused(
    { labels: Int32Array.of(-100, -100) },
    /Expected a label that counts but received 2 that do not \(-100\)/,
  );
  await refused(
    { labels: Int32Array.of(13, 5) },
    /Expected labels from 0 to 12 \(vocab_size\), or -100, but received 13/,
  );
  await refused({ positions: Int32Array.of(0, 12) }, /Expected positions from 0 to 11 but received 12/);
  await refused({ positions: Int32Array.of(0) }, /Expected a label for each of 1 positions but received 2/);
  const long = encoderBatch([{ tokens: Array.from({ length: 17 }, () => 5) }], { rows: 1, pad: 0, longest: 17 });
  await refused(
    { ...long, positions: Int32Array.of(0), labels: Int32Array.of(5) },
    /^row 0: Expected at most 16 tokens \(max_position_embeddings\) but received 17$/,
  );
});

test('inputs and examples that do not fit are refused by name', async (t) => {
  const model = await BertForSequenceClassification.create({ ...options(float64), labels: ['with', 'without'] });
  const refused = async (example: object, message: RegExp): Promise<void> => {
    await t.throwsAsync(model.evaluate([{ where: 'x.csv:7', ...example } as BertExample]), {
      instanceOf: DataError,
      message,
    });
  };
  await refused(
    { text: 'a', label: 'maybe' },
    /^x\.csv:7: Expected one of the model’s 2 labels \(with, without\) but received "maybe"$/,
  );
  await refused({ tokens: [], label: 'with' }, /^x\.csv:7: Expected a sequence of tokens but received an empty one$/);
  await refused({ tokens: [13], label: 'with' }, /x\.csv:7: .*vocab_size.*13/);
  await refused(
    { tokens: new Int32Array(17), label: 'with' },
    /at most 16 tokens \(max_position_embeddings\) but received 17/,
  );
  await refused({ tokens: [5, 6], types: [0], label: 'with' }, /a type for each of 2 tokens but received 1/);
  await t.throwsAsync(model.batches([]).next(), { instanceOf: DataError, message: /received none/ });
  await t.throwsAsync(model.evaluateValues(seen), {
    instanceOf: OptionError,
    message: /model of regression.*2 classes/,
  });
  const regression = await BertForSequenceClassification.create(options(float64));
  for (const label of ['', 'three', Number.NaN])
    await t.throwsAsync(regression.evaluateValues([{ text: 'a', label }]), {
      message: /Expected a number but received/,
    });
  const tokens = await BertForTokenClassification.create({ ...options(float64), labels: ['short', 'long'] });
  const ids = { tokens: [5, 6, 7] };
  for (const [labels, message] of [
    [[-100, -100, -100], /Expected a label that counts/],
    [[0, 2, 1], /Expected labels from 0 to 1, or -100, but received 2/],
    [[0, 1], /a label for each of 3 tokens but received 2/],
  ] as const) {
    await t.throwsAsync(tokens.evaluate([{ ...ids, labels }]), { instanceOf: DataError, message });
  }
  const [one, other] = [['ab'], ['long', 'long']];
  await t.throwsAsync(tokens.evaluate([{ tokens: one, labels: other }]), {
    message: /a label for each of 1 words but received 2/,
  });
});

test('options that do not fit are refused by name', async (t) => {
  const refused = async (given: object, message: RegExp): Promise<void> => {
    await t.throwsAsync(BertForMaskedLM.create({ ...sizes(float64), ...given }), { instanceOf: OptionError, message });
  };
  await refused({}, /Expected `tokenizer` or `vocabularySize` but received neither/);
  await refused(
    { tokenizer: letters, vocabularySize: 12 },
    /`tokenizer` to have 12 tokens \(vocab_size\) but received one of 13/,
  );
  await refused({ tokenizer: letters, vocabularySize: 129 }, /129 tokens.*13/);
  await refused({ tokenizer: {} }, /`tokenizer` to be a tokenizer/);
  await refused({ vocabularySize: 9, heads: 3 }, /`hiddenSize`.*`heads`, 3,.*16/);
  await refused({ vocabularySize: 9, head: 3 }, /unknown option `head`: did you mean `heads`\?/);
  await t.notThrowsAsync(BertForMaskedLM.create({ ...options(float64), vocabularySize: 128 }), 'filled up to 128');
  const path = await folder(t);
  await (await BertForMaskedLM.create({ ...sizes(float64), vocabularySize: 12 })).save(path);
  await t.throwsAsync(BertForMaskedLM.load(path, { backend: float64, tokenizer: letters }), {
    code: 'ERR_SEQGRAD_FORMAT',
    message: /a tokenizer of 12 tokens \(vocab_size\) but received one of 13/,
  });
  const bare = await BertForMaskedLM.load(path, { backend: float64 });
  await t.throwsAsync(bare.predict(['ab#']), { instanceOf: OptionError, message: /Expected a tokenizer.*has none/ });
});
