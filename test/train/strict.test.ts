import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { wasmBackend } from '../../src/backends/wasm.js';
import { probeWasm } from '../../src/backends/wasm-builds.js';
import { Trainer } from '../../src/train/trainer.js';
import { backends } from './backends.js';
import { bitsOf, smallModel, text } from './text.js';

const numerics = 'strict';
const missing: { isa: string; cause: string }[] = [];
const strict: { title: string; backend: Backend }[] = [];
for (const { isa, usable, cause } of probeNative()) {
  if (usable) strict.push({ title: isa, backend: nativeBackend({ isa, numerics }) });
  else missing.push({ isa, cause });
}
for (const { isa, cause } of await probeWasm({ shared: false })) {
  if (isa !== 'wasm-simd') continue;
  if (cause === undefined) strict.push({ title: isa, backend: await wasmBackend({ numerics, isa }) });
  else missing.push({ isa, cause });
}

/** Parameters at the start and after training with dropout, two layers and momentum of every kind. */
async function bits(backend: Backend): Promise<{ initial: string; trained: string; losses: number[] }> {
  const model = await smallModel(backend, { dropout: 0.25, layers: 2, hiddenSize: 19 });
  const initial = await bitsOf(model);
  const trainer = new Trainer(model, { learningRate: 0.02, clipNorm: 0.5 });
  const steps = await trainer.fit(model.batches(text, { batch: 3, window: 11 }), { steps: 8 });
  return { initial, trained: await bitsOf(model), losses: steps.map(({ loss }) => loss) };
}

const [first, ...rest] = strict;
const expected = first === undefined ? undefined : await bits(first.backend);
for (const { isa, cause } of missing) {
  test.skip(`strict ${isa} trains to the same bits as the others (skipped: ${cause})`, () => {});
}
if (first === undefined || expected === undefined || rest.length === 0) {
  test.skip(`strict backends train to the same bits (skipped: there are ${strict.length} here)`, () => {});
} else {
  for (const { title, backend } of rest) {
    test(`strict ${title} trains to the same bits as strict ${first.title}`, async (t) => {
      const actual = await bits(backend);
      t.is(actual.initial, expected.initial, 'initial parameters');
      t.deepEqual(actual.losses, expected.losses);
      t.is(actual.trained, expected.trained);
    });
  }

  test('planted fault: another dropout seed gives other bits', async (t) => {
    const model = await smallModel(first.backend, { dropout: 0.25, layers: 2, hiddenSize: 19 });
    const trainer = new Trainer(model, { learningRate: 0.02, clipNorm: 0.5, seed: 2 });
    await trainer.fit(model.batches(text, { batch: 3, window: 11 }), { steps: 8 });
    t.not(await bitsOf(model), expected.trained);
  });
}

test('in fast numerics initial parameters differ between backends by rounding only', async (t) => {
  const all = await Promise.all(backends.map(async (backend) => (await smallModel(backend)).readParameters()));
  for (const parameters of all) {
    for (const [index, [{ name }, values]] of parameters.entries()) {
      const expected = all[0]?.[index]?.[1] as Float32Array;
      // u · range + low with one rounding or two, of numbers below 1; normal numbers below 6, from a logarithm and a sine.
      const bound = name === 'embedding.weight' ? 40 * 2 ** -24 : 2 ** -24;
      t.true(
        values.every((value, i) => Math.abs(value - (expected[i] as number)) <= bound),
        name,
      );
    }
  }
});
