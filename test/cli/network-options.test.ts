/** Options of `train lm` and `train classify` that describe the network or limit gradients: each reaches what is trained. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readTensors } from '../models/bert-folder.js';
import { texts } from '../models/examples.js';
import { textOf } from '../train/text.js';
import { linesOf, run, temporaryFolder } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'seqgrad-cli-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const rows = texts(60).map(({ text, label }) => `"${text}",${label}\n`);
const tasks = {
  lm: ['--text', file('text.txt', textOf(600)), '--window', '8', '--sample', '0'],
  classify: ['--data', file('texts.csv', `text,label\n${rows.join('')}`), '--embedding', '4'],
};
type TaskName = keyof typeof tasks;
const small = ['--hidden', '6', '--batch', '4', '--steps', '3', '--backend', 'reference'];
const train = (task: TaskName, out: string, options: readonly string[]): string[] => [
  ...['train', task, ...tasks[task], ...small, '--out', out],
  ...options,
];

interface Trained {
  /** Of the last step. */
  readonly loss: unknown;
  readonly parameterCount: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly parameters: readonly (readonly [name: string, values: ArrayLike<number>])[];
}

async function trained(t: ExecutionContext, task: TaskName, options: readonly string[]): Promise<Trained> {
  const out = join(await temporaryFolder(t), 'model');
  const { code, stdout, stderr } = await run(train(task, out, options));
  t.is(code, 0, stderr);
  const lines = linesOf(stdout);
  const noted = lines.find((line) => 'memory' in line)?.memory as { parameter_count: number };
  const tensors = await readTensors(join(out, 'model.safetensors'));
  return {
    loss: lines.findLast((line) => 'loss' in line)?.loss,
    parameterCount: noted.parameter_count,
    config: JSON.parse(await readFile(join(out, 'config.json'), 'utf8')),
    parameters: [...tensors].map(([name, { values }]) => [name, values as Float32Array]),
  };
}

interface Change {
  readonly option: string;
  readonly value?: string;
  /** The kind of network, given with and without the option. */
  readonly model: string;
  /** What config.json says then. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Parameters more than without the option. */
  readonly more?: Readonly<Record<TaskName, number>>;
}

const changes: readonly Change[] = [
  { option: '--zoneout', value: '0.5', model: 'lstm', config: { zoneout: 0.5 } },
  {
    option: '--learned-state',
    model: 'lstm',
    config: { learned_initial_state: true },
    more: { lm: 2 * 6, classify: 2 * 2 * 6 }, // h and c; of both directions
  },
  { option: '--nonlinearity', value: 'relu', model: 'rnn', config: { nonlinearity: 'relu' } },
  { option: '--reset-before', model: 'gru', config: { reset_before: true } },
];

for (const task of ['lm', 'classify'] as const) {
  for (const { option, value, model, config, more } of changes) {
    test(`${task}: ${option} reaches the network and is saved`, async (t) => {
      const kind = ['--model', model];
      const without = await trained(t, task, kind);
      const given = await trained(t, task, [...kind, option, ...(value === undefined ? [] : [value])]);
      t.like(given.config, config);
      for (const name of Object.keys(config)) t.false(name in without.config, name);
      t.is(typeof given.loss, 'number');
      t.not(given.loss, without.loss);
      t.is(given.parameterCount - without.parameterCount, more?.[task] ?? 0);
    });
  }

  test(`${task}: the same options give the same loss`, async (t) => {
    const kind = ['--model', 'gru'];
    t.is((await trained(t, task, kind)).loss, (await trained(t, task, kind)).loss);
  });

  test(`${task}: --clip-value lets no element of a gradient beyond it`, async (t) => {
    // AdamW's first step is rate · g / (|g| + 1e-8): 1 % of the rate where |g| is 1e-10, all of it where |g| is large.
    const rate = 0.01;
    const least = ['--schedule', 'constant', '--warmup', '0', '--weight-decay', '0', '--steps', '1'];
    const start = await trained(t, task, [...least, '--lr', '1e-30']);
    const furthest = async (...options: string[]): Promise<number> => {
      const { parameters } = await trained(t, task, [...least, '--lr', `${rate}`, ...options]);
      const moved = parameters.flatMap(([, values], index) => {
        const before = start.parameters[index]?.[1] as ArrayLike<number>;
        return Array.from(values, (value, element) => Math.abs(value - (before[element] as number)));
      });
      return Math.max(...moved);
    };
    const limited = await furthest('--clip-value', '1e-10');
    // A parameter of magnitude below 2 is rounded to a multiple of 2^-23.
    t.true(limited > 0 && limited <= (rate * 1e-10) / (1e-10 + 1e-8) + 2 ** -23, `${limited}`);
    t.true((await furthest()) > 0.99 * rate);
  });
}

const refusals: readonly (readonly [options: readonly string[], message: RegExp])[] = [
  [['--clip-value', '0'], /--clip-value.*Expected a finite number above 0 but received 0\./],
  [['--clip-value', 'Infinity'], /--clip-value.*Expected a finite number above 0 but received Infinity\./],
  [['--clip-value', 'much'], /--clip-value.*Expected a number but received "much"\./],
  [['--zoneout', '1'], /--zoneout.*Expected a number from 0 to below 1 but received 1\./],
  [['--zoneout', '-0.1'], /--zoneout.*Expected a number from 0 to below 1 but received -0\.1\./],
  [['--model', 'rnn', '--nonlinearity', 'sigmoid'], /--nonlinearity.*'sigmoid' is invalid.*tanh, relu/],
  [['--nonlinearity', 'relu'], /Expected `nonlinearity` only with kind rnn but received kind lstm/],
  [['--reset-before'], /Expected `resetBefore` only with kind gru but received kind lstm/],
  [['--model', 'rnn', '--reset-before'], /Expected `resetBefore` only with kind gru but received kind rnn/],
  [['--learned-state=yes'], /--learned-state/],
];

for (const [options, message] of refusals) {
  test(`${options.join(' ')} is refused in words`, async (t) => {
    for (const task of ['lm', 'classify'] as const) {
      const { code, stdout, stderr } = await run(train(task, join(folder, 'refused'), options));
      t.is(code, 1);
      t.regex(stderr, message);
      t.notRegex(stdout + stderr, /^\s+at |unexpected error|"step"/m);
    }
  });
}
