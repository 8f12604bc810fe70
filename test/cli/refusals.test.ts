import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { probeWasm } from '../../src/backends/wasm-builds.js';
import { textOf } from '../train/text.js';
import { run, temporaryFolder } from './run.js';

const relaxed = (await probeWasm({ shared: false })).find(({ isa }) => isa === 'wasm-relaxed');
const folder = mkdtempSync(join(tmpdir(), 'seqgrad-cli-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const good = file('good.txt', textOf(4000));
const small = [
  '--hidden',
  '8',
  '--batch',
  '4',
  '--window',
  '8',
  '--steps',
  '2',
  '--sample',
  '0',
  '--backend',
  'reference',
];
const train = (...more: string[]): string[] => [
  'train',
  'lm',
  '--text',
  good,
  '--out',
  join(folder, 'model'),
  ...small,
  ...more,
];

interface Refusal {
  readonly title: string;
  readonly args: readonly string[];
  readonly message: RegExp;
  readonly environment?: Readonly<Record<string, string>>;
}

const refusals: readonly Refusal[] = [
  {
    title: 'an empty text',
    args: train('--text', file('empty.txt', ''))
      .filter((arg) => arg !== good)
      .toSpliced(2, 1),
    message: /empty\.txt: Expected text but the file is empty/,
  },
  {
    title: 'a text shorter than a window',
    args: ['train', 'lm', '--text', file('short.txt', 'only this')],
    message: /at least 2049 characters \(batch 32 · window 64 \+ 1\).*lower.*1 of the 9 characters/,
  },
  {
    title: 'a binary file',
    args: ['train', 'lm', '--text', file('binary', new Uint8Array([65, 0, 200, 66]))],
    message: /binary: Expected text.*offset 1/,
  },
  {
    title: 'a text that is not UTF-8',
    args: ['train', 'lm', '--text', file('latin1.txt', new Uint8Array([65, 252, 66]))],
    message: /latin1\.txt: Expected/,
  },
  {
    title: 'a missing file',
    args: ['train', 'lm', '--text', join(folder, 'none.txt')],
    message: /none\.txt: Expected text but there is no such file/,
  },
  {
    title: 'a folder below a file',
    args: train('--out', join(good, 'model')),
    message: /Expected to write .*good\.txt\/model but part of the path is a file/,
  },
  {
    title: 'a file where the folder should be',
    args: train('--out', good),
    message: /Expected to write .*good\.txt but a file is in the way/,
  },
  { title: 'a NaN for a learning rate', args: train('--lr', 'NaN'), message: /--lr.*NaN/ },
  { title: 'an infinite learning rate', args: train('--lr', 'Infinity'), message: /Infinity/ },
  { title: 'a learning rate of 0', args: train('--lr', '0'), message: /--lr.*above 0.*0/ },
  { title: 'hidden size 0', args: train('--hidden', '0'), message: /--hidden.*whole number from 1.*0/ },
  {
    title: 'a hidden size of one and a half',
    args: train('--hidden', '1.5'),
    message: /--hidden.*whole number from 1.*1\.5/,
  },
  {
    title: 'a huge model',
    args: train('--hidden', '200000'),
    message: /1280\d{9} bytes.*limit here is 4294967296 bytes/,
  },
  { title: 'a billion layers', args: train('--layers', '1000000000'), message: /layers/ },
  { title: 'a misspelt option', args: train('--hiden', '8'), message: /--hiden.*\n?.*--hidden/ },
  { title: 'a misspelt command', args: ['trian', 'lm'], message: /trian.*\n?.*train/ },
  { title: 'another task', args: ['train', 'ml', '--text', good], message: /ml.*\n?.*lm/ },
  { title: 'no text', args: ['train', 'lm'], message: /--text/ },
  {
    title: 'an unknown backend',
    args: train('--backend', 'gpu'),
    message: /`backend`.*auto, native, wasm, reference.*"gpu"/,
  },
  {
    title: 'an unknown backend in the environment',
    args: train().slice(0, -2),
    environment: { SEQGRAD_BACKEND: 'gpu' },
    message: /"gpu"/,
  },
  {
    title: 'an ISA of another backend',
    args: train('--backend', 'wasm', '--isa', 'avx2'),
    message: /`isa` of wasm.*avx2/,
  },
  { title: 'more threads than there can be', args: train('--threads', '257'), message: /`threads`.*1 to 256.*257/ },
  {
    title: 'shares that leave nothing to train on',
    args: train('--validation', '0.6', '--test', '0.5'),
    message: /validation \+ test/,
  },
  {
    title: 'another kind of model',
    args: train('--model', 'hidden-markov'),
    message: /--model.*hidden-markov.*rnn, lstm, gru, transformer/,
  },
  {
    title: 'a model that is not there (generate)',
    args: ['generate', '--model', join(folder, 'none')],
    message: /none\/config\.json.*no such file/,
  },
  {
    title: 'a model that is not there (evaluate)',
    args: ['evaluate', '--model', join(folder, 'none'), '--text', good],
    message: /none\/config\.json.*no such file/,
  },
  {
    title: 'a negative temperature',
    args: ['generate', '--model', folder, '--temperature', '-1'],
    message: /--temperature.*-1/,
  },
];

for (const { title, args, message, environment } of refusals) {
  test(`${title} is refused in words, without a stack, with exit code 1`, async (t) => {
    const { code, stdout, stderr } = await run(args, environment);
    t.is(code, 1);
    t.regex(stderr, message);
    t.notRegex(stdout + stderr, /^\s+at |unexpected error/m);
    t.true(stderr.trimEnd().split('\n').length <= 3, stderr);
    t.notRegex(stdout, /"step"/, 'before the first step');
  });
}

if (relaxed?.cause === undefined) {
  test.skip('a backend that cannot load lists every attempt (skipped: every WASM build loads here)', () => {});
} else {
  test('a backend that cannot load lists every attempt', async (t) => {
    const { code, stderr } = await run(train('--backend', 'auto', '--isa', 'wasm-relaxed'));
    t.is(code, 1);
    t.regex(stderr, /Expected a backend to load but\n {2}wasm: .*wasm-relaxed: .*relaxed SIMD/);
    t.notRegex(stderr, /^\s+at /m);
  });
}

test('a folder with the config.json of another program is not overwritten', async (t) => {
  const path = await temporaryFolder(t);
  await writeFile(join(path, 'config.json'), '{"name":"mine"}');
  const { code, stderr } = await run(train('--out', path));
  t.is(code, 1);
  t.regex(stderr, /config\.json.*another program/);
  t.deepEqual(await readdir(path), ['config.json']);
});

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux(
  `a folder that cannot be made is refused at once${process.platform === 'linux' ? '' : ' (skipped: needs /proc)'}`,
  async (t) => {
    const { code, stderr } = await run(train('--out', '/proc/seqgrad/model'));
    t.is(code, 1);
    t.regex(stderr, /Expected to write \/proc\/seqgrad\/model but/);
  },
);

test('a truncated model is refused by name', async (t) => {
  const path = await temporaryFolder(t);
  t.is((await run(train('--out', path))).code, 0);
  for (const [content, message] of [
    ['', /model\.safetensors.*0 bytes/],
    [Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127, 123), /model\.safetensors.*header/],
    [
      Buffer.concat([Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0), Buffer.from('{}')]),
      /model\.safetensors.*embedding\.weight/,
    ],
  ] as const) {
    await writeFile(join(path, 'model.safetensors'), content);
    const { code, stdout, stderr } = await run(['generate', '--model', path, '--backend', 'reference']);
    t.is(code, 1);
    t.is(stdout, '');
    t.regex(stderr, message);
    t.is(stderr.trimEnd().split('\n').length, 1);
  }
});

test('what a prompt holds that the model does not know is said before anything is printed', async (t) => {
  const path = await temporaryFolder(t);
  await mkdir(join(path, 'deep'));
  await run(train('--out', join(path, 'deep', 'er')));
  const { code, stdout, stderr } = await run([
    'generate',
    '--model',
    join(path, 'deep', 'er'),
    '--prompt',
    'ä',
    '--backend',
    'reference',
  ]);
  t.deepEqual([code, stdout], [1, '']);
  t.regex(stderr, /"ä" \(U\+00E4\) at position 0/);
});
