import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { replaceFile, replaceFiles } from '../../src/formats/atomic.js';

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'seqgrad-'));
  await use(folder).finally(() => rm(folder, { recursive: true }));
}

const text = (path: string) => readFile(path, 'utf8');

test('a file is made and replaced', (t) =>
  inFolder(async (folder) => {
    const path = join(folder, 'a');
    await replaceFile(path, 'one');
    await replaceFile(path, async (sink) => {
      await sink(Buffer.from('tw'));
      t.is(await text(path), 'one', 'the old file is there while the new one is written');
      await sink(Buffer.from('o'));
    });
    t.is(await text(path), 'two');
    t.deepEqual(await readdir(folder), ['a']);
  }));

test('an error while the content is made leaves the old file and nothing else', (t) =>
  inFolder(async (folder) => {
    const path = join(folder, 'a');
    await replaceFile(path, 'one');
    const failing = replaceFile(path, async (sink) => {
      await sink(Buffer.from('tw'));
      throw new Error('no more');
    });
    await t.throwsAsync(failing, { message: 'no more' });
    t.is(await text(path), 'one');
    t.deepEqual(await readdir(folder), ['a']);
  }));

test('a folder of files is made, and replaced all or none', (t) =>
  inFolder(async (parent) => {
    const folder = join(parent, 'deep', 'model');
    await replaceFiles(folder, { weights: 'w1', 'config.json': 'c1' });
    await writeFile(join(folder, 'notes'), 'mine');
    const failing = replaceFiles(folder, {
      weights: 'w2',
      'config.json': async () => {
        throw new Error('no more');
      },
    });
    await t.throwsAsync(failing, { message: 'no more' });
    t.is(await text(join(folder, 'weights')), 'w1');
    await replaceFiles(folder, { weights: 'w2', 'config.json': 'c2' });
    t.deepEqual((await readdir(folder)).sort(), ['config.json', 'notes', 'weights']);
    t.is((await text(join(folder, 'weights'))) + (await text(join(folder, 'config.json'))), 'w2c2');
    t.is(await text(join(folder, 'notes')), 'mine');
  }));

test('the files take their places in the order given', (t) =>
  inFolder(async (folder) => {
    await mkdir(join(folder, 'config.json')); // a folder in the way of the last rename
    await t.throwsAsync(replaceFiles(folder, { weights: 'w', 'config.json': 'c' }), {
      code: 'ERR_SEQGRAD_FILE',
      message: `Expected to write ${join(folder, 'config.json')} but it is a folder`,
    });
    t.deepEqual((await readdir(folder)).sort(), ['config.json', 'weights'], 'the temporary file is gone');
  }));

test('what cannot be written is named', (t) =>
  inFolder(async (folder) => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await t.throwsAsync(replaceFiles(join(file, 'model'), { a: '' }), {
      code: 'ERR_SEQGRAD_FILE',
      message: `Expected to write ${join(file, 'model')} but part of the path is a file, not a folder`,
    });
    await t.throwsAsync(replaceFiles(file, { a: '' }), {
      message: `Expected to write ${file} but a file is in the way`,
    });
    const missing = join(folder, 'none', 'a');
    await t.throwsAsync(replaceFile(missing, ''), {
      message: `Expected to write ${missing} but there is no such file or folder`,
    });
  }));

/** Starts a process that is in the middle of replacing a file, ends it that way, and returns what is then in the folder. */
async function interrupted(
  folder: string,
  end: (child: ReturnType<typeof spawn>) => void,
): Promise<Record<string, string>> {
  await replaceFiles(folder, { a: 'old a', b: 'old b' });
  const module = pathToFileURL(join(import.meta.dirname, '../../src/formats/atomic.js'));
  const script = `
    process.stdin.on('data', () => process.exit(3)).unref();
    import(${JSON.stringify(module)}).then(({ replaceFiles }) => replaceFiles(${JSON.stringify(folder)}, {
      a: 'new a',
      b: async (sink) => {
        await sink(Buffer.from('half of'));
        process.stdout.write('writing');
        await new Promise((resolve) => setTimeout(resolve, 60000));
      },
    }));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  end(child);
  await new Promise((resolve) => child.once('exit', resolve));
  const names = await readdir(folder);
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await text(join(folder, name))])));
}

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`${signal} in the middle leaves the old files`, (t) =>
    inFolder(async (folder) => {
      t.like(await interrupted(folder, (child) => child.kill(signal)), { a: 'old a', b: 'old b' });
    }));
}

test('an exit in the middle leaves the old files and nothing else', (t) =>
  inFolder(async (folder) => {
    t.deepEqual(await interrupted(folder, (child) => child.stdin?.write('exit')), { a: 'old a', b: 'old b' });
  }));
