/** The same training, bit for bit: in strict numerics everywhere, in fast numerics on any number of threads of an ISA. */
import { createHash, type Hash } from 'node:crypto';
import test from 'ava';
import type { Backend, Numerics } from '../../src/backends/executor.js';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { wasmBackend } from '../../src/backends/wasm.js';
import { nameOfBuild, probeWasm } from '../../src/backends/wasm-builds.js';
import { encoderBatch, type MaskedBatch } from '../../src/data/encoder-batch.js';
import { BertForMaskedLM } from '../../src/models/bert-masked-lm.js';
import type { Model } from '../../src/train/model.js';
import { Trainer, type TrainingStep } from '../../src/train/trainer.js';
import { randomFrom } from '../support/random.js';
import { askedOfReplay, replayBackend, takesStrict } from '../support/replay.js';
import { backends } from './backends.js';
import { bitsOf, smallModel, text } from './text.js';

/** Some more than there are cores here. */
const threadCounts = [1, 2, 3, 8];
const STEPS = 50;

interface Kernels {
  readonly title: string;
  readonly cause: string | undefined;
  /** The numbers of threads it can have. */
  readonly threads: readonly number[];
  readonly strict: boolean;
  load(numerics: Numerics, threads: number): Backend | Promise<Backend>;
}

const asked = askedOfReplay();

const inReplay: readonly Kernels[] = asked.map(({ place, isa, command }) => ({
  ...{ title: `${place} ${isa}`, cause: undefined, threads: threadCounts, strict: takesStrict(isa) },
  load: (numerics, threads) => replayBackend({ command, isa, numerics, threads }),
}));

const native: readonly Kernels[] = probeNative().map(({ isa, usable, cause }) => ({
  ...{ title: `native ${isa}`, cause: usable ? undefined : cause, threads: threadCounts, strict: takesStrict(isa) },
  load: (numerics, threads) => nativeBackend({ isa, numerics, threads }),
}));

const wasm: readonly Kernels[] = (await probeWasm()).map(({ isa, shared, cause }) => ({
  ...{ title: nameOfBuild({ isa, shared }), cause, strict: isa === 'wasm-simd' },
  threads: threadCounts.filter((threads) => shared === threads > 1),
  load: (numerics, threads) => wasmBackend({ isa, numerics, threads }),
}));

/** Where kernels in replay are asked for, those, and WASM: what else agrees with that is for other runs to show. */
const kernels = asked.length === 0 ? [...native, ...wasm] : [...inReplay, ...wasm];

const BERT_STEPS = 10;

/** Rows of unequal length, longer than a block of keys, with some tokens to be guessed. */
function* maskedBatches(): Generator<MaskedBatch, void, undefined> {
  const random = randomFrom('strict');
  const [rows, V] = [3, 31];
  for (;;) {
    const sequences = Array.from({ length: rows }, (_, row) => ({
      tokens: Array.from({ length: 70 - 17 * row }, () => random.integer(1, V - 1)),
    }));
    const batch = encoderBatch(sequences, { rows, pad: 0, longest: 71 });
    const positions = Int32Array.from({ length: 20 }, () => random.integer(0, rows * batch.time - 1));
    yield { ...batch, positions, labels: positions.map((at) => (at % 7 === 0 ? -100 : at % V)) };
  }
}

/** What is left of a training with dropout: every loss and every parameter, start and end. */
async function add(hash: Hash, model: Model, train: () => Promise<readonly TrainingStep[]>): Promise<void> {
  hash.update(await bitsOf(model));
  const steps = await train();
  hash.update(JSON.stringify(steps.map(({ loss, gradientNorm }) => [loss, gradientNorm])));
  hash.update(await bitsOf(model));
  await model.engine.close();
}

/** Of an LSTM of two layers, and of a BERT of heads of 9. */
async function hashOf(backend: Backend, seed = 1): Promise<string> {
  const hash = createHash('sha256');
  const model = await smallModel(backend, { dropout: 0.25, layers: 2, hiddenSize: 45, embeddingSize: 20 });
  await add(hash, model, () =>
    new Trainer(model, { learningRate: 0.02, clipNorm: 0.5, seed }).fit(model.batches(text, { batch: 5, window: 23 }), {
      steps: STEPS,
    }),
  );
  const sizes = { vocabularySize: 31, hiddenSize: 27, heads: 3, layers: 2, feedForwardSize: 50, maxPositions: 71 };
  const bert = await BertForMaskedLM.create({ ...sizes, dropout: 0.2, attentionDropout: 0.3, seed: 5, backend });
  await add(hash, bert, () =>
    new Trainer(bert, { learningRate: 0.02, seed }).fit(bert.batches(maskedBatches()), { steps: BERT_STEPS }),
  );
  return hash.digest('hex');
}

/** The hashes of one group, by who got them: all must be the same. */
const groups = new Map<string, Map<string, string>>();

for (const numerics of ['strict', 'fast'] as const) {
  for (const { title, cause, threads, strict, load } of kernels) {
    if (numerics === 'strict' && !strict) continue;
    const group = numerics === 'strict' ? 'strict numerics' : `fast numerics on ${title.split(' for ')[0]}`;
    for (const count of threads) {
      const name = `${title}, ${count} thread${count === 1 ? '' : 's'}`;
      if (cause !== undefined) {
        test.skip(`${STEPS} steps: ${group}, ${name} (skipped: ${cause})`, () => {});
        continue;
      }
      test.serial(`${STEPS} steps: ${group}, ${name}`, async (t) => {
        const backend = await load(numerics, count);
        t.is(backend.threads, count);
        const hashes = groups.get(group) ?? new Map<string, string>();
        groups.set(group, hashes.set(name, await hashOf(backend)));
        t.deepEqual([...new Set(hashes.values())].length, 1, JSON.stringify([...hashes], null, 1));
      });
    }
  }
}

test.serial('every hash but the reference’s has had another to agree with', (t) => {
  for (const [group, hashes] of groups) {
    t.log(`${group}: ${[...new Set(hashes.values())].join(', ')} on ${hashes.size} kinds of kernels and threads`);
    t.true(hashes.size > 1, group);
  }
  t.is(groups.size === 0 || groups.has('strict numerics'), true);
});

test.serial('planted fault: another dropout seed, and fused arithmetic, give other bits', async (t) => {
  const [first] = kernels.filter(({ cause, strict }) => cause === undefined && strict);
  if (first === undefined) {
    t.pass();
    return;
  }
  const strict = [...(groups.get('strict numerics')?.values() ?? [])][0];
  t.not(await hashOf(await first.load('strict', 1), 2), strict);
  if (/avx|neon/.test(first.title)) t.not(await hashOf(await first.load('fast', 1)), strict);
});

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
