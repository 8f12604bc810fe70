import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { decodeText, loadText } from '../../src/data/text.js';

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'seqgrad-'));
  await use(folder).finally(() => rm(folder, { recursive: true }));
}

test('files and folders are read in order, hidden files left out', (t) =>
  inFolder(async (folder) => {
    await mkdir(join(folder, 'b/c'), { recursive: true });
    await mkdir(join(folder, '.git'));
    await writeFile(join(folder, '.git/x'), Uint8Array.of(0));
    await writeFile(join(folder, 'b/z.txt'), 'z\n');
    await writeFile(join(folder, 'b/c/y.txt'), 'y');
    await writeFile(join(folder, 'a.txt'), 'ä😀\n');
    const { text, files } = await loadText([join(folder, 'b'), join(folder, 'a.txt'), folder]);
    t.is(text, 'y\nz\nä😀\nä😀\ny\nz\n');
    t.deepEqual(
      files,
      ['b/c/y.txt', 'b/z.txt', 'a.txt', 'a.txt', 'b/c/y.txt', 'b/z.txt'].map((file) => join(folder, file)),
    );
  }));

test('one file is read exactly, without a byte order mark', (t) =>
  inFolder(async (folder) => {
    const file = join(folder, 'a.txt');
    await writeFile(file, '\ufeffno line end\r\n\ufeff');
    t.is((await loadText([file])).text, 'no line end\r\n\ufeff');
  }));

test('a missing file, and text that is none at all, are named', (t) =>
  inFolder(async (folder) => {
    const missing = join(folder, 'none.txt');
    await t.throwsAsync(loadText([missing]), {
      code: 'ERR_SEQGRAD_DATA',
      message: `${missing}: Expected text but there is no such file or folder`,
    });
    await t.throwsAsync(loadText([folder]), { message: `${folder}: Expected text but there is no file` });
    await writeFile(join(folder, 'empty'), '');
    await t.throwsAsync(loadText([join(folder, 'empty')]), { message: /Expected text but the file is empty/ });
  }));

const broken: Record<string, [bytes: number[], message: string]> = {
  'a binary file': [[0x61, 0, 0x62], 'received a zero byte at offset 1: a binary file?'],
  'a byte that starts nothing': [[0x61, 0xc3, 0xa4, 0xff], 'received byte 0xff at offset 3'],
  'a lone continuation byte': [[0x61, 0x80, 0x61], 'received byte 0x80 at offset 1'],
  'a character cut short by the end': [[0x61, 0x61, 0xe2, 0x82], 'received byte 0xe2 at offset 2'],
  'a character cut short by another': [[0xe2, 0x82, 0x61, 0x61], 'received byte 0xe2 at offset 0'],
  'an overlong character': [[0x61, 0xc0, 0x80], 'received byte 0xc0 at offset 1'],
  'a surrogate': [[0xed, 0xa0, 0x80], 'received byte 0xed at offset 0'],
  'Latin-1': [[0x67, 0x72, 0xfc, 0x6e], 'received byte 0xfc at offset 2'],
};

for (const [title, [bytes, message]] of Object.entries(broken)) {
  test(`${title} is refused with its place`, (t) => {
    const error = t.throws(() => decodeText('f', Uint8Array.from(bytes)), { code: 'ERR_SEQGRAD_DATA' });
    t.true(error?.message.endsWith(message), error?.message);
  });
}
