/** What `seqgrad grad` refuses of a BERT, and what it does where little is given. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Command } from 'commander';
import { defineGrad } from '../../src/cli/grad.js';
import { FormatError } from '../../src/formats/errors.js';
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.js';
import { run, temporaryFolder } from './run.js';

type Tensors = Map<string, TensorToWrite>;
type Fixture = 'masked' | 'masked-logits' | 'classes' | 'regression' | 'tokens' | 'heads-of-4';

interface Change {
  readonly tensors?: (tensors: Tensors) => unknown;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** The files of a fixture, changed. */
async function given(t: ExecutionContext, fixture: Fixture, { tensors: change, config }: Change): Promise<string> {
  const source = join('test/golden/bert', fixture);
  const folder = await temporaryFolder(t);
  const reader = await SafetensorsReader.open(join(source, 'in.safetensors'));
  const tensors: Tensors = new Map();
  for (const { name, shape, dtype } of reader.tensors.values()) {
    const isInteger = dtype === 'I64';
    const values = isInteger ? await reader.readInt32(name) : await reader.readFloat32(name);
    tensors.set(name, { name, dtype: isInteger ? 'I32' : 'F32', shape, values });
  }
  await reader.close();
  change?.(tensors);
  await writeSafetensors(join(folder, 'in.safetensors'), [...tensors.values()]);
  const json = JSON.parse(await readFile(join(source, 'model.json'), 'utf8'));
  await writeFile(join(folder, 'model.json'), JSON.stringify({ ...json, ...config }));
  return folder;
}

const flagsOf = (folder: string): string[] => [
  ...['grad', '--config', join(folder, 'model.json'), '--tensors', join(folder, 'in.safetensors')],
  ...['--out', join(folder, 'out.safetensors'), '--backend', 'reference'],
];

async function grad(folder: string): Promise<void> {
  const program = new Command().exitOverride();
  defineGrad(program);
  await program.parseAsync(flagsOf(folder), { from: 'user' });
}

const values = (name: string, change: (values: number[]) => number[]): Change => ({
  tensors(tensors) {
    const tensor = tensors.get(name) as TensorToWrite;
    const array = tensor.values as Int32Array;
    tensors.set(name, { ...tensor, values: new (array.constructor as Int32ArrayConstructor)(change([...array])) });
  },
});
const integers = (name: string, shape: readonly number[], fill: number): Change => ({
  tensors: (tensors) =>
    tensors.set(name, {
      name,
      dtype: 'I32',
      shape,
      values: new Int32Array(shape.reduce((a, b) => a * b, 1)).fill(fill),
    }),
});
const dropped = (name: string): Change => ({ tensors: (tensors) => tensors.delete(name) });

const refusals: readonly (readonly [title: string, fixture: Fixture, change: Change, message: RegExp])[] = [
  [
    'no architecture',
    'masked',
    { config: { architectures: undefined } },
    /`architectures`.*"BertModel", "BertForMaskedLM".*none/,
  ],
  [
    'another architecture',
    'masked',
    { config: { architectures: ['BertForQuestionAnswering'] } },
    /`architectures`.*BertForQuestionAnswering/,
  ],
  ['another family', 'masked', { config: { model_type: 'distilbert' } }, /`model_type`.*"bert".*"distilbert"/],
  [
    'heads that do not divide the width',
    'masked',
    { config: { num_attention_heads: 3 } },
    /`hidden_size`.*`num_attention_heads`, 3,.*20/,
  ],
  [
    'a sequence beyond the positions',
    'masked',
    { config: { max_position_embeddings: 8 } },
    /`input\.input_ids`.*T at most 8 \(max_position_embeddings\).*\[3, 9\]/,
  ],
  ['ids of one axis', 'masked', integers('input.input_ids', [9], 1), /`input\.input_ids`.*\[B, T\].*\[9\]/],
  ['no ids', 'masked', dropped('input.input_ids'), /`input\.input_ids`.*none/],
  [
    'a token out of range',
    'masked',
    values('input.input_ids', (ids) => ids.with(10, 23)),
    /`input\.input_ids`.*tokens from 0 to 22.*23 in row 1 at position 1/,
  ],
  [
    'a type out of range',
    'masked',
    values('input.token_type_ids', (ids) => ids.with(0, 2)),
    /`input\.token_type_ids`.*types from 0 to 1.*2 in row 0 at position 0/,
  ],
  [
    'a mask of zeros',
    'masked',
    values('input.attention_mask', (mask) => mask.map((each, at) => (at < 9 ? 0 : each))),
    /`input\.attention_mask`.*only zeros in row 0/,
  ],
  [
    'a label out of range',
    'masked',
    values('input.labels', (labels) => labels.with(8, 23)),
    /`input\.labels`.*0 to 22, or -100.*23 in row 0 at position 8/,
  ],
  [
    'labels that are all ignored',
    'masked',
    values('input.labels', (labels) => labels.map(() => -100)),
    /`input\.labels`.*a label that counts.*only -100/,
  ],
  [
    'a class out of range',
    'classes',
    values('input.labels', (labels) => labels.with(2, 5)),
    /`input\.labels`.*0 to 4, or -100.*5 in row 2/,
  ],
  [
    'numbers for classes',
    'classes',
    {
      tensors: (all) =>
        all.set('input.labels', { name: 'input.labels', dtype: 'F32', shape: [4], values: new Float32Array(4) }),
    },
    /`input\.labels`.*integers.*F32/,
  ],
  ['classes for numbers', 'regression', integers('input.labels', [3], 1), /`input\.labels`.*floating-point.*I32/],
  ['labels of another shape', 'tokens', integers('input.labels', [3], 1), /`input\.labels`.*\[3, 5\].*\[3\]/],
  [
    'classes that the classifier has not',
    'classes',
    { config: { id2label: { 0: 'a', 1: 'b' } } },
    /`classifier\.weight`.*\[2, 16\].*\[5, 16\]/,
  ],
  ['a parameter that is missing', 'masked', dropped('cls.predictions.bias'), /`cls\.predictions\.bias`.*none/],
  [
    'a parameter with a prefix too many',
    'heads-of-4',
    {
      tensors: (all) =>
        all.set('bert.pooler.dense.bias', {
          ...(all.get('pooler.dense.bias') as TensorToWrite),
          name: 'bert.pooler.dense.bias',
        }),
    },
    /`bert\.pooler\.dense\.bias`.*did you mean `pooler\.dense\.bias`/,
  ],
  [
    'labels for a model without a head',
    'heads-of-4',
    integers('input.labels', [2, 5], 1),
    /`input\.labels`.*a name of this model/,
  ],
  [
    'a NaN',
    'masked',
    values('bert.embeddings.LayerNorm.weight', (all) => all.with(3, Number.NaN)),
    /`bert\.embeddings\.LayerNorm\.weight`.*NaN at element 3/,
  ],
];

for (const [title, fixture, change, message] of refusals) {
  test(`${title} is refused in one line, and no file is written`, async (t) => {
    const folder = await given(t, fixture, change);
    const error = await t.throwsAsync(grad(folder), { instanceOf: FormatError, message });
    t.false(error?.message.includes('\n'));
    t.deepEqual((await readdir(folder)).sort(), ['in.safetensors', 'model.json']);
  });
}

test('the command ends with exit code 1 and one line', async (t) => {
  const folder = await given(t, 'masked', dropped('cls.predictions.bias'));
  const { code, stderr } = await run(flagsOf(folder));
  t.is(code, 1);
  t.regex(stderr, /in\.safetensors: tensor `cls\.predictions\.bias`/);
  t.is(stderr.trimEnd().split('\n').length, 1);
});

async function outputs(folder: string): Promise<Map<string, Float64Array>> {
  await grad(folder);
  const reader = await SafetensorsReader.open(join(folder, 'out.safetensors'));
  const found = new Map<string, Float64Array>();
  for (const name of reader.tensors.keys()) found.set(name, await reader.readFloat64(name));
  await reader.close();
  return found;
}

test('without labels and upstream gradients all gradients are zero', async (t) => {
  const found = await outputs(await given(t, 'masked-logits', dropped('upstream.logits')));
  t.false(found.has('output.loss'));
  for (const [name, all] of found)
    t.is(
      all.every((value) => value === 0),
      name.startsWith('grad.'),
      name,
    );
});

test('an encoder without a pooler, and tensors that repeat others, are fine', async (t) => {
  const encoder = await outputs(
    await given(t, 'heads-of-4', {
      tensors(all) {
        for (const name of ['pooler.dense.weight', 'pooler.dense.bias', 'upstream.pooler_output']) all.delete(name);
        all.set('embeddings.position_ids', {
          name: 'embeddings.position_ids',
          dtype: 'I32',
          shape: [1, 6],
          values: new Int32Array(6),
        });
      },
    }),
  );
  t.true(encoder.has('output.last_hidden_state'));
  t.false(encoder.has('output.pooler_output'));
  const name = 'cls.predictions.decoder.weight';
  const masked = await outputs(
    await given(t, 'masked', {
      tensors: (all) =>
        all.set(name, { ...(all.get('bert.embeddings.word_embeddings.weight') as TensorToWrite), name }),
    }),
  );
  t.false(masked.has(`grad.${name}`));
});

test('the number of classes is that of the classifier where the configuration does not say', async (t) => {
  const found = await outputs(await given(t, 'classes', { config: { id2label: undefined } }));
  t.is(found.get('output.logits')?.length, 4 * 5);
});
