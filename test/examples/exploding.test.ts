import test from 'ava';
import { RememberingNetwork, sequences } from '../../examples/task.js';
import type { Backend } from '../../src/backends/executor.js';
import { inspect } from '../../src/inspect/inspect.js';
import { Model } from '../../src/train/model.js';
import { layout, near, numbers, onFast, outputOnPage, runExample } from './run.js';

/** The gradient of the example's first step, all parameters in one row. */
async function firstGradient(backend: Backend): Promise<number[]> {
  const model = new Model(new RememberingNetwork({ kind: 'rnn', nonlinearity: 'relu', hiddenSize: 32 }), backend);
  await model.allocate();
  await model.initialise(1);
  const identity = Float32Array.from({ length: 32 * 32 }, (_, index) => Number(index % 33 === 0));
  const zero = new Float32Array(32);
  await model.writeParameters({ 'rnn.weight_hh_l0': identity, 'rnn.bias_ih_l0': zero, 'rnn.bias_hh_l0': zero });
  const names = model.network.parameters.arena.variables.map(({ name }) => `grad.${name}`);
  const [seen] = await inspect(model, [sequences(50, 32, 1).next().value], names);
  return names.flatMap((name) => Array.from(seen?.get(name)?.values ?? []));
}

const norm = (a: readonly number[]): number => Math.hypot(...a);
const cosine = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] as number), 0) / (norm(a) * norm(b));

onFast('a relu RNN: gradients grow as wⁿ⁻¹; clipping by norm or by a small value lets it learn', async (t, backend) => {
  const output = await runExample('exploding', backend);
  const [growth, step, training] = output.split(/\n\n/) as [string, string, string];

  for (const [line, printed] of growth
    .split('\n')
    .slice(1)
    .map((line) => [line, numbers(line, '  w =')] as const)) {
    const [w, n, measured, expected] = printed as [number, number, number, number];
    t.true(Math.abs(measured / w ** (n - 1) - 1) < 1e-4, line); // five digits of 199 products in float32
    t.true(Math.abs(expected / w ** (n - 1) - 1) < 1e-4, line);
  }

  const gradient = await firstGradient(backend);
  const limited = (most: number): number[] => gradient.map((g) => Math.min(most, Math.max(-most, g)));
  for (const [label, used] of [
    ['no clipping', gradient],
    ['clipNorm 1', gradient.map((g) => g / norm(gradient))],
    ['clipValue 0.1', limited(0.1)],
    ['clipValue 0.01', limited(0.01)],
  ] as const) {
    const expected = [norm(used), Math.max(...used.map(Math.abs)), cosine(used, gradient)];
    // Three places, of differences of float32 numbers up to 72.
    t.true(near(numbers(step, `  ${label} `), expected, 1e-3 * Math.max(1, norm(used) / 100)), `${label}: ${expected}`);
  }

  const right = (label: string): number => numbers(training, `  ${label} `)[1] as number;
  t.true(right('no clipping') <= 45);
  t.true(right('clipNorm 1') >= 99);
  t.true(right('clipValue 0.1') <= 80, 'a limit for each of 1540 elements allows a long step');
  t.true(right('clipValue 0.01') >= 99);

  const page = (await outputOnPage('exploding')).split(/\n\n/);
  t.is(layout(growth), layout(page[0] as string));
  t.is(layout(step), layout(page[1] as string));
});

test('planted fault: the norm of clipped elements is not that of clipping by norm', (t) => {
  const used = [3, 4].map((g) => Math.min(1, g));
  t.false(near([norm(used)], [1], 0.1));
});
