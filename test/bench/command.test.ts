/** `seqgrad bench` as users run it, on shapes so small that no number means anything. One measurement at a time: each has processes of its own. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { linesOf, run, temporaryFolder } from '../cli/run.js';

const tiny = ['--hidden', '5', '--vocab', '7', '--batch', '2', '--time', '3'];
const brief = ['--rounds', '1', '--seconds', '0.02'];
const reference = ['--backend', 'reference', '--isa', 'float32'];
const keys = [
  ...['ms_median', 'ms_min', 'runs', 'tokens_per_s', 'gflop', 'gflops', 'peak_gflops', 'share_of_peak'],
  ...['backend', 'isa', 'threads', 'numerics', 'versions'],
];

test.serial('step: one JSON line with the keys that are promised', async (t) => {
  const { code, stdout, stderr } = await run([
    'bench',
    'step',
    ...tiny,
    ...brief,
    '--backend',
    'wasm',
    '--isa',
    'wasm-simd',
    '--json',
  ]);
  t.is(code, 0, stderr);
  const [row, ...more] = linesOf(stdout);
  t.is(more.length, 0);
  for (const key of [...keys, 'barrier_ns', 'gflop_executed']) t.true(key in row!, key);
  t.like(row, {
    bench: 'step',
    model: 'lstm',
    hidden: 5,
    backend: 'wasm',
    isa: 'wasm-simd',
    numerics: 'fast',
    dtype: 'float32',
  });
  t.is(row!.gflop, (3 * 2 * 6 * (4 * 5 * 10 + 5 * 7)) / 1e9);
  t.is(row!.gflop_executed, row!.gflop);
  const number = (key: string): number => row![key] as number;
  t.true(number('ms_min') > 0 && number('ms_min') <= number('ms_median'));
  t.true(number('peak_gflops') > 0);
  t.true(Math.abs(number('share_of_peak') - number('gflops') / number('peak_gflops')) < 1e-9);
  t.true(Math.abs(number('tokens_per_s') - 6000 / number('ms_median')) < 1e-6);
});

test.serial('step, profile and gemm in bfloat16: verified, and said in every row', async (t) => {
  const on = ['--dtype', 'bfloat16', '--backend', 'wasm', '--isa', 'wasm-simd', '--json'];
  for (const args of [
    ['step', ...tiny, ...brief],
    ['profile', ...tiny, '--seconds', '0.02'],
    ['gemm', '--sizes', '5x6x7:TN', ...brief],
  ]) {
    const { code, stdout, stderr } = await run(['bench', ...args, ...on]);
    t.is(code, 0, stderr);
    for (const { dtype } of linesOf(stdout)) t.is(dtype, 'bfloat16');
  }
});

test.serial('step and profile of a BERT: heads and feed-forward units are among its keys', async (t) => {
  const sizes = ['--model', 'bert', '--hidden', '6', '--layers', '1', '--heads', '2', '--ff', '7', ...tiny.slice(2)];
  const step = await run(['bench', 'step', ...sizes, ...brief, ...reference, '--json']);
  t.is(step.code, 0, step.stderr);
  const [row] = linesOf(step.stdout);
  t.like(row, { model: 'bert', hidden: 6, layers: 1, heads: 2, ff: 7, vocab: 7, batch: 2, time: 3 });
  const forward = 2 * (4 * 6 * 6 + 2 * 6 * 7 + 2 * 3 * 6 + 6 * 6 + 6 * 7);
  t.is(row!.gflop, (3 * 6 * forward) / 1e9);
  t.is(row!.gflop_executed, (3 * 6 * forward + 2 * 6 * 3 * 6) / 1e9);
  const profile = await run(['bench', 'profile', ...sizes, '--seconds', '0.02', ...reference, '--json']);
  t.is(profile.code, 0, profile.stderr);
  const kinds = linesOf(profile.stdout).map(({ instruction }) => instruction);
  for (const kind of ['attention', 'attentionBackward', 'layerNormBackward']) t.true(kinds.includes(kind), kind);
});

test.serial('step: a table for people', async (t) => {
  const { code, stdout } = await run(['bench', 'step', ...tiny, ...brief, ...reference, '--no-json']);
  t.is(code, 0);
  t.regex(stdout, /^Embedding\(7, 5\) → LSTM 5 → Linear\(5, 7\), B 2, T 3: .* GFLOP a step\n/);
  t.regex(stdout, /subject +ms +min .* of peak\n─+/);
  t.regex(stdout, /reference float32, 1 thread(?: \*)? +[\d.]+/);
});

test.serial('gemm: a line for each of the sizes', async (t) => {
  const { code, stdout, stderr } = await run([
    'bench',
    'gemm',
    '--sizes',
    '5',
    '2x3x4:NT',
    ...brief,
    ...reference,
    '--json',
  ]);
  t.is(code, 0, stderr);
  const rows = linesOf(stdout);
  t.deepEqual(
    rows.map(({ M, N, K, transposed }) => [M, N, K, transposed]),
    [
      [5, 5, 5, 'NN'],
      [2, 3, 4, 'NT'],
    ],
  );
  for (const row of rows) for (const key of keys) t.true(key in row, key);
  t.is(rows[0]!.gflop, 250e-9);
});

test.serial(
  'profile: a line for each kind of instruction, shares of the step and of the nearer roof, then the whole step',
  async (t) => {
    const args = [
      'bench',
      'profile',
      ...tiny,
      '--seconds',
      '0.02',
      '--backend',
      'wasm',
      '--isa',
      'wasm-simd',
      '--json',
    ];
    const { code, stdout, stderr } = await run(args);
    t.is(code, 0, stderr);
    const rows = linesOf(stdout);
    const kinds = rows.map(({ instruction }) => instruction);
    for (const kind of ['matmul', 'lstmForward', 'lstmBackward', 'softmaxCrossEntropy', 'adamw'])
      t.true(kinds.includes(kind), kind);
    t.is(kinds.at(-1), null);
    t.is(new Set(kinds).size, kinds.length);
    for (const row of rows) for (const key of keys) t.true(key in row, key);
    for (const row of rows.slice(0, -1)) {
      t.true((row.share_of_roof as number) > 0);
      t.regex(`${row.nearer_roof}`, /^(arithmetic|memory)$/);
      t.true((row.gb_per_s as number) > 0);
    }
  },
);

test.serial('compare: everybody in turns, ratios to the first, and a page that loads nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const html = join(folder, 'page.html');
  const args = ['bench', 'compare', ...tiny, ...brief, '--isa', 'wasm-simd', 'float32', '--html', html, '--json'];
  const { code, stdout, stderr } = await run(args);
  t.is(code, 0, stderr);
  const rows = linesOf(stdout).filter((row) => 'ms_median' in row);
  t.deepEqual(
    rows.map(({ isa }) => isa),
    ['wasm-simd', 'float32'],
  );
  t.is(rows[0]!.times_as_long, 1);
  t.is(rows[1]!.times_as_long, (rows[1]!.ms_median as number) / (rows[0]!.ms_median as number));
  t.is(rows[1]!.peak_gflops, null); // the reference has none
  t.deepEqual(await readdir(folder), ['page.html']);
  const page = await readFile(html, 'utf8');
  t.regex(page, /Content-Security-Policy" content="default-src &#39;none&#39;; style-src &#39;sha256-/);
  t.notRegex(page, /<script|<link|<img|<iframe|url\(|@import|src=|href=|\bstyle=|\son\w+=/);
  t.notRegex(page, /NaN|undefined|Infinity/);
  t.regex(page, /lstmForward/);
});

test.serial('peak: arithmetic and memory', async (t) => {
  const args = ['bench', 'peak', '--isa', 'wasm-simd', '--threads', '2', ...brief, '--json'];
  const { code, stdout, stderr } = await run(args);
  t.is(code, 0, stderr);
  const rows = linesOf(stdout);
  const arithmetic = rows.filter(({ measured }) => measured === 'arithmetic');
  t.deepEqual(
    arithmetic.map(({ isa, threads }) => [isa, threads]),
    [
      ['wasm-simd', 1],
      ['wasm-simd', 2],
    ],
  );
  for (const row of arithmetic) {
    for (const key of keys) t.true(key in row, key);
    t.true((row.peak_gflops as number) > 0);
  }
  const memory = rows.filter(({ measured }) => measured === 'memory');
  t.deepEqual([...new Set(memory.map(({ operation }) => operation))], ['read', 'copy', 'triad']);
  for (const { gb_per_s } of memory) t.true((gb_per_s as number) > 0);
});

const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a model that is not there', ['step', '--model', 'transformer'], /--model.*transformer.*lstm/],
  ['a type that is not there', ['step', '--dtype', 'float16'], /--dtype.*float16.*float32, bfloat16/],
  ['heads without attention', ['step', '--heads', '4'], /no `heads` beside the model lstm, only bert/],
  ['heads that do not divide the width', ['step', '--model', 'bert', '--heads', '3'], /multiple of `heads`, 3, .*128/],
  ['no hidden units', ['profile', '--hidden', '0'], /--hidden.*whole number from 1.*0/],
  ['half a layer', ['step', '--layers', '0.5'], /--layers.*whole number from 1.*0\.5/],
  ['no rounds', ['compare', '--rounds', '0'], /--rounds.*whole number from 1/],
  ['no time', ['step', '--seconds', '0'], /--seconds.*above 0/],
  ['an unknown backend', ['step', '--backend', 'gpu'], /`backend`.*"gpu"/],
  ['an unknown ISA', ['compare', '--isa', 'mmx'], /--isa.*mmx.*avx512/],
  ['sizes that are none', ['gemm', '--sizes', '2x3'], /sizes.*512x3072x768:NT.*"2x3"/],
  ['a misspelt option', ['step', '--hiden', '3'], /--hiden.*\n?.*--hidden/],
  ['a misspelt command', ['setp'], /setp.*\n?.*step/],
];

for (const [title, args, message] of refusals) {
  test(`${title} is refused in words, with exit code 1`, async (t) => {
    const { code, stdout, stderr } = await run(['bench', ...args]);
    t.is(code, 1);
    t.regex(stderr, message);
    t.notRegex(stdout + stderr, /^\s+at |unexpected error/m);
  });
}

test('a page that cannot be written is an error in words', async (t) => {
  const folder = await temporaryFolder(t);
  const html = join(folder, 'none', 'page.html');
  const { code, stderr } = await run(['bench', 'compare', ...tiny, ...brief, '--isa', 'wasm-simd', '--html', html]);
  t.is(code, 1);
  t.regex(stderr, /Expected to write .*page\.html but there is no such file or folder/);
});
