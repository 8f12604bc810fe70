import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readLabelledSequences } from '../../src/data/labelled-sequences.js';
import { type LabelledTextOptions, readLabelledTexts } from '../../src/data/labelled-texts.js';
import { collectSeries, readSeries, type SeriesOptions } from '../../src/data/series.js';
import { all, streamOf } from './source.js';

const texts = (text: string, name: string, options?: LabelledTextOptions) =>
  all(readLabelledTexts(streamOf(text, { name }), options));
const sequences = (text: string, name = 'x.conll') => all(readLabelledSequences(streamOf(text, { name })));
const series = (text: string, options?: SeriesOptions) => readSeries(streamOf(text), options);

test('texts and labels from tables and JSON lines', async (t) => {
  const expected = [
    { text: 'good, really', label: 'pos', where: 'x.csv:2' },
    { text: 'bad', label: '0', where: 'x.csv:3' },
  ];
  t.deepEqual(await texts('label,text\npos,"good, really"\n0,bad\n', 'x.csv'), expected);
  t.deepEqual(
    await texts('id;review;stars\n1;good, really;pos\n2;bad;0\n', 'x.csv', {
      textColumn: 'review',
      labelColumn: 'stars',
    }),
    expected,
  );
  t.deepEqual(await texts('{"text":"bad","label":0,"id":7}\n', 'x.jsonl'), [
    { text: 'bad', label: '0', where: 'x.jsonl:1' },
  ]);
  t.deepEqual(await texts('a\tb\n', 'x.tsv', { header: false, textColumn: '1', labelColumn: '2' }), [
    { text: 'a', label: 'b', where: 'x.tsv:1' },
  ]);
});

test('pairs of texts', async (t) => {
  const expected = { text: 'a', pair: 'b', label: 'same' };
  const options = { pairColumn: 'other' };
  t.deepEqual(await texts('text,other,label\na,b,same\n', 'x.csv', options), [{ ...expected, where: 'x.csv:2' }]);
  t.deepEqual(await texts('{"text":"a","other":"b","label":"same"}', 'x.jsonl', options), [
    { ...expected, where: 'x.jsonl:1' },
  ]);
  await t.throwsAsync(texts('text,label\na,b\n', 'x.csv', options), {
    message: /Expected a column "other" for the second text but received the columns text, label/,
  });
  await t.throwsAsync(texts('text,other,label\na,,same\n', 'x.csv', options), {
    message: 'x.csv:2: Expected a value in column "other" but received none',
  });
  await t.throwsAsync(texts('{"text":"a","other":1,"label":"x"}', 'x.jsonl', options), {
    message: 'x.jsonl:1: Expected "other" to be a string but received 1',
  });
  await t.throwsAsync(all(readLabelledTexts('test', options)), {
    message: 'test: Expected a table or JSON lines, as texts come in pairs, but received a folder',
  });
});

test('a folder has a file of lines for each class, or a folder of files', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'seqgrad-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'neg'));
  await writeFile(join(folder, 'neg', '1.txt'), 'two\nlines');
  await writeFile(join(folder, 'neg', '2.txt'), '');
  await writeFile(join(folder, 'v1.pos.txt'), 'one\r\n\n other \n');
  t.deepEqual(await all(readLabelledTexts(`${folder}/`)), [
    { text: 'two\nlines', label: 'neg', where: `${folder}/neg/1.txt` },
    { text: 'one', label: 'v1.pos', where: `${folder}/v1.pos.txt:1` },
    { text: ' other ', label: 'v1.pos', where: `${folder}/v1.pos.txt:3` },
  ]);
  await writeFile(join(folder, 'latin1.txt'), Uint8Array.of(65, 0xfc));
  await t.throwsAsync(all(readLabelledTexts(folder)), {
    message: /latin1\.txt: Expected UTF-8 text but received byte 0xfc at offset 1/,
  });
});

test('texts without text or label are refused with their place, or skipped', async (t) => {
  const table = 'text,label\na,x\n ,x\nb,\nc,y';
  await t.throwsAsync(texts(table, 'x.csv'), {
    code: 'ERR_SEQGRAD_DATA',
    message: 'x.csv:3: Expected a value in column "text" but received none',
  });
  t.deepEqual(
    (await texts(table, 'x.csv', { missing: 'skip' })).map(({ text }) => text),
    ['a', 'c'],
  );
  await t.throwsAsync(texts('{"text":"a"}', 'x.jsonl'), {
    message: 'x.jsonl:1: Expected a value of "label" but received {"text":"a"}',
  });
  t.deepEqual(await texts('{"text":"a"}', 'x.jsonl', { missing: 'skip' }), []);
  await t.throwsAsync(texts('{"text":1,"label":"x"}', 'x.jsonl'), {
    message: 'x.jsonl:1: Expected "text" to be a string but received 1',
  });
  await t.throwsAsync(texts('{"text":"a","label":{}}', 'x.jsonl'), {
    message: /Expected "label" to be a string but received \{\}/,
  });
  await t.throwsAsync(texts('a,b\n1,2', 'x.csv'), {
    message: /Expected a column "text" for the text but received the columns a, b/,
  });
  await t.throwsAsync(texts('a', 'x.txt'), {
    message: /x\.txt: Expected a folder with a file for each class, or a file that ends in/,
  });
});

test('sequences with labels from columns and JSON lines', async (t) => {
  const the = { tokens: ['The', 'cat'], labels: ['D', 'N'] };
  const sat = { tokens: ['sat'], labels: ['V'] };
  t.deepEqual(await sequences('-DOCSTART- -X- O\n\nThe DT D\ncat NN N\r\n\n\nsat V V'), [
    { ...the, where: 'x.conll:3' },
    { ...sat, where: 'x.conll:7' },
  ]);
  t.deepEqual(await sequences('New York\tN\nis\tV\n'), [
    { tokens: ['New York', 'is'], labels: ['N', 'V'], where: 'x.conll:1' },
  ]);
  t.deepEqual(await sequences('{"tokens":["The","cat"],"labels":["D","N"]}\n{"tokens":[],"labels":[]}', 'x.jsonl'), [
    { ...the, where: 'x.jsonl:1' },
  ]);
  for (const [text, name, message] of [
    ['The D\ncat\n', 'x.conll', 'x.conll:2: Expected a token and its label in two columns but received "cat"'],
    ['The\t\n', 'x.conll', /x\.conll:1: Expected a token and its label/],
    [
      '{"tokens":["a","b"],"labels":["x"]}',
      'x.jsonl',
      'x.jsonl:1: Expected a label for each of 2 tokens but received 1',
    ],
    [
      '{"tokens":["a"],"labels":"x"}',
      'x.jsonl',
      'x.jsonl:1: Expected "labels" to be a list of strings but received "x"',
    ],
    ['{"labels":["x"]}', 'x.jsonl', 'x.jsonl:1: Expected "tokens" to be a list of strings but received none'],
  ] as const) {
    await t.throwsAsync(sequences(text, name), { code: 'ERR_SEQGRAD_DATA', message });
  }
});

test('series of numbers: all columns of numbers, or those that are named', async (t) => {
  const table = '"Month","a","b"\n"1949-01", 1.5,-2e3\n"1949-02",.5,+7\n';
  t.deepEqual(await series(table), { columns: ['a', 'b'], values: Float64Array.of(1.5, -2000, 0.5, 7), length: 2 });
  t.deepEqual(await series(table, { columns: ['b'] }), {
    columns: ['b'],
    values: Float64Array.of(-2000, 7),
    length: 2,
  });
  await t.throwsAsync(series(table, { columns: ['c'] }), {
    message: /Expected a column "c" for the series but received the columns Month, a, b/,
  });
  await t.throwsAsync(series('x\nhello'), {
    message: 'data.csv:2: Expected a column of numbers but received ["hello"]',
  });
  await t.throwsAsync(series('x\n'), { message: 'data.csv: Expected rows of numbers but received none' });
});

test('series of numbers from JSON lines, an object for each row', async (t) => {
  const lines = (...rows: unknown[]) => ({
    name: 'rows.jsonl',
    content: rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
  });
  const rows = [
    { day: 'mon', a: 1, b: '2' },
    { b: -4e2, a: 3.5, c: 9 },
  ];
  t.deepEqual(await readSeries(lines(...rows)), {
    columns: ['a', 'b'],
    values: Float64Array.of(1, 2, 3.5, -400),
    length: 2,
  });
  t.deepEqual([...(await readSeries(lines(...rows), { columns: ['b'] })).values], [2, -400]);
  const absent = lines({ a: 1, b: 2 }, { a: 3 }, { a: 5, b: null });
  await t.throwsAsync(readSeries(absent), {
    message: 'rows.jsonl:2: Expected a number in column "b" but received none',
  });
  t.deepEqual([...(await readSeries(absent, { missing: 'previous' })).values], [1, 2, 3, 2, 5, 2]);
  await t.throwsAsync(readSeries(lines({ a: 1 }, { a: [2] })), {
    message: 'rows.jsonl:2: Expected a number in column "a" but received "[2]"',
  });
  await t.throwsAsync(readSeries(lines()), { message: 'rows.jsonl: Expected objects but the file is empty' });
});

for (const cell of ['1,5', '1 000', '0x10', '1e999', 'Infinity', 'twelve', '--1', '1.2.3']) {
  test(`"${cell}" is no number`, async (t) => {
    await t.throwsAsync(series(`a;b\n1;2\n3;${cell}\n`), {
      code: 'ERR_SEQGRAD_DATA',
      message: `data.csv:3: Expected a number in column "b" but received "${cell}"`,
    });
  });
}

test('missing numbers are refused, skipped, or taken from the row before, as is said', async (t) => {
  for (const mark of ['', 'NA', 'n/a', 'NaN', 'null', 'None', '?', '-']) {
    const table = `a,b\n1,2\n3,${mark}\n5,6\n`;
    await t.throwsAsync(series(table), { message: 'data.csv:3: Expected a number in column "b" but received none' });
    t.deepEqual([...(await series(table, { missing: 'skip' })).values], [1, 2, 5, 6]);
    t.deepEqual([...(await series(table, { missing: 'previous' })).values], [1, 2, 3, 2, 5, 6]);
  }
  await t.throwsAsync(series('a,b\nNA,2', { missing: 'previous' }), {
    message: /column "a" but received none, and no row before has one/,
  });
});

test('series from rows as they come', async (t) => {
  async function* rows() {
    yield { a: 1, b: 2 };
    yield { b: 4, a: 3 };
  }
  t.deepEqual(await collectSeries(rows()), { columns: ['a', 'b'], values: Float64Array.of(1, 2, 3, 4), length: 2 });
  t.deepEqual((await collectSeries(rows(), ['b'])).values, Float64Array.of(2, 4));
  await t.throwsAsync(collectSeries(rows(), ['c']), {
    code: 'ERR_SEQGRAD_DATA',
    message: 'Expected a finite number "c" in row 1 but received none',
  });
  await t.throwsAsync(collectSeries([{ a: Number.NaN }]), { message: /"a" in row 1/ });
  await t.throwsAsync(collectSeries([]), { message: /received none/ });
});
