/** What training a BERT on long texts takes: as much as was planned, and in proportion to their length. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { BertForMaskedLM } from '../../src/models/bert-masked-lm.js';
import { type MemoryPlan, planMemory } from '../../src/train/memory.js';
import { Trainer } from '../../src/train/trainer.js';
import { backends, tried } from './backends.js';

/** Native or WASM if they work here: that fresh parameters are drawn takes the reference long. */
const backend = backends[0] as Backend;

async function planned(time: number, share: number): Promise<MemoryPlan> {
  const model = await BertForMaskedLM.create({
    backend,
    preset: 'tiny',
    vocabularySize: 8192,
    maxPositions: 2048,
  });
  return planMemory(new Trainer(model), { time, batch: 2, positions: Math.round(2 * time * share) });
}

for (const [share, title] of [
  [0.15, 'some'],
  [1, 'all'],
] as const) {
  test(`twice as long a text takes twice the activations, not four times, with labels at ${title} positions`, async (t) => {
    const [short, long] = [await planned(1024, share), await planned(2048, share)];
    const ratio = long.activations / short.activations;
    t.true(ratio > 1.7 && ratio <= 2, `${ratio}`);
    t.is(long.packing, short.packing);
    t.true(long.peak < 300e6, `${long.peak}`);
    const probabilities = 4 * 2 * 2 * 2048 * 2048; // of one layer: bytes · B · NH · T · T
    t.true(long.activations < 1.4 * probabilities, 'those of the two layers are not there');
  });
}

const native = tried.find(({ name }) => name === 'native');
const title = 'a step of BERT tiny on 2 · 2048 tokens takes what was planned, below 300 MB above the idle process';
if (native?.backend === undefined) test.skip(`${title} (skipped: ${native?.cause})`, () => {});
else
  test(title, async (t) => {
    const script = fileURLToPath(new URL('./bert-step.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script, '2048', '2']);
    const { above, planned: peak, losses } = JSON.parse(stdout);
    t.true(above < 300e6, `${above}`);
    t.true(Math.abs(above / peak - 1) < 0.1, `${above} of ${peak}`);
    t.true(losses[1] < losses[0]);
  });
