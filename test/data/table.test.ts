import test from 'ava';
import fc from 'fast-check';
import { columnIndex, openTable, type TableOptions } from '../../src/data/table.js';
import { all, streamOf } from './source.js';

async function read(text: string | Uint8Array, options?: TableOptions, name?: string) {
  const table = await openTable(streamOf(text, name === undefined ? {} : { name }), options);
  return { columns: table.columns, rows: await all(table.rows) };
}

test('cells, quoted ones with delimiters, quotes and line breaks, and the lines that rows begin in', async (t) => {
  const { columns, rows } = await read('\ufeffa, b \n1,"x, ""y"""\r\n"two\nlines\n",ä😀\n\n3,\n');
  t.deepEqual(columns, ['a', 'b']);
  t.deepEqual(rows, [
    { line: 2, cells: ['1', 'x, "y"'] },
    { line: 3, cells: ['two\nlines\n', 'ä😀'] },
    { line: 7, cells: ['3', ''] },
  ]);
});

test('what cells are separated by is found out, and can be said', async (t) => {
  for (const delimiter of [',', ';', '\t', '|']) {
    t.deepEqual((await read(`a${delimiter}b c\n1${delimiter}2`)).columns, ['a', 'b c']);
  }
  t.deepEqual((await read('"a,b,c";d\n1;2')).columns, ['a,b,c', 'd'], 'those in quotes do not count');
  t.deepEqual((await read('a,b\tc\n1\t2', {}, 'x.tsv')).columns, ['a,b', 'c']);
  t.deepEqual((await read('a,b:c\n1:2', { delimiter: ':' })).columns, ['a,b', 'c']);
  t.deepEqual((await read('text\nhello')).rows, [{ line: 2, cells: ['hello'] }]);
});

test('without a header columns are called by their position', async (t) => {
  const { columns, rows } = await read('5,6\n7,8', { header: false });
  t.deepEqual(columns, ['1', '2']);
  t.deepEqual(
    rows.map(({ cells }) => cells),
    [
      ['5', '6'],
      ['7', '8'],
    ],
  );
});

test('any cells come back as they were written', async (t) => {
  const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', ' ', 'ü', ';', '😀', '.') });
  const table = fc
    .integer({ min: 1, max: 4 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1 }));
  await fc.assert(
    fc.asyncProperty(table, fc.integer({ min: 1, max: 9 }), async (rows, size) => {
      const quoted = rows.map((row) => row.map((each) => `"${each.replaceAll('"', '""')}"`).join(',')).join('\n');
      const opened = await openTable(streamOf(quoted, { size }), { header: false, delimiter: ',' });
      t.deepEqual(
        (await all(opened.rows)).map(({ cells }) => cells),
        rows,
      );
    }),
    { numRuns: 50 },
  );
});

test('a cell of a million characters is a cell', async (t) => {
  const long = 'x'.repeat(1_000_000);
  const table = await openTable(streamOf(`a,b\n"${long}",1\n`, { size: 1 << 16 }));
  t.is((await all(table.rows))[0]?.cells[0]?.length, 1_000_000);
});

test('the rest of a table that nobody reads is not read', async (t) => {
  let asked = 0;
  let closed = false;
  async function* endless(): AsyncGenerator<string> {
    try {
      yield 'a,b\n';
      for (;;) {
        asked++;
        yield '1,2\n'.repeat(1000);
      }
    } finally {
      closed = true;
    }
  }
  for await (const { cells } of (await openTable({ name: 'endless.csv', content: endless() })).rows) {
    t.deepEqual(cells, ['1', '2']);
    break;
  }
  t.true(asked < 1000);
  t.true(closed);
});

const refused: Record<string, [text: string | Uint8Array, message: string | RegExp]> = {
  'nothing at all': ['', 'data.csv: Expected a table but the file is empty'],
  'a row with fewer cells': ['a,b\n1,2\n\n3\n', 'data.csv:4: Expected 2 cells, as the first row has, but received 1'],
  'a row with more cells': ['a,b\n1,2,3', 'data.csv:2: Expected 2 cells, as the first row has, but received 3'],
  'two columns of one name': ['a,b,a\n', 'data.csv:1: Expected a name for each column but cells 1 and 3 are both "a"'],
  'a quote that does not end': [
    `a,b\n1,2\n1,"2\n${'3,4\n'.repeat(1000)}`,
    /^data\.csv:3: Expected a quoted cell to end with " but it goes on to the end of the file/,
  ],
  'text after a closing quote': [
    'a,b\n1,"2"3\n',
    /^data\.csv:2: Expected a delimiter or the end of the line after the closing "/,
  ],
  'a quote in the middle': ['a,b\n1,2"3\n', /^data\.csv:2: Expected a " only at the beginning of a cell/],
  'another encoding': [
    Uint8Array.of(97, 44, 98, 10, 49, 44, 0xfc),
    'data.csv: Expected UTF-8 text but received byte 0xfc at offset 6',
  ],
};

for (const [title, [text, message]] of Object.entries(refused)) {
  test(`${title} is refused with its place`, async (t) => {
    await t.throwsAsync(read(text), { code: 'ERR_SEQGRAD_DATA', message });
  });
}

test('a column that is not there is named beside those that are', async (t) => {
  const table = await openTable(streamOf(',b\n1,2'));
  t.is(columnIndex(table, 'b', 'the text'), 1);
  t.throws(() => columnIndex(table, 'c', 'the text'), {
    message: 'data.csv: Expected a column "c" for the text but received the columns (unnamed), b',
  });
});
