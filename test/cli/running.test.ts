import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { tried } from '../train/backends.js';
import { textOf } from '../train/text.js';
import { type Ended, linesOf, run, start, temporaryFolder } from './run.js';

async function prepare(t: ExecutionContext): Promise<{ folder: string; text: string; model: string }> {
  const folder = await temporaryFolder(t);
  const text = join(folder, 'text.txt');
  await writeFile(text, textOf(6000));
  return { folder, text, model: join(folder, 'model') };
}

const small = ['--hidden', '16', '--batch', '4', '--window', '16', '--lr', '0.02'];
const succeeded = (t: ExecutionContext, { code, stdout, stderr }: Ended): string => {
  t.is(code, 0, stderr);
  return stdout;
};

for (const { name, backend, cause } of tried) {
  if (backend === undefined) {
    test.skip(`train, evaluate and generate on ${name} (skipped: ${cause})`, () => {});
    continue;
  }
  test(`train, evaluate and generate on ${name}`, async (t) => {
    const { text, model } = await prepare(t);
    const on = { SEQGRAD_BACKEND: name };
    const args = [
      'train',
      'lm',
      '--text',
      text,
      '--out',
      model,
      ...small,
      '--steps',
      '40',
      '--evaluate-every',
      '20',
      '--test',
      '0.1',
      '--sample',
      '30',
    ];
    const lines = linesOf(succeeded(t, await run(args, on)));
    const last = lines.at(-1) as Record<string, { loss: number; perplexity: number }> & {
      step: number;
      saved: string;
      sample: string;
    };
    t.like(lines[0], { backend: { name } });
    t.deepEqual(
      lines
        .filter((line) => 'loss' in line)
        .map(({ step }) => step)
        .filter((step) => step === 1 || step === 40),
      [1, 40],
    );
    t.is(lines.filter((line) => 'validation' in line && !('test' in line)).length, 1, 'in the middle');
    t.is(last.step, 40);
    t.is(last.saved, model);
    t.is(last.sample.length, 30);
    t.true(last.validation!.loss < (lines.find((line) => line.step === 1)?.loss as number) - 0.3);
    t.is(last.test!.perplexity, Math.exp(last.test!.loss));

    const [evaluation] = linesOf(succeeded(t, await run(['evaluate', '--model', model, '--text', text], on)));
    t.true(Math.abs((evaluation as { test: { loss: number } }).test.loss - last.validation!.loss) < 0.5);
    const generate = ['generate', '--model', model, '--prompt', 'the ', '--length', '20', '--seed', '3'];
    const first = succeeded(t, await run(generate, on));
    t.is(first.length, 4 + 20 + 1);
    t.true(first.startsWith('the '));
    t.is(succeeded(t, await run(generate, on)), first);
  });
}

test('without a test split `test` is null, and the last line is one object', async (t) => {
  const { text, model } = await prepare(t);
  const stdout = succeeded(
    t,
    await run(['train', 'lm', '--text', text, '--out', model, ...small, '--steps', '2', '--json', '--sample', '0']),
  );
  t.like(linesOf(stdout).at(-1), { step: 2, test: null });
});

test('the same command twice gives the same files, byte for byte', async (t) => {
  const { text, folder } = await prepare(t);
  const [first, second] = await Promise.all(
    ['a', 'b'].map(async (name) => {
      const args = [
        'train',
        'lm',
        '--text',
        text,
        '--out',
        join(folder, name),
        ...small,
        '--dropout',
        '0.2',
        '--steps',
        '10',
        '--sample',
        '0',
      ];
      succeeded(t, await run(args));
      return readFile(join(folder, name, 'model.safetensors'), 'base64');
    }),
  );
  t.is(second, first);
});

/** A test of signals, which Windows does not have. */
function withSignals(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (process.platform === 'win32') test.skip(`${title} (skipped: Windows has no signals)`, () => {});
  else test(title, body);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  withSignals(`${signal} in training saves, says where, ends with 130, and the model loads`, async (t) => {
    const { text, model } = await prepare(t);
    const running = start(['train', 'lm', '--text', text, '--out', model, ...small, '--steps', '10000000']);
    await running.seen(/"step":1,/);
    running.child.kill(signal);
    const { code, stdout, stderr } = await running.ended;
    t.is(code, 130);
    t.regex(stderr, /stopping after this step/);
    t.like(linesOf(stdout).at(-1), { saved: model, interrupted: true, validation: null, test: null });
    succeeded(t, await run(['generate', '--model', model, '--length', '5']));
  });
}

withSignals('an interrupted training does not replace a finished model, with a slash behind --out too', async (t) => {
  const { text, model } = await prepare(t);
  succeeded(t, await run(['train', 'lm', '--text', text, '--out', model, ...small, '--steps', '1', '--sample', '0']));
  const finished = await readFile(join(model, 'model.safetensors'));
  const running = start(['train', 'lm', '--text', text, '--out', `${model}/`, ...small, '--steps', '10000000']);
  await running.seen(/"step":1,/);
  running.child.kill('SIGINT');
  const { code, stdout } = await running.ended;
  t.is(code, 130);
  t.like(linesOf(stdout).at(-1), { saved: `${model}-unfinished`, interrupted: true });
  t.deepEqual(await readFile(join(model, 'model.safetensors')), finished);
  succeeded(t, await run(['generate', '--model', `${model}-unfinished`, '--length', '1']));
});

for (const { name, backend, cause } of tried) {
  const title = `a training that meets numbers that are not finite saves its last good step and says where they began, on ${name}`;
  if (backend === undefined) {
    test.skip(`${title} (skipped: ${cause})`, () => {});
    continue;
  }
  test(title, async (t) => {
    const { text, model } = await prepare(t);
    // The first step makes parameters of 3e37, which are finite; 64 hidden units times such weights are scores that are not.
    const explode = ['--lr', '3e37', '--hidden', '64', '--weight-decay', '0', '--clip', 'Infinity', '--steps', '50'];
    const on = { SEQGRAD_BACKEND: name };
    const { code, stdout, stderr } = await run(
      ['train', 'lm', '--text', text, '--out', model, ...small, ...explode],
      on,
    );
    t.is(code, 1);
    t.regex(stderr, /^seqgrad: step \d+: Expected finite numbers but \S+ \S+ gave/);
    t.true(stdout.includes(JSON.stringify(model)));
    succeeded(t, await run(['generate', '--model', model, '--length', '1'], on));
  });
}

withSignals('Ctrl-C again while the model is saved leaves the old model or the new one, whole', async (t) => {
  const { text, model } = await prepare(t);
  const large = [
    'train',
    'lm',
    '--text',
    text,
    '--out',
    model,
    '--hidden',
    '900',
    '--batch',
    '1',
    '--window',
    '1',
    '--sample',
    '0',
    '--validation',
    '0',
  ];
  succeeded(t, await run([...large, '--steps', '1']));
  const old = await readFile(join(model, 'model.safetensors'));
  const running = start([...large, '--seed', '2', '--steps', '1']);
  await running.seen(/"step":1,/);
  while (!(await readdir(model)).some((name) => name.endsWith('.tmp')) && running.child.exitCode === null)
    await sleep(1);
  running.child.kill('SIGINT');
  await running.seen(/Ctrl-C again/);
  running.child.kill('SIGINT');
  t.is((await running.ended).code, 130);
  t.deepEqual(
    (await readdir(model)).sort(),
    ['config.json', 'model.safetensors', 'vocab.json'],
    'no temporary file is left',
  );
  const now = await readFile(join(model, 'model.safetensors'));
  t.log(now.equals(old) ? 'the old model was there' : 'the new model was there');
  t.is(now.length, old.length);
  succeeded(t, await run(['generate', '--model', model, '--length', '1']));
});

withSignals('a reader that goes away ends generating without a stack', async (t) => {
  const { text, model } = await prepare(t);
  succeeded(t, await run(['train', 'lm', '--text', text, '--out', model, ...small, '--steps', '1', '--sample', '0']));
  const running = start(['generate', '--model', model, '--length', '10000000']);
  await running.seen(/./);
  running.child.stdout?.destroy();
  const { code, stderr } = await running.ended;
  t.is(code, 141);
  t.is(stderr, '');
});

interface Candidate {
  readonly backend: string;
  readonly usable: boolean;
  readonly cause: string;
  readonly threads?: number;
  readonly place?: string;
}

test('doctor tries every backend, and says what was chosen and why', async (t) => {
  const { code, stdout } = await run(['doctor', '--json']);
  const [report] = linesOf(stdout);
  const candidates = report?.candidates as Candidate[];
  t.deepEqual([...new Set(candidates.map(({ backend }) => backend))], ['native', 'wasm', 'reference']);
  t.is(candidates.filter(({ backend }) => backend === 'wasm').length, 4);
  for (const { usable, cause, threads, place } of candidates) {
    t.true(cause.length > 0);
    t.is(usable, cause.startsWith('computes what it should'));
    if (usable) t.true((threads ?? 0) >= 1 && (place ?? '') !== '');
  }
  const best = candidates.find(({ usable }) => usable) as Candidate;
  t.is(code, best.backend === 'native' ? 0 : 1, 'whether the best runs');
  t.like(report, { backend: { name: best.backend, place: best.place }, versions: { node: process.version } });
  const machine = report?.machine as Record<string, unknown>;
  for (const fact of ['cores', 'threads', 'memory_bytes', 'heap_limit_bytes']) t.true(Number(machine[fact]) >= 1, fact);
});

test('doctor and the first line of a training say how bfloat16 products are computed', async (t) => {
  const { text, model } = await prepare(t);
  const flags = ['--backend', 'reference'];
  const [report] = linesOf(succeeded(t, await run(['doctor', ...flags])));
  t.like(report, { backend: { bfloat16: 'emulated' } });
  const args = ['train', 'lm', '--text', text, '--out', model, ...small, '--steps', '1', ...flags];
  const [first] = linesOf(succeeded(t, await run([...args, '--dtype', 'bfloat16'])));
  t.like(first, { backend: { dtype: 'bfloat16', bfloat16: 'emulated' } });
  const [usual] = linesOf(succeeded(t, await run(args)));
  t.like(usual, { backend: { dtype: 'float32', bfloat16: undefined } });
  const { code, stderr } = await run([...args, '--dtype', 'float16']);
  t.is(code, 1);
  t.regex(stderr, /--dtype.*float16.*float32, bfloat16/);
});

test('doctor takes the same options as training', async (t) => {
  const flags = ['--backend', 'reference', '--numerics', 'strict', '--threads', '3'];
  const [report] = linesOf(succeeded(t, await run(['doctor', ...flags])));
  const reason = 'asked for by name; threads: not 3: the reference has one';
  t.like(report, { backend: { name: 'reference', isa: 'float32', numerics: 'strict', threads: 1, reason } });
});

test('doctor fails where what was asked for does not run, and says so in its report', async (t) => {
  const { code, stdout } = await run(['doctor', '--json', '--isa', 'wasm-relaxed', '--numerics', 'strict']);
  t.is(code, 1);
  t.like(linesOf(stdout)[0], { backend: null });
  t.regex(String(linesOf(stdout)[0]?.error), /wasm-simd for strict numerics/);
});

test('doctor goes by the environment as training does', async (t) => {
  const environment = { SEQGRAD_BACKEND: 'reference', SEQGRAD_ISA: 'float64', SEQGRAD_THREADS: '1' };
  const { code, stdout } = await run(['doctor'], environment);
  t.is(code, 0);
  t.like(linesOf(stdout)[0], {
    backend: { name: 'reference', isa: 'float64', threads: 1, reason: 'asked for by name' },
  });
  t.is((await run(['doctor'], { SEQGRAD_BACKEND: 'gpu' })).code, 1);
});

test('doctor refuses wrong options in words', async (t) => {
  const bad = await run(['doctor', '--json', '--backend', 'gpu']);
  t.is(bad.code, 1);
  t.regex(bad.stderr, /^seqgrad: .*`backend`.*gpu/);
  t.is(bad.stdout, '');
  t.regex((await run(['doctor', '--threads', '0'])).stderr, /Expected a whole number from 1 but received 0/);
});

test('help and version', async (t) => {
  t.regex(succeeded(t, await run(['--version'])), /^\d+\.\d+\.\d+\n$/);
  const help = succeeded(t, await run(['train', 'lm', '--help']));
  for (const option of ['--text', '--hidden', '--lr', '--seed', '--backend', '--out']) t.true(help.includes(option));
  t.true(
    help.split('\n').every((line) => line.length <= 80),
    'fits a terminal',
  );
});
