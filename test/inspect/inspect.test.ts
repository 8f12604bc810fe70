import test from 'ava';
import { inspect, stepNorms } from '../../src/inspect/inspect.js';
import type { NamedArray } from '../../src/inspect/named-arrays.js';
import { OptionError } from '../../src/program/options.js';
import { evaluate } from '../../src/train/evaluate.js';
import type { Batch } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { bitsOf, smallModel, text, vocabulary } from '../train/text.js';

const [B, T, H] = [3, 6, 12];

/** Batches of one text in windows of some steps, state carried. */
function windowsOf(steps: number): Batch[] {
  const tokens = vocabulary.encode(text);
  const at = (t: number, b: number): number => tokens[b * 50 + t] as number;
  return Array.from({ length: T / steps }, (_, w) => {
    const cells = Array.from({ length: steps * B }, (_, i) => [w * steps + Math.floor(i / B), i % B] as const);
    const inputs = {
      tokens: Int32Array.from(cells, ([t, b]) => at(t, b)),
      labels: Int32Array.from(cells, ([t, b]) => at(t + 1, b)),
    };
    return { inputs, time: steps, batch: B, labelCount: steps * B, first: w === 0 };
  });
}

const sliced = ({ shape, values }: NamedArray, from: number, to: number): number[] => {
  const [rows = 0, steps = 0, size = 0] = shape;
  return Array.from({ length: rows }, (_, b) => [
    ...values.subarray((b * steps + from) * size, (b * steps + to) * size),
  ]).flat();
};

const most = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, index) => Math.abs(value - (b[index] as number))));

test('a gradient by name is the slope of the loss', async (t) => {
  const model = await smallModel(float64);
  const names = ['loss', 'grad.lstm.weight_hh_l0', 'grad.head.bias', 'lstm.weight_hh_l0'];
  const [seen] = await inspect(model, windowsOf(T), names);
  t.deepEqual([...seen!.keys()], names);
  const loss = async (): Promise<number> => (await evaluate(model, windowsOf(T))).loss;
  t.true(Math.abs(seen!.get('loss')!.values[0]! - (await loss())) < 1e-12);
  for (const name of ['lstm.weight_hh_l0', 'head.bias']) {
    const variable = model.network.parameters.arena.get(name);
    const values = Float64Array.from(await model.engine.read(variable));
    for (const index of [0, values.length >> 1, values.length - 1]) {
      const at = async (by: number): Promise<number> => {
        await model.writeParameters({ [name]: values.with(index, values[index]! + by) });
        return loss();
      };
      const slope = ((await at(1e-5)) - (await at(-1e-5))) / 2e-5;
      t.true(Math.abs(slope - seen!.get(`grad.${name}`)!.values[index]!) < 1e-8, `${name}[${index}]`);
    }
    await model.writeParameters({ [name]: values });
  }
  const weight = await model.engine.read(model.network.parameters.arena.get('lstm.weight_hh_l0'));
  t.deepEqual(seen!.get('lstm.weight_hh_l0'), { shape: [4 * H, H], values: weight });
});

onEvery('values go on from window to window, gradients do not, and nothing changes', async (t, backend) => {
  const model = await smallModel(backend);
  const before = await bitsOf(model);
  const names = ['lstm.l0.cell', 'lstm.l0.forget_gate', 'grad.lstm.l0.cell'];
  const [whole] = await inspect(model, windowsOf(T), names);
  const [first, second] = await inspect(model, windowsOf(T / 2), names);
  t.is(await bitsOf(model), before);
  for (const name of names.slice(0, 2)) {
    t.deepEqual(whole!.get(name)!.shape, [B, T, H]);
    t.true(most(first!.get(name)!.values, sliced(whole!.get(name)!, 0, T / 2)) < 1e-6);
    t.true(most(second!.get(name)!.values, sliced(whole!.get(name)!, T / 2, T)) < 1e-6);
  }
  const gradient = whole!.get('grad.lstm.l0.cell')!;
  t.true(most(second!.get('grad.lstm.l0.cell')!.values, sliced(gradient, T / 2, T)) < 1e-6);
  const difference = most(first!.get('grad.lstm.l0.cell')!.values, sliced(gradient, 0, T / 2));
  t.true(
    difference >
      0.1 *
        most(
          gradient.values,
          gradient.values.map(() => 0),
        ),
    'it does not reach the window before',
  );
});

test('a value that nothing depends on has the gradient 0', async (t) => {
  const model = await smallModel(float64);
  const [batch] = windowsOf(T);
  const labels = new Int32Array(T * B).fill(-100);
  const blind = { ...batch!, inputs: { ...batch!.inputs, labels }, labelCount: 0 };
  const [seen] = await inspect(model, [blind], ['loss', 'grad.loss', 'grad.lstm.l0.hidden', 'grad.head.weight']);
  t.is(seen!.get('loss')!.values[0], 0);
  t.is(seen!.get('grad.loss')!.values[0], 1);
  for (const name of ['grad.lstm.l0.hidden', 'grad.head.weight']) {
    t.true(seen!.get(name)!.values.every((value) => value === 0));
  }
});

test('names that are unknown are refused, with the nearest one', async (t) => {
  const model = await smallModel(float64);
  const ask = (name: string) => inspect(model, windowsOf(T), [name]);
  await t.throwsAsync(ask('grad.lstm.l0.forget_gates'), {
    instanceOf: OptionError,
    message: 'inspect: unknown name `grad.lstm.l0.forget_gates`: did you mean `lstm.l0.forget_gate`?',
  });
  await t.throwsAsync(ask('attention'), { message: /`attention`: expected one of lstm\.l0\.input_gate, .*head\.bias/ });
});

test('norms step by step are over rows and elements', (t) => {
  t.deepEqual(stepNorms({ shape: [2, 2, 2], values: Float64Array.of(1, 2, 0, 4, 2, 4, 3, 0) }), [5, 5]);
  t.throws(() => stepNorms({ shape: [2, 2], values: new Float64Array(4) }), { message: /Expected \[B, T, ·\]/ });
});

test('parameters are given by name, all or none', async (t) => {
  const model = await smallModel(float64);
  const before = await bitsOf(model);
  const bias = new Float64Array(vocabulary.size).fill(1);
  await t.throwsAsync(model.writeParameters({ 'head.bias': bias, 'head.wait': [1] }), {
    instanceOf: OptionError,
    message: /`head\.wait`: did you mean `head\.weight`/,
  });
  await t.throwsAsync(model.writeParameters({ 'head.bias': bias, 'head.weight': [1] }), {
    message: /Expected \d+ values for head\.weight \[\d+, 12\] but received 1/,
  });
  t.is(await bitsOf(model), before);
  await model.writeParameters({ 'head.bias': bias });
  t.deepEqual(Array.from(await model.engine.read(model.network.parameters.arena.get('head.bias'))), Array.from(bias));
});
