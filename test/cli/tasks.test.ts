import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { columnOf, sequences, texts, wave } from '../models/examples.js';
import { linesOf, run, start, temporaryFolder } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'seqgrad-cli-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const rowsOf = (count: number, seed?: string): string =>
  texts(count, seed)
    .map(({ text, label }) => `"${text}",${label}\n`)
    .join('');
const textsFile = file('texts.csv', `text,label\n${rowsOf(120)}`);
const taggedFile = file(
  'tagged.conll',
  sequences(80)
    .map(({ tokens, labels }) => tokens.map((token, t) => `${token} ${labels[t]}\n`).join(''))
    .join('\n'),
);
const { values, length } = wave(120);
const seriesFile = file(
  'series.csv',
  `row,wave,ahead\n${Array.from({ length }, (_, row) => `r${row},${values[2 * row]},${values[2 * row + 1]}\n`).join('')}`,
);
const oneFile = file('one.tsv', `wave\n${[...columnOf(wave(120), 'wave').values].join('\n')}\n`);
const lineFile = file('line.txt', 'a line\n');

const small = ['--hidden', '8', '--batch', '16', '--lr', '0.03', '--seed', '1'];
const classify = (...more: string[]): string[] => [
  'train',
  'classify',
  '--data',
  textsFile,
  ...small,
  '--embedding',
  '4',
  ...more,
];
const forecast = (...more: string[]): string[] => ['train', 'forecast', ...small, '--window', '8', ...more];

async function last(t: ExecutionContext, args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run(args);
  t.is(code, 0, stderr);
  return linesOf(stdout).at(-1) as Record<string, unknown>;
}

type Metrics = Record<string, number> & {
  classes: Record<string, { f1: number; support: number }>;
  confusion: number[][];
};

test('classify: train, evaluate and predict from nothing but the folder', async (t) => {
  const model = join(await temporaryFolder(t), 'model');
  const done = await last(t, classify('--out', model, '--epochs', '12', '--test', '0.2', '--model', 'gru'));
  const tested = done.test as Metrics;
  t.true(tested.accuracy! > 0.9, `${tested.accuracy}`);
  t.deepEqual(Object.keys(done.validation as Metrics), [
    'loss',
    'accuracy',
    'macro_f1',
    'count',
    'classes',
    'confusion',
  ]);
  t.deepEqual(Object.keys(tested.classes), ['a', 'b', 'c']);
  t.is(
    tested.confusion.flat().reduce((sum, count) => sum + count),
    tested.count as number,
  );
  const other = file('other.csv', `text,label\n${rowsOf(60, 'other')}`);
  const evaluation = await last(t, ['evaluate', '--model', model, '--data', other, '--json']);
  t.is(evaluation.validation, null);
  t.true((evaluation.test as Metrics).accuracy! > 0.85);
  const predicted = linesOf((await run(['predict', '--model', model, '--text', 'axy', '--text', 'cz'])).stdout);
  t.deepEqual(
    predicted.map(({ text, label }) => [text, label]),
    [
      ['axy', 'a'],
      ['cz', 'c'],
    ],
  );
  const probabilities = Object.values(predicted[0]?.probabilities as Record<string, number>);
  t.true(Math.abs(probabilities.reduce((sum, each) => sum + each) - 1) < 1e-6);
  const fromFile = linesOf((await run(['predict', '--model', model, '--data', other])).stdout);
  t.is(fromFile.length, 60);
  t.deepEqual((await readdir(model)).sort(), ['config.json', 'model.safetensors', 'vocab.json']);
});

test('predict reads standard input', async (t) => {
  const model = join(await temporaryFolder(t), 'model');
  await last(t, classify('--out', model, '--steps', '1'));
  const running = start(['predict', '--model', model, '--data', '-'], {}, { input: 'axx\n\ncz\n' });
  const { code, stdout, stderr } = await running.ended;
  t.is(code, 0, stderr);
  t.deepEqual(
    linesOf(stdout).map(({ text }) => text),
    ['axx', 'cz'],
  );
});

test('classify: parts from files of their own, classes from folders', async (t) => {
  const path = await temporaryFolder(t);
  const data = join(path, 'data');
  mkdirSync(data);
  for (const label of ['a', 'b']) {
    const lines = texts(200)
      .filter((each) => each.label === label)
      .map(({ text }) => text);
    writeFileSync(join(data, `${label}.txt`), lines.join('\n'));
  }
  const held = file('held.csv', 'text,label\naxx,a\nayy,a\n');
  const { code, stdout, stderr } = await run([
    ...['train', 'classify', '--data', data, '--test-data', held, '--validation', '0', '--out', join(path, 'model')],
    ...[...small, '--epochs', '1', '--pool', 'max', '--no-bidirectional'],
  ]);
  t.is(code, 0, stderr);
  const lines = linesOf(stdout);
  t.like(lines.find((line) => 'data' in line)?.data, {
    validation: 0,
    test: 2,
    absent: ['not one in the test part: b'],
  });
  t.is(lines.at(-1)?.validation, null);
  t.like(lines.at(-1)?.test, { count: 2 });
});

test('label: train, evaluate and predict', async (t) => {
  const model = join(await temporaryFolder(t), 'model');
  const done = await last(t, ['train', 'label', '--data', taggedFile, '--out', model, ...small, '--epochs', '12']);
  t.true((done.test as Metrics).accuracy! > 0.9, JSON.stringify(done.test));
  const evaluation = await last(t, ['evaluate', '--model', model, '--data', taggedFile]);
  t.true((evaluation.test as Metrics).macro_f1! > 0.9);
  const [first] = linesOf((await run(['predict', '--model', model, '--text', 'x x y'])).stdout);
  t.deepEqual(first, { tokens: ['x', 'x', 'y'], labels: ['x', 'y', 'end'] });
});

test('forecast: one series, several rows ahead, against the naive forecast of a season', async (t) => {
  const model = join(await temporaryFolder(t), 'model');
  const args = forecast('--data', oneFile, '--out', model, '--steps', '80', '--horizon', '2');
  const done = await last(t, args);
  t.deepEqual(Object.keys(done.test as Metrics), ['loss', 'mae', 'rmse', 'mase', 'season', 'naive_mae', 'count']);
  t.true((done.test as Metrics).mase! < 0.6, JSON.stringify(done.test));
  t.is((done.test as Metrics).count, 46, 'the last fifth: 24 rows, 23 windows of 2');
  const again = (await last(t, ['evaluate', '--model', model, '--data', oneFile, '--last', '0.2'])).test as Metrics;
  t.deepEqual(again, done.test as Metrics);
  const seasonal = (await last(t, ['evaluate', '--model', model, '--data', oneFile, '--last', '0.2', '--season', '4']))
    .test as Metrics;
  t.is(seasonal.mae, again.mae);
  t.not(seasonal.mase, again.mase);
  const predicted = linesOf((await run(['predict', '--model', model, '--data', oneFile])).stdout);
  t.deepEqual(
    predicted.map(({ step, values }) => [step, Object.keys(values as object)]),
    [
      [1, ['wave']],
      [2, ['wave']],
    ],
  );
});

test('forecast: several columns and quantiles', async (t) => {
  const model = join(await temporaryFolder(t), 'model');
  const columns = ['--target', 'wave', '--input', 'ahead', '--loss', 'quantile', '--quantiles', '0.2,0.5,0.8'];
  const done = await last(t, forecast('--data', seriesFile, ...columns, '--out', model, '--steps', '30'));
  t.true('coverage' in (done.test as Metrics));
  const [first] = linesOf((await run(['predict', '--model', model, '--data', seriesFile])).stdout);
  t.is((first as { quantiles: { wave: number[] } }).quantiles.wave.length, 3);
  t.deepEqual(JSON.parse(await readFile(join(model, 'config.json'), 'utf8')).columns, ['wave', 'ahead']);
});

const unfit = file('unfit.csv', 'text,label\na,x\nb,x\nc,x\n');
const rare = file('rare.csv', `text,label\n${rowsOf(30)}q,rare\n`);
const wrong = file('wrong.csv', 'text,label\na,a\nb,new\n');
const ragged = file('ragged.csv', 'text,label\na,a\nb\n');
const gap = file('gap.csv', `x\n${'1\n2\n'.repeat(30)}NA\n3\n`);
const latin1 = file(
  'latin1.csv',
  Uint8Array.from([...new TextEncoder().encode('text,label\na,b\n'), 0xe4, 0x2c, 0x62]),
);
const out = ['--out', join(folder, 'refused')];

const refusals: readonly (readonly [title: string, args: readonly string[], message: RegExp])[] = [
  ['no data', ['train', 'classify'], /Expected --data <path>/],
  ['one class only', ['train', 'classify', '--data', unfit, ...out], /at least two classes but received only "x"/],
  [
    'a class too rare to be in every part',
    ['train', 'classify', '--data', rare, ...out],
    /at least 3 examples of class "rare".*received 1/,
  ],
  [
    'a class that training lacks, in a file for the test',
    classify('--test-data', wrong, ...out),
    /wrong\.csv:3: Expected one of the model’s 3 labels \(a, b, c\) but received "new"/,
  ],
  [
    'a ragged row',
    ['train', 'classify', '--data', ragged, ...out],
    /ragged\.csv:3: Expected 2 cells, as the first row has, but received 1/,
  ],
  [
    'a table in Latin-1',
    ['train', 'classify', '--data', latin1, ...out],
    /latin1\.csv: Expected UTF-8 text but received byte 0xe4 at offset 15/,
  ],
  [
    'a column that is not there',
    classify('--label-column', 'class', ...out),
    /Expected a column "class" for the label but received the columns text, label/,
  ],
  [
    'a file of another kind',
    ['train', 'classify', '--data', lineFile, ...out],
    /line\.txt: Expected a folder with a file for each class, or/,
  ],
  [
    'a delimiter of three characters',
    classify('--delimiter', 'abc', ...out),
    /--delimiter.*one character or tab but received "abc"/,
  ],
  [
    'a bpe vocabulary smaller than the bytes',
    classify('--units', 'bpe', '--vocabulary', '100', ...out),
    /from 256 to 1048576 but received 100/,
  ],
  [
    'an option of another network',
    classify('--forget-bias', '1', '--model', 'gru', ...out),
    /`forgetBias` only with kind lstm/,
  ],
  [
    'a line without a label',
    ['train', 'label', '--data', lineFile, '--test', '0', '--validation', '0', ...out],
    /at least two classes but received only "line"/,
  ],
  [
    'a series shorter than a window',
    forecast('--data', oneFile, '--window', '100', ...out),
    /at least 101 rows \(window 100 \+ horizon 1\) in the training part but received 84/,
  ],
  [
    'a part shorter than the horizon',
    forecast('--data', oneFile, '--horizon', '13', ...out),
    /at least 13 rows \(horizon 13\) in the validation part but received 12/,
  ],
  [
    'a season longer than what comes before the test',
    forecast('--data', oneFile, '--season', '90', ...out),
    /at least 90 rows \(`season`\) before the first forecast but received 84/,
  ],
  [
    'a target that is not there',
    forecast('--data', oneFile, '--target', 'tide', ...out),
    /Expected a column "tide" for the series but received the columns wave/,
  ],
  [
    'several columns and no target',
    forecast('--data', seriesFile, ...out),
    /one column of numbers, or --target <column>, but received the columns wave, ahead/,
  ],
  [
    'a cell that is no number',
    forecast('--data', seriesFile, '--target', 'row', ...out),
    /series\.csv:2: Expected a number in column "row" but received "r0"/,
  ],
  [
    'a missing number',
    forecast('--data', gap, ...out),
    /gap\.csv:62: Expected a number in column "x" but received none/,
  ],
  [
    'a logarithm of values below 0',
    forecast('--data', oneFile, '--transform', 'log', ...out),
    /Expected values above 0 for their logarithm/,
  ],
  [
    'quantiles that do not ascend',
    forecast('--data', oneFile, '--quantiles', '0.9,0.1', ...out),
    /ascending numbers between 0 and 1/,
  ],
];

for (const [title, args, message] of refusals) {
  test(`${title} is refused in words, before the first step`, async (t) => {
    const { code, stdout, stderr } = await run(args);
    t.is(code, 1);
    t.regex(stderr, message);
    t.notRegex(stdout + stderr, /^\s+at |unexpected error|"step"/m);
  });
}

test('what a model of another task cannot do is refused by name', async (t) => {
  const model = join(await temporaryFolder(t), 'model');
  await last(t, forecast('--data', oneFile, '--out', model, '--steps', '1'));
  for (const [args, message] of [
    [['predict', '--model', model, '--text', 'x'], /Expected --data <path>/],
    [['predict', '--model', model, '--data', seriesFile, '--target', 'x'], /unknown option '--target'/],
    [['generate', '--model', model], /"model_type": "language_model".*received "forecaster"/],
    [
      ['evaluate', '--model', model, '--data', textsFile],
      /Expected a column "wave" for the series but received the columns text, label/,
    ],
  ] as const) {
    const { code, stderr } = await run(args);
    t.is(code, 1);
    t.regex(stderr, message);
  }
  const text = file('lm.txt', 'ab'.repeat(500));
  await last(t, [
    'train',
    'lm',
    '--text',
    text,
    '--out',
    `${model}-lm`,
    '--hidden',
    '4',
    '--batch',
    '2',
    '--window',
    '4',
    '--steps',
    '1',
    '--sample',
    '0',
  ]);
  const refused = await run(['predict', '--model', `${model}-lm`, '--text', 'a']);
  t.regex(refused.stderr, /received a language model: seqgrad generate --model/);
});
