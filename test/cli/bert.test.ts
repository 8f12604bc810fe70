/** BERT on the command line: pre-training, fine-tuning from a folder, and everything that a folder is good for. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { randomFrom } from '../support/random.js';
import { textOf } from '../train/text.js';
import { linesOf, run } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'seqgrad-bert-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const words = ['the', 'cell', 'forgets', 'what', 'a', 'gate', 'lets', 'through'];

/** A few words, one of which tells the class. */
function sentences(count: number, seed: string): { text: string; label: string }[] {
  const random = randomFrom(seed);
  const some = (): string => words[random.integer(0, words.length - 1)] as string;
  return Array.from({ length: count }, () => {
    const isGood = random.uniform() < 0.5;
    return { text: `${some()} ${isGood ? 'good' : 'bad'} ${some()}`, label: isGood ? 'pos' : 'neg' };
  });
}

const table = (rows: readonly Readonly<Record<string, unknown>>[]): string =>
  [Object.keys(rows[0]!), ...rows.map(Object.values)].map((cells) => `${cells.join(',')}\n`).join('');

const textFile = file('text.txt', textOf(12_000));
const labelled = file('labelled.csv', table(sentences(96, 'labelled')));
const pairs = file(
  'pairs.csv',
  table(
    Array.from({ length: 24 }, (_, index) => ({ first: words[index % 3], second: words[index % 2], same: index % 2 })),
  ),
);
const valued = file(
  'valued.csv',
  table(Array.from({ length: 24 }, (_, index) => ({ text: words[index % 4], label: index % 4 }))),
);
const tagged = file(
  'tagged.conll',
  sentences(64, 'tagged')
    .map(({ text }) =>
      text
        .split(' ')
        .map((word) => `${word} ${/good|bad/.test(word) ? 'ADJ' : 'X'}\n`)
        .join(''),
    )
    .join('\n'),
);
const empty = file('empty.txt', ' \n\n');

const sizes = ['--hidden', '16', '--layers', '2', '--heads', '2', '--feed-forward', '32'];
const brief = ['--batch', '8', '--seed', '1'];
const masked = (...more: string[]): string[] => [
  ...['train', 'mlm', '--text', textFile, '--vocabulary', '60', '--max-length', '16', ...sizes, ...brief, ...more],
];
const classify = (...more: string[]): string[] => [
  ...['train', 'classify', '--model', 'bert', '--data', labelled, ...brief, ...more],
];

async function lines(t: ExecutionContext, args: readonly string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await run(args);
  t.is(code, 0, stderr);
  return linesOf(stdout);
}

type Metrics = Readonly<Record<string, number>>;

/** A small model of masked tokens, trained once for all tests. */
const pretrained = join(folder, 'pretrained');
test.before('a model to start from', async (t) => {
  t.timeout(120_000);
  const all = await lines(t, masked('--out', pretrained, '--steps', '60', '--whole-words', '--test', '0.1'));
  const done = all.at(-1) as { validation: Metrics; test: Metrics };
  t.like(all.find((line) => 'data' in line)?.data, { vocabulary: 60, longest: 16, files: 1 });
  t.deepEqual(Object.keys(done.validation), [
    'loss',
    'perplexity',
    'accuracy',
    'tokens',
    'unigram_entropy',
    'most_frequent',
  ]);
  t.true(done.test.loss! < 4, 'it has learnt something: 55 tokens would be 4.0 nats');
  t.deepEqual((await readdir(pretrained)).sort(), [
    ...['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt'],
  ]);
});

test.serial('masked tokens: what evaluate says does not change, and predict fills in', async (t) => {
  const args = ['evaluate', '--model', pretrained, '--text', textFile];
  const [first] = await lines(t, args);
  t.deepEqual(await lines(t, args), [first!]);
  t.true((first as { test: Metrics }).test.tokens! > 400);
  const texts = ['--text', 'the [MASK] forgets [MASK].', '--text', '[MASK]'];
  const [both, one] = await lines(t, ['predict', '--model', pretrained, ...texts]);
  const { text, filled, masks } = both as {
    text: string;
    filled: string;
    masks: { token: string; probability: number }[][];
  };
  t.is(text, 'the [MASK] forgets [MASK].');
  t.notRegex(filled, /\[MASK\]/);
  t.regex(filled, /^the.* forgets.*\.$/);
  t.deepEqual(
    masks.map((candidates) => candidates.length),
    [5, 5],
  );
  t.true(masks[0]![0]!.probability >= masks[0]![1]!.probability);
  t.is((one as { masks: unknown[] }).masks.length, 1);
});

test.serial('masked tokens: training goes on from a folder, with its vocabulary', async (t) => {
  const out = join(folder, 'further');
  const args = [
    'train',
    'mlm',
    '--text',
    textFile,
    '--from',
    pretrained,
    '--steps',
    '1',
    '--lines',
    '--out',
    out,
    ...brief,
  ];
  const all = await lines(t, args);
  t.deepEqual(all.find((line) => 'from' in line)?.from, { from: pretrained, fresh: [], unused: [] });
  t.like(all.find((line) => 'data' in line)?.data, { vocabulary: 60, longest: 16 });
  const vocabularies = [pretrained, out].map((each) => readFile(join(each, 'vocab.txt'), 'utf8'));
  const [before, after] = await Promise.all(vocabularies);
  t.is(before, after);
});

test.serial('classes: fine-tuned from a folder, evaluated, predicted', async (t) => {
  t.timeout(120_000);
  const out = join(folder, 'classifier');
  const all = await lines(
    t,
    classify('--from', pretrained, '--epochs', '10', '--lr', '0.02', '--layer-decay', '0.9', '--out', out),
  );
  const { from, fresh, unused } = all.find((line) => 'from' in line)!.from as {
    from: string;
    fresh: string[];
    unused: string[];
  };
  t.is(from, pretrained);
  t.true(fresh.includes('classifier.weight') && unused.includes('cls.predictions.bias'));
  t.true((all.at(-1) as { test: Metrics }).test.accuracy! > 0.85, JSON.stringify(all.at(-1)));
  const [evaluation] = await lines(t, ['evaluate', '--model', out, '--data', labelled]);
  t.true((evaluation as { test: Metrics }).test.accuracy! > 0.85);
  const [found] = await lines(t, ['predict', '--model', out, '--text', 'what good gate']);
  t.is(found?.label, 'pos');
  t.deepEqual(Object.keys(found?.probabilities as object), ['neg', 'pos']);
});

/** The bytes of each tensor of a safetensors file. */
async function tensorsOf(path: string): Promise<Map<string, string>> {
  const bytes = await readFile(join(path, 'model.safetensors'));
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Record<string, { data_offsets: [number, number] }>;
  const named = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return new Map(
    named.map(
      ([
        name,
        {
          data_offsets: [from, to],
        },
      ]) => [name, bytes.subarray(start + from, start + to).toString('base64')],
    ),
  );
}

test.serial('what is frozen stays as it was, bit for bit, all else moves', async (t) => {
  const out = join(folder, 'frozen');
  await lines(t, classify('--from', pretrained, '--freeze', 'embeddings,0', '--steps', '2', '--out', out));
  const [before, after] = [await tensorsOf(pretrained), await tensorsOf(out)];
  const shared = [...after.keys()].filter((name) => before.has(name));
  const same = shared.filter((name) => before.get(name) === after.get(name));
  t.deepEqual(same.sort(), shared.filter((name) => /embeddings|layer\.0\./.test(name)).sort());
  t.true(same.length > 15 && shared.length > same.length + 10);
});

test.serial('classes: a fresh model, with words in pairs', async (t) => {
  const out = join(folder, 'pairs');
  const columns = ['--text-column', 'first', '--pair-column', 'second'];
  const args = ['train', 'classify', '--model', 'bert', '--data', pairs, ...columns, '--label-column', 'same'];
  const all = await lines(t, [...args, ...sizes, ...brief, '--epochs', '1', '--out', out]);
  t.true('test' in all.at(-1)!);
  const found = await lines(t, ['predict', '--model', out, '--data', pairs, ...columns]);
  t.like(found[1], { text: 'cell', pair: 'cell' });
  t.is(found.length, 24);
});

test.serial('numbers instead of classes', async (t) => {
  const out = join(folder, 'values');
  const args = ['train', 'classify', '--model', 'bert', '--regression', '--data', valued, ...sizes, ...brief];
  const all = await lines(t, [...args, '--epochs', '2', '--out', out]);
  t.deepEqual(Object.keys(all.at(-1)?.test as Metrics), ['loss', 'mae', 'rmse', 'count']);
  const [evaluation] = await lines(t, ['evaluate', '--model', out, '--data', valued]);
  t.is((evaluation as { test: Metrics }).test.count, 24);
  const [found] = await lines(t, ['predict', '--model', out, '--text', 'the']);
  t.is(typeof found?.value, 'number');
});

test.serial('labels of words', async (t) => {
  t.timeout(120_000);
  const out = join(folder, 'tokens');
  const args = ['train', 'tokens', '--data', tagged, '--from', pretrained, ...brief];
  const all = await lines(t, [...args, '--epochs', '8', '--lr', '0.02', '--out', out]);
  t.true((all.at(-1) as { test: Metrics }).test.accuracy! > 0.9, JSON.stringify(all.at(-1)));
  const [evaluation] = await lines(t, ['evaluate', '--model', out, '--data', tagged]);
  t.true((evaluation as { test: Metrics }).test.accuracy! > 0.9);
  const [found] = await lines(t, ['predict', '--model', out, '--text', 'the good gate']);
  t.deepEqual(found, { tokens: ['the', 'good', 'gate'], labels: ['X', 'ADJ', 'X'] });
});

test.serial('vectors: lines of JSON, or an array for NumPy', async (t) => {
  const [cell, again] = await lines(t, ['embed', '--model', pretrained, '--text', 'a cell', '--text', 'A CELL']);
  const { text, vector } = cell as { text: string; vector: number[] };
  t.is(text, 'a cell');
  t.is(vector.length, 16);
  t.deepEqual(again?.vector, vector, 'the vocabulary has lower case only');
  const out = join(folder, 'vectors.npy');
  const [saved] = await lines(t, ['embed', '--model', pretrained, '--text', 'a cell', '--out', out]);
  t.deepEqual(saved, { saved: out, texts: 1, size: 16 });
  const bytes = await readFile(out);
  t.deepEqual([...new Float32Array(bytes.buffer.slice(bytes.length - 64))], vector.map(Math.fround));
});

test.serial('a causal transformer writes text', async (t) => {
  const out = join(folder, 'writer');
  const args = ['train', 'lm', '--model', 'transformer', '--text', textFile, '--window', '16', '--sample', '5'];
  const all = await lines(t, [...args, ...sizes, ...brief, '--steps', '10', '--out', out]);
  const { validation, sample } = all.at(-1) as { validation: Metrics; sample: string };
  t.deepEqual(Object.keys(validation), ['loss', 'perplexity', 'characters']);
  t.is(sample.length, 5);
  const [evaluation] = await lines(t, ['evaluate', '--model', out, '--text', textFile]);
  t.true((evaluation as { test: Metrics }).test.loss! < 2.9, 'of 21 characters, 3.04 nats at random');
  const { code, stdout } = await run(['generate', '--model', out, '--prompt', 'the', '--length', '4']);
  t.is(code, 0);
  t.regex(stdout, /^the.{4}\n$/s);
});

const out = ['--out', join(folder, 'refused')];

/** A copy of the pretrained folder, with some files replaced or, where undefined, left out. */
function altered(name: string, files: Readonly<Record<string, string | undefined>>): string {
  const copy = join(folder, name);
  cpSync(pretrained, copy, { recursive: true });
  for (const [file, content] of Object.entries(files)) {
    if (content === undefined) rmSync(join(copy, file));
    else writeFileSync(join(copy, file), content);
  }
  return copy;
}

const refusals: readonly (readonly [title: string, args: readonly string[], message: RegExp])[] = [
  ['no text', ['train', 'mlm'], /Expected --text <path>/],
  [
    'white space',
    ['train', 'mlm', '--text', empty, '--validation', '0', ...out],
    /a text with words but received none/,
  ],
  [
    'a vocabulary smaller than the alphabet',
    masked('--vocabulary', '20', ...out),
    /at least the \d+ of special tokens and single characters but received a size of 20/,
  ],
  [
    'heads that do not divide the width',
    masked('--heads', '3', ...out),
    /`hiddenSize` to be a multiple of `heads`, 3, but received 16/,
  ],
  [
    'a mask rate of 0',
    masked('--mask-rate', '0', ...out),
    /`maskRate` to be a number above 0 and below 1 but received 0/,
  ],
  [
    'a preset that there is not',
    masked('--preset', 'huge', ...out),
    /Allowed choices are tiny, mini, small, medium, base/,
  ],
  [
    'a warm-up longer than the training',
    masked('--steps', '5', '--warmup', '6', ...out),
    /`warmup` to be a whole number from 0 to 5 but received 6/,
  ],
  [
    'sizes beside a folder that has them',
    classify('--from', pretrained, '--layers', '3', ...out),
    /Expected --layers only without --from, as the folder settles that/,
  ],
  [
    'sequences longer than the folder has positions',
    ['train', 'mlm', '--text', textFile, '--from', pretrained, '--max-length', '17', ...out],
    /--max-length to be at most 16, max_position_embeddings of .*pretrained.config\.json, but received 17/,
  ],
  [
    'a part to freeze that there is not',
    classify('--from', pretrained, '--freeze', 'embeding', ...out),
    /freeze: Expected embeddings, pooler or layers such as 0-5 but received "embeding"/,
  ],
  [
    'a layer to freeze that there is not',
    classify('--from', pretrained, '--freeze', '0-2', ...out),
    /freeze: Expected layers from 0 to 1 but received "0-2"/,
  ],
  [
    'an option of recurrent networks',
    classify('--peepholes', ...out),
    /Expected --peepholes only with --model rnn, lstm or gru/,
  ],
  [
    'units of recurrent networks',
    classify('--units', 'words', ...out),
    /Expected --units only with --model rnn, lstm or gru/,
  ],
  [
    'an option of BERT for an LSTM',
    ['train', 'classify', '--data', labelled, '--freeze', '0', ...out],
    /Expected --freeze only with --model bert/,
  ],
  [
    'heads for an LSTM',
    ['train', 'lm', '--text', textFile, '--heads', '2', ...out],
    /Expected --heads only with --model transformer/,
  ],
  [
    'tied weights for a transformer',
    ['train', 'lm', '--model', 'transformer', '--text', textFile, '--tie-weights', ...out],
    /Expected --tie-weights only with --model rnn, lstm or gru/,
  ],
  [
    'a text column that there is not',
    classify('--text-column', 'review', ...out),
    /Expected a column "review" for the text but received the columns text, label/,
  ],
  [
    'a pair column that there is not',
    classify('--pair-column', 'other', ...out),
    /Expected a column "other" for the second text but received the columns text, label/,
  ],
  [
    'classes as numbers',
    classify('--regression', ...out),
    /labelled\.csv:\d+: Expected a number but received "(pos|neg)"/,
  ],
  [
    'an empty file of words',
    ['train', 'tokens', '--data', empty, ...out],
    /Expected at least 3 examples all in all|Expected labels of at least two classes/,
  ],
  [
    'a folder that is not there',
    classify('--from', join(folder, 'nowhere'), ...out),
    /Expected to read .*nowhere.config\.json but there is no such file or folder/,
  ],
  [
    'a text without a mask',
    ['predict', '--model', pretrained, '--text', 'no mask'],
    /Expected texts with \[MASK\] to be filled in but received "no mask"/,
  ],
  [
    'a mask beyond what the model reads',
    ['predict', '--model', pretrained, '--text', `[MASK] ${'the '.repeat(2000)}[MASK]`],
    /Expected each \[MASK\] to lie within what the model reads .*"\[MASK\] the .*…", in which 1 of 2 lies beyond/,
  ],
  [
    'a pooler that there is not',
    ['embed', '--model', pretrained, '--text', 'a', '--pooling', 'pooler'],
    /mean or first, as the model has no pooler/,
  ],
  [
    'vectors in a file of another kind',
    ['embed', '--model', pretrained, '--text', 'a', '--out', 'a.csv'],
    /--out to end in \.npy or \.jsonl but received a\.csv/,
  ],
  [
    'pairs for a labeller',
    ['predict', '--model', pretrained, '--text', 'a', '--pair-column', 'b'],
    /Expected --pair-column only with a classifier of pairs/,
  ],
  [
    'generating from an encoder',
    ['generate', '--model', pretrained],
    /"model_type": "language_model".*received "bert"/,
  ],
];

for (const [title, args, message] of refusals) {
  test.serial(`${title} is refused in words, before the first step`, async (t) => {
    const { code, stdout, stderr } = await run(args);
    t.is(code, 1, stdout);
    t.regex(stderr, message);
    t.notRegex(stdout + stderr, /^\s+at |unexpected error|"step"/m);
  });
}

test.serial('folders that do not fit are refused by name', async (t) => {
  const vocabulary = await readFile(join(pretrained, 'vocab.txt'), 'utf8');
  const config = JSON.parse(await readFile(join(pretrained, 'config.json'), 'utf8')) as object;
  const json = { 'tokenizer.json': undefined, 'tokenizer_config.json': undefined };
  const cases: readonly (readonly [
    name: string,
    files: Readonly<Record<string, string | undefined>>,
    message: RegExp,
  ])[] = [
    [
      'longer',
      { ...json, 'vocab.txt': `${vocabulary}one more\n` },
      /a tokenizer of 60 tokens.* but received one of 61/,
    ],
    ['none', { ...json, 'vocab.txt': undefined }, /none: Expected tokenizer\.json or vocab\.txt but received neither/],
    [
      'maskless',
      { ...json, 'vocab.txt': vocabulary.replace('[MASK]', '[MUSK]') },
      /vocab\.txt: Expected the special token "\[MASK\]" in the vocabulary but received none/,
    ],
    [
      'other',
      {
        'config.json': JSON.stringify({
          ...config,
          format_version: undefined,
          model_type: 'roberta',
          architectures: ['RobertaForMaskedLM'],
        }),
      },
      /Expected a model of the kind .* but received "RobertaForMaskedLM"/,
    ],
    ['wide', { 'config.json': JSON.stringify({ ...config, hidden_size: 18 }) }, /wide.*shape/],
  ];
  for (const [name, files, message] of cases) {
    const copy = altered(name, files);
    const { code, stderr } = await run(['predict', '--model', copy, '--text', 'a [MASK]']);
    t.is(code, 1, name);
    t.regex(stderr, message);
  }
  const encoder = altered('encoder', { 'config.json': JSON.stringify({ ...config, architectures: ['BertModel'] }) });
  const { stderr } = await run(['predict', '--model', encoder, '--text', 'a']);
  t.regex(stderr, /Expected a model with a task but received an encoder: seqgrad embed --model/);
});

test.serial('the help says what BERT takes', async (t) => {
  for (const [task, pattern] of [
    ['mlm', /--whole-words[\s\S]*--from <folder>[\s\S]*--freeze <parts>[\s\S]*--warmup <n>/],
    ['tokens', /--data <path>[\s\S]*--layer-decay <d>/],
    ['classify', /With --model bert:[\s\S]*--preset <size>[\s\S]*Defaults with --model bert/],
  ] as const) {
    t.regex((await run(['train', task, '--help'])).stdout, pattern);
  }
});
