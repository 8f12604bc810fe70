/**
 * Learning it: RNN, LSTM and GRU trained to remember word 2 until word T, for T = 10 … 200: who learns it, and how much of the gradient
 * reaches step 2. What comes out is discussed in remember.md. Run as `node dist/examples/remember.js`, or with lengths of one's own behind.
 */
import { inspect, loadBackend, Model, stepNorms, Trainer } from 'seqgrad';
import { accuracy, RememberingNetwork, sequences } from './task.js';

const [ROWS, UNITS, MOST_STEPS] = [32, 32, 800];
const SEEDS = [1, 2, 3];
const backend = await loadBackend();
const lengths = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [10, 20, 50, 100, 200];

const kinds = { RNN: 'rnn', LSTM: 'lstm', 'LSTM, gates set': 'lstm', GRU: 'gru' } as const;
type Variant = keyof typeof kinds;

async function create(variant: Variant, T: number, seed: number): Promise<Model> {
  const model = new Model(new RememberingNetwork({ kind: kinds[variant], hiddenSize: UNITS }), backend);
  await model.allocate();
  await model.initialise(seed);
  if (variant === 'LSTM, gates set') {
    // A cell that keeps its content for about T steps: ln T onto the bias of the forget gate, off that of the input gate.
    const bias = await model.engine.read(model.network.parameters.arena.get('lstm.bias_ih_l0'));
    const shift = [-Math.log(T), Math.log(T), 0, 0]; // i, f, g, o
    await model.writeParameters({ 'lstm.bias_ih_l0': bias.map((b, row) => b + (shift[Math.floor(row / UNITS)] ?? 0)) });
  }
  return model;
}

/** Trains until the loss has stayed below 0.05 for ten steps, or gives up; the number of steps. */
async function train(model: Model, T: number, seed: number): Promise<number> {
  const trainer = new Trainer(model, { learningRate: 1e-2, weightDecay: 0, clipNorm: 1 });
  let good = 0;
  for await (const { step, loss } of trainer.train(sequences(T, ROWS, seed), { steps: MOST_STEPS })) {
    good = loss < 0.05 ? good + 1 : 0;
    if (good === 10) return step;
  }
  return MOST_STEPS;
}

/** ‖∂L/∂x₂‖ / ‖∂L/∂x_T‖: what is left of the gradient when it has gone back from the last word to the second. */
async function gradientLeft(model: Model, T: number): Promise<number> {
  const [seen] = await inspect(model, [sequences(T, ROWS, 99).next().value], ['grad.words']);
  const gradient = seen?.get('grad.words');
  const norms = gradient === undefined ? [] : stepNorms(gradient);
  return (norms[1] ?? Number.NaN) / (norms[T - 1] ?? Number.NaN);
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const small = (value: number): string => (value === 0 ? '0' : value.toExponential(1)).padStart(9);

console.log(`${backend.name} ${backend.isa}; a guess is right in 25 %`);
const columns = SEEDS.map((seed) => `seed ${seed}`.padStart(8)).join('');
console.log(`${' '.repeat(23)}right${' '.repeat(22)}steps${' '.repeat(18)}gradient left at word 2`);
console.log(`                   T ${columns}   ${columns}      before    after`);
for (const variant of Object.keys(kinds) as Variant[]) {
  for (const T of lengths) {
    const runs = [];
    for (const seed of SEEDS) {
      const model = await create(variant, T, seed);
      const before = await gradientLeft(model, T);
      const steps = await train(model, T, seed);
      const right = await accuracy(model, [sequences(T, 256, 98).next().value]);
      runs.push({ before, steps, right, after: await gradientLeft(model, T) });
      await model.engine.close();
    }
    const right = runs.map((run) => `${(100 * run.right).toFixed(0)} %`.padStart(8)).join('');
    const steps = runs.map((run) => String(run.steps).padStart(8)).join('');
    const [before, after] = [median(runs.map((run) => run.before)), median(runs.map((run) => run.after))];
    console.log(`${variant.padEnd(15)} ${String(T).padStart(4)} ${right}   ${steps}   ${small(before)}${small(after)}`);
  }
}
