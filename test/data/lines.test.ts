import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { readJsonLines } from '../../src/data/jsonl.js';
import { decoded, linesOf, readText } from '../../src/data/text.js';
import { all, streamOf } from './source.js';

test('text in pieces that cut characters anywhere is the same text', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 5 }), async (text, size) => {
      const clean = text.replaceAll('\0', '').replace(/^\ufeff/, '');
      t.is(await readText(streamOf(clean, { size })), clean);
    }),
    { numRuns: 50 },
  );
});

for (const [title, bytes, offset] of [
  ['a wrong byte', [0x61, 0xc3, 0xa4, 0x61, 0xff, 0x61], 4],
  ['a character cut short by the end', [0x61, 0x61, 0x61, 0x61, 0xf0, 0x9f, 0x98], 4],
  ['Latin-1 after text that is UTF-8', [0xc3, 0xa4, 0x20, 0xe4, 0x20, 0x20], 3],
] as const) {
  for (const size of [1, 2, 3, 100]) {
    test(`${title} is refused with its offset, in pieces of ${size} bytes`, async (t) => {
      await t.throwsAsync(readText(streamOf(Uint8Array.from(bytes), { name: 'f', size })), {
        code: 'ERR_SEQGRAD_DATA',
        message: new RegExp(`^f: Expected UTF-8 text but received byte 0x.. at offset ${offset}$`),
      });
    });
  }
}

test('UTF-16 is called by its name', async (t) => {
  const bytes = Uint8Array.of(0xff, 0xfe, 0x61, 0x00);
  await t.throwsAsync(readText(streamOf(bytes, { name: 'f', size: 9 })), {
    message: /offset \d: a UTF-16 file\? Save it as UTF-8$/,
  });
});

test('lines end with LF or CRLF, the last one may not end', async (t) => {
  const lines = await all(linesOf(decoded(streamOf('a\r\n\nbc\n\r\nd'))));
  t.deepEqual(lines, [
    { text: 'a', number: 1 },
    { text: '', number: 2 },
    { text: 'bc', number: 3 },
    { text: '', number: 4 },
    { text: 'd', number: 5 },
  ]);
});

test('a line of a million characters is a line', async (t) => {
  const [line] = await all(linesOf(decoded(streamOf('ä'.repeat(1_000_000), { size: 4096 }))));
  t.is(line?.text.length, 1_000_000);
});

test('JSON lines', async (t) => {
  t.deepEqual(await all(readJsonLines(streamOf('{"a":1}\n\n{"b":"ü"}'))), [
    { line: 1, value: { a: 1 } },
    { line: 3, value: { b: 'ü' } },
  ]);
  for (const [text, message] of [
    ['{"a":1}\n{"a"\n', 'x.jsonl:2: Expected a JSON object but received text that is not JSON'],
    ['[1]', 'x.jsonl:1: Expected a JSON object but received [1]'],
    ['null', 'x.jsonl:1: Expected a JSON object but received null'],
  ]) {
    await t.throwsAsync(all(readJsonLines(streamOf(text as string, { name: 'x.jsonl' }))), {
      code: 'ERR_SEQGRAD_DATA',
      message: message as string,
    });
  }
});

test('files are read as streams are, and what cannot be read is named', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'seqgrad-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'a.txt');
  await writeFile(file, 'ä'.repeat(300_000));
  t.is((await readText(file)).length, 300_000);
  await t.throwsAsync(readText(folder), {
    code: 'ERR_SEQGRAD_DATA',
    message: `${folder}: Expected text but it is a folder`,
  });
  await t.throwsAsync(readText(join(file, 'x')), { message: /part of the path is a file/ });
});
