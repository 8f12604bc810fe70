import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.js';
import { randomFrom } from '../support/random.js';
import { tried } from '../train/backends.js';
import { type Ended, run, temporaryFolder } from './run.js';

const [B, T, I, H] = [2, 3, 4, 5];
const config = {
  model_type: 'lstm',
  input_size: I,
  hidden_size: H,
  num_layers: 2,
  bidirectional: true,
  batch_first: true,
};

const shapes: Readonly<Record<string, readonly number[]>> = {
  ...Object.fromEntries(
    ['l0', 'l0_reverse', 'l1', 'l1_reverse'].flatMap((suffix) => [
      [`weight_ih_${suffix}`, [4 * H, suffix.startsWith('l0') ? I : 2 * H]],
      [`weight_hh_${suffix}`, [4 * H, H]],
      [`bias_ih_${suffix}`, [4 * H]],
      [`bias_hh_${suffix}`, [4 * H]],
    ]),
  ),
  'input.x': [B, T, I],
  'input.h0': [4, B, H],
  'upstream.output': [B, T, 2 * H],
  'upstream.c_n': [4, B, H],
};

type Change = (tensors: Map<string, TensorToWrite>) => unknown;

async function grad(
  t: ExecutionContext,
  more: readonly string[],
  change: Change = () => {},
  model: object = config,
): Promise<Ended & { out: string; folder: string }> {
  const folder = await temporaryFolder(t);
  const random = randomFrom('grad');
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, shape] of Object.entries(shapes)) {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.value() / 2);
    tensors.set(name, { name, dtype: 'F32', shape, values });
  }
  change(tensors);
  const out = join(folder, 'out.safetensors');
  await writeFile(join(folder, 'model.json'), JSON.stringify(model));
  await writeSafetensors(join(folder, 'in.safetensors'), [...tensors.values()]);
  const args = [
    'grad',
    '--config',
    join(folder, 'model.json'),
    '--tensors',
    join(folder, 'in.safetensors'),
    '--out',
    out,
    ...more,
  ];
  return { ...(await run(args)), out, folder };
}

async function read(path: string): Promise<Map<string, Float64Array>> {
  const reader = await SafetensorsReader.open(path);
  const all = new Map<string, Float64Array>();
  for (const name of reader.tensors.keys()) all.set(name, await reader.readFloat64(name));
  await reader.close();
  return all;
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

for (const { name, backend, cause } of tried) {
  if (backend === undefined) {
    test.skip(`gradients from ${name} agree with float64 (skipped: ${cause})`, () => {});
    continue;
  }
  test(`gradients from ${name} agree with float64, inspected values too, and lengths are kept`, async (t) => {
    const lengths: Change = (tensors) =>
      tensors.set('input.lengths', { name: 'input.lengths', dtype: 'I32', shape: [B], values: Int32Array.of(3, 1) });
    const [wide, narrow] = await Promise.all([
      grad(t, ['--backend', 'reference', '--isa', 'float64', '--inspect'], lengths),
      grad(t, ['--backend', name, '--inspect'], lengths),
    ]);
    t.is(wide.code, 0, wide.stderr);
    t.is(narrow.code, 0, narrow.stderr);
    const [expected, actual] = [await read(wide.out), await read(narrow.out)];
    t.deepEqual([...actual.keys()], [...expected.keys()]);
    t.is(actual.size, 3 + 16 + 2 + 2 * 6 * 4);
    for (const [each, values] of expected) {
      const difference = norm(values.map((value, index) => value - (actual.get(each)?.[index] as number)));
      t.true(difference <= 2e-5 * Math.max(norm(values), 0.01 * Math.sqrt(values.length)), each);
    }
    const output = actual.get('output.output')!;
    t.true(
      output.subarray((T + 1) * 2 * H).every((value) => value === 0),
      'padded steps of row 1 are zero',
    );
    t.true(output.subarray(0, 2 * H).some((value) => value !== 0));
  });
}

test('without upstream gradients all gradients are zero', async (t) => {
  const { code, out, stderr } = await grad(t, ['--backend', 'reference'], (tensors) => {
    tensors.delete('upstream.output');
    tensors.delete('upstream.c_n');
  });
  t.is(code, 0, stderr);
  for (const [name, values] of await read(out))
    t.is(
      values.every((value) => value === 0),
      name.startsWith('grad.'),
      name,
    );
});

const set =
  (name: string, change: Partial<TensorToWrite>): Change =>
  (tensors) =>
    tensors.set(name, { ...(tensors.get(name) as TensorToWrite), ...change });

const refusals: readonly (readonly [title: string, change: Change, message: RegExp])[] = [
  ['a parameter that is missing', (tensors) => tensors.delete('weight_hh_l1'), /in\.safetensors.*`weight_hh_l1`/],
  ['no input', (tensors) => tensors.delete('input.x'), /in\.safetensors.*`input\.x`/],
  ['a wrong shape', set('bias_ih_l0', { shape: [19], values: new Float32Array(19) }), /`bias_ih_l0`.*\[20\].*\[19\]/],
  ['an input of two axes', set('input.x', { shape: [6, I] }), /`input\.x`.*\[B, T, 4\].*\[6, 4\]/],
  [
    'a NaN',
    set('weight_ih_l0', { values: new Float32Array(4 * H * I).fill(Number.NaN, 7, 8) }),
    /`weight_ih_l0`.*finite.*NaN at element 7/,
  ],
  [
    'a name that is not known',
    (tensors) =>
      tensors.set('weight_hh_l2', { name: 'weight_hh_l2', dtype: 'F32', shape: [1], values: new Float32Array(1) }),
    /`weight_hh_l2`.*did you mean `weight_hh_l/,
  ],
  [
    'a length beyond T',
    (tensors) =>
      tensors.set('input.lengths', { name: 'input.lengths', dtype: 'I32', shape: [B], values: Int32Array.of(1, 4) }),
    /`input\.lengths`.*0 to 3.*4 in row 1/,
  ],
];

for (const [title, change, message] of refusals) {
  test(`${title} is refused in one line, and no file is written`, async (t) => {
    const { code, stderr, folder } = await grad(t, ['--backend', 'reference'], change);
    t.is(code, 1);
    t.regex(stderr, message);
    t.is(stderr.trimEnd().split('\n').length, 1);
    t.deepEqual((await readdir(folder)).sort(), ['in.safetensors', 'model.json']);
  });
}

for (const [change, message] of [
  [{ model_type: 'gtu' }, /model\.json.*model_type.*"lstm", "gru" or "rnn".*"gtu"/],
  [{ hidden_size: 0 }, /model\.json.*`hidden_size`.*0/],
  [{ num_layers: 1e9 }, /model\.json.*`num_layers`/],
  [{ hiddensize: 3 }, /model\.json.*`hidden_size`.*`hiddensize`/],
  [{ batch_first: false }, /model\.json.*`batch_first`/],
  [{ proj_size: 5 }, /model\.json.*`proj_size`.*0 to 4.*5/],
  [{ model_type: 'gru', proj_size: 3 }, /model\.json.*`proj_size`/],
  [{ nonlinearity: 'relu' }, /model\.json.*`nonlinearity`.*"relu"/],
] as const) {
  test(`a configuration with ${JSON.stringify(change)} is refused by name`, async (t) => {
    const { code, stderr } = await grad(t, ['--backend', 'reference'], undefined, { ...config, ...change });
    t.is(code, 1);
    t.regex(stderr, message);
    t.is(stderr.trimEnd().split('\n').length, 1);
  });
}
