/** A process of its own: training steps of BERT tiny on B rows of T tokens. Prints bytes above the idle process, and what was planned, as JSON. */
import { loadBackend } from '../../src/backends/select.js';
import { encoderBatch } from '../../src/data/encoder-batch.js';
import { BertForMaskedLM } from '../../src/models/bert-masked-lm.js';
import { planMemory } from '../../src/train/memory.js';
import { Trainer } from '../../src/train/trainer.js';

const [time = 0, rows = 0] = process.argv.slice(2).map(Number);
const VOCABULARY = 8192;
const MASKED = 0.15;

const tokenAt = (index: number): number => 5 + ((index * 7) % (VOCABULARY - 5));
const sequences = Array.from({ length: rows }, (_, row) => ({
  tokens: Int32Array.from({ length: time }, (_, t) => tokenAt(row * time + t)),
}));
const count = Math.round(MASKED * rows * time);
const positions = Int32Array.from({ length: count }, (_, index) => Math.floor(index / MASKED));
const batch = {
  ...encoderBatch(sequences, { rows, pad: 0, longest: time }),
  positions,
  labels: positions.map(tokenAt),
};

const backend = await loadBackend({ backend: 'native' });
const idle = process.memoryUsage().rss;
const model = await BertForMaskedLM.create({ backend, preset: 'tiny', vocabularySize: VOCABULARY, maxPositions: time });
const trainer = new Trainer(model);
const planned = await planMemory(trainer, { time, batch: rows, positions: count });
const steps = await trainer.fit(model.batches([batch, batch]));
const above = 1024 * process.resourceUsage().maxRSS - idle;
console.log(JSON.stringify({ above, planned: planned.peak, losses: steps.map(({ loss }) => loss) }));
await model.engine.close();
