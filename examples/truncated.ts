/**
 * Truncated backpropagation through time: remembering word 2 until word 20 in windows that are too short to see word 2 from word 20, and
 * in one that is long enough. The text is in truncated.md. Run as `node dist/examples/truncated.js`.
 */
import { type Batch, inspect, loadBackend, Model, type NamedArrays, stepNorms, Trainer } from 'seqgrad';
import { accuracy, RememberingNetwork, sequences } from './task.js';

const [T, ROWS, UNITS, STEPS, SEED] = [20, 32, 32, 300, 1];

/** Windows of a batch: state is carried from each to the next, gradients are not. Only the last one has labels. */
function windowsOf({ inputs, batch }: Batch, size: number): Batch[] {
  return Array.from({ length: T / size }, (_, index) => {
    const [from, to] = [index * size * batch, (index + 1) * size * batch];
    return {
      inputs: { words: inputs.words?.slice(from, to) ?? [], labels: inputs.labels?.slice(from, to) ?? [] },
      time: size,
      batch,
      labelCount: to === T * batch ? batch : 0,
      first: index === 0,
    };
  });
}

function* trainingWindows(size: number): Generator<Batch, never> {
  for (const batch of sequences(T, ROWS, SEED)) yield* windowsOf(batch, size);
  throw new Error('Expected sequences without end');
}

const array = (seen: NamedArrays | undefined, name: string) =>
  seen?.get(name) ?? { shape: [0, 0, 0], values: new Float32Array() };

/** The largest change of a score after word 20 when word 2 is another one. */
async function influence(model: Model, batch: Batch, size: number): Promise<number> {
  const words = Array.from(batch.inputs.words ?? []);
  const other = words.map((word, index) => (Math.floor(index / ROWS) === 1 ? (word + 1) % 4 : word));
  const scores = [];
  for (const given of [words, other]) {
    const windows = windowsOf({ ...batch, inputs: { ...batch.inputs, words: given } }, size);
    const { shape, values } = array((await inspect(model, windows, ['scores'])).at(-1), 'scores');
    scores.push(Array.from(values).filter((_, index) => Math.floor(index / 4) % (shape[1] ?? 1) === size - 1));
  }
  const [a = [], b = []] = scores;
  return Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? 0))));
}

/** What training with windows of some size comes to, and the gradient that word t gets before it. */
async function trial(size: number) {
  const model = new Model(new RememberingNetwork({ kind: 'gru', hiddenSize: UNITS }), backend);
  await model.allocate();
  await model.initialise(SEED);
  const probe = sequences(T, ROWS, 99).next().value;
  const before = await influence(model, probe, size);
  const seen = await inspect(model, windowsOf(probe, size), ['grad.words']);
  const gradients = seen.flatMap((window) => stepNorms(array(window, 'grad.words')));
  // One step of the optimizer for each whole sequence: only the windows differ.
  const trainer = new Trainer(model, { learningRate: 1e-2, weightDecay: 0, clipNorm: 1, microBatches: T / size });
  const history = await trainer.fit(trainingWindows(size), { steps: STEPS });
  const loss = history.slice(-20).reduce((sum, step) => sum + step.loss, 0) / 20;
  const right = await accuracy(model, windowsOf(sequences(T, 256, 98).next().value, size));
  return { gradients, before, after: await influence(model, probe, size), loss, right };
}

const backend = await loadBackend();
const sizes = [5, 10, 20];
const trials = await Promise.all(sizes.map(trial));
const print = (label: string, cells: readonly string[]): void =>
  console.log(label.padEnd(42), cells.map((cell) => cell.padStart(10)).join(''));
const small = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

print(
  '‖∂L/∂x_t‖ before training, windows of',
  sizes.map((size) => `${size} words`),
);
for (let t = 1; t <= T; t++) {
  const cells = trials.map(({ gradients }) => small(gradients[t - 1] ?? Number.NaN));
  print(`  t = ${String(t).padStart(2)}`, cells);
}
const rows: Record<string, (its: (typeof trials)[number]) => string> = {
  'another word 2 changes a score at first by': ({ before }) => small(before),
  '… and after training by': ({ after }) => small(after),
  'loss of the last 20 steps': ({ loss }) => loss.toFixed(3),
  right: ({ right }) => `${(100 * right).toFixed(0)} %`,
};
console.log();
for (const [label, cell] of Object.entries(rows)) print(label, trials.map(cell));
