/** `npm run bench -- padding`: training steps on rows of unequal length beside the same steps on rows that are all as long as the longest. */
import type { Command } from 'commander';
import type { Backend } from '../src/backends/executor.js';
import { describeInLines, describeMachine } from '../src/bench/machine.js';
import { summarise } from '../src/bench/statistics.js';
import { formatNumber, formatTable } from '../src/cli/bench/table.js';
import { type BackendFlags, backendFrom, nameOf, numberOption, positive, withBackend } from '../src/cli/command.js';
import { randomNumbers } from '../src/data/shuffle.js';
import type { Graph } from '../src/graph/graph.js';
import type { Tensor } from '../src/graph/tensor.js';
import { Embedding } from '../src/nn/embedding.js';
import { Linear } from '../src/nn/linear.js';
import { Parameters } from '../src/nn/parameters.js';
import { Recurrent, type RecurrentKind } from '../src/nn/recurrent.js';
import { crossEntropy, reshape } from '../src/ops/index.js';
import { Arena } from '../src/program/variable.js';
import { type BatchShape, Model, type Network } from '../src/train/model.js';
import { type Batch, Trainer } from '../src/train/trainer.js';

const [VOCABULARY, IGNORED] = [96, -100];

/** Embedding → recurrence → head; with or without lengths. */
class Labeller implements Network {
  readonly parameters = new Parameters();
  readonly #embedding: Embedding;
  readonly #recurrent: Recurrent;
  readonly #head: Linear;

  constructor(kind: RecurrentKind, hidden: number) {
    const { scope } = this.parameters;
    this.#embedding = new Embedding(scope.child('embedding'), { count: VOCABULARY, size: hidden });
    this.#recurrent = new Recurrent(scope.child(kind), { kind, inputSize: hidden, hiddenSize: hidden });
    this.#head = new Linear(scope.child('head'), { inputSize: hidden, outputSize: VOCABULARY });
  }

  stateArena(name: string): Arena {
    return new Arena(name);
  }

  loss(graph: Graph, { time, batch, lengths = false }: BatchShape, _: Arena, denominator: Tensor) {
    const words = this.#embedding.lookUp(graph.input('tokens', [time, batch], 'i32'));
    const given = lengths ? { lengths: graph.input('lengths', [batch], 'i32') } : {};
    const scores = this.#head.forward(this.#recurrent.forward(words, given, {}).output);
    const labels = graph.input('labels', [time * batch], 'i32');
    return { loss: crossEntropy(reshape(scores, [time * batch, VOCABULARY]), labels, denominator), next: [] };
  }
}

/** A batch with the lengths that `lengthOf` gives its rows, or without lengths. */
function batchOf(time: number, batch: number, lengthOf: ((row: number) => number) | undefined): Batch {
  const random = randomNumbers(1, 0);
  const lengths = Int32Array.from({ length: batch }, (_, row) => lengthOf?.(row) ?? time);
  const tokens = Int32Array.from({ length: time * batch }, () => Math.floor(random() * VOCABULARY));
  const labels = tokens.map((token, index) =>
    Math.floor(index / batch) < (lengths[index % batch] as number) ? token : IGNORED,
  );
  const labelCount = lengths.reduce((sum, length) => sum + length, 0);
  const shape = { time, batch, labelCount, first: true };
  return lengthOf === undefined
    ? { ...shape, inputs: { tokens, labels } }
    : { ...shape, lengths: true, inputs: { tokens, labels, lengths } };
}

/** Unsorted, every length about as often as the others; the first row has all steps. */
const unequal =
  (time: number) =>
  (row: number): number =>
    row === 0 ? time : 1 + ((row * 7919) % time);

const subjects = {
  'no lengths': () => undefined,
  'lengths, all of them T': (time: number) => () => time,
  'lengths 1 … T, unsorted': unequal,
} as const satisfies Record<string, (time: number) => ((row: number) => number) | undefined>;

interface Flags extends BackendFlags {
  readonly hidden: number;
  readonly batch: number;
  readonly time: number;
  readonly seconds: number;
}

/** Milliseconds of steps of each subject, in turns. */
async function measure(kind: RecurrentKind, { hidden, batch, time, seconds }: Flags, backend: Backend) {
  const subject = async (lengths: ((row: number) => number) | undefined) => {
    const model = new Model(new Labeller(kind, hidden), backend);
    await model.allocate();
    await model.initialise(1);
    return { trainer: new Trainer(model), batches: [batchOf(time, batch, lengths)], model, losses: [] as number[] };
  };
  const all = await Promise.all(Object.values(subjects).map((lengthsOf) => subject(lengthsOf(time))));
  const times = all.map((): number[] => []);
  const end = performance.now() + seconds * 1000;
  for (let turn = 0; turn < 5 || performance.now() < end; turn++) {
    for (const [index, { trainer, batches, losses }] of all.entries()) {
      const start = performance.now();
      const [step] = await trainer.fit(batches);
      losses.push(step?.loss as number);
      if (turn >= 2) times[index]?.push(performance.now() - start); // until V8 has optimised, and memory pages are there
    }
  }
  const [without, full] = all.map(({ losses }) => losses);
  if (without?.join() !== full?.join())
    throw new Error(`${kind}: Expected lengths of T to give the losses without lengths`);
  await Promise.all(all.map(({ model }) => model.engine.close()));
  return times.map((each) => summarise([each]));
}

async function padding(flags: Flags): Promise<void> {
  const backend = await backendFrom(flags);
  const rows: string[][] = [];
  for (const kind of ['lstm', 'gru', 'rnn'] as const) {
    const summaries = await measure(kind, flags, backend);
    for (const [index, name] of Object.keys(subjects).entries()) {
      const its = summaries[index];
      const first = summaries[0];
      if (its === undefined || first === undefined) continue;
      const doubt = its.doubts.length > 0 ? ' *' : '';
      const ratio = (its.median / first.median).toFixed(2);
      rows.push([`${kind}: ${name}${doubt}`, formatNumber(its.median), formatNumber(its.min), ratio]);
    }
  }
  const { hidden, batch, time } = flags;
  const title = `Embedding(${VOCABULARY}, ${hidden}) → H ${hidden} → Linear(${hidden}, ${VOCABULARY}), B ${batch}, T ${time}`;
  const columns = [
    { heading: 'training step', left: true },
    ...['ms', 'min', 'to the first'].map((heading) => ({ heading })),
  ] as const;
  const stars = '* noisy: half of the steps are more than 10 % of the median apart';
  const lines = [title, nameOf(backend), ...describeInLines(describeMachine()), '', formatTable(columns, rows), stars];
  process.stdout.write(`${lines.join('\n')}\n`);
}

export function definePadding(program: Command): void {
  const whole = numberOption({ from: 1, whole: true });
  const command = program
    .command('padding')
    .description('rows of unequal length beside rows that are all as long as the longest')
    .option('--hidden <n>', 'hidden units, H', whole, 256)
    .option('--batch <n>', 'rows, B', whole, 32)
    .option('--time <n>', 'time steps, T', whole, 64)
    .option('--seconds <s>', 'of measuring for each kind', positive(), 5)
    .action(padding);
  withBackend(command);
}
