/** The models whose training steps are measured, and what a step of each is worth in floating-point operations. */
import { trainingWindows } from '../data/streams.js';
import { LanguageModelNetwork } from '../nn/language-model.js';
import { OptionError } from '../program/options.js';
import type { Network } from '../train/model.js';
import type { Batch } from '../train/trainer.js';

/** A training step that can be measured: a model and the shape of its batches. */
export interface Cell {
  readonly model: ModelName;
  /** H, and the size of the embedding. */
  readonly hidden: number;
  readonly layers: number;
  /** V */
  readonly vocabulary: number;
  /** B */
  readonly batch: number;
  /** T */
  readonly time: number;
}

/** What the bench knows about a kind of model. */
interface BenchModel {
  /** `Embedding(96, 128) → LSTM 128 × 2 → Linear(128, 96)` */
  describe(cell: Cell): string;
  network(cell: Cell): Network;
  /** Of the matrix products in one forward pass over one token. */
  forwardFlopsPerToken(cell: Cell): number;
}

/** A character-level language model: Embedding(V, H) → layers → Linear(H, V). A layer has `gates` gates of H units. */
const recurrent = (kind: 'rnn' | 'lstm' | 'gru', gates: number): BenchModel => ({
  describe: ({ hidden, layers, vocabulary }) =>
    `Embedding(${vocabulary}, ${hidden}) → ${kind.toUpperCase()} ${hidden}${layers > 1 ? ` × ${layers}` : ''} → Linear(${hidden}, ${vocabulary})`,
  network: ({ hidden, layers, vocabulary }) =>
    new LanguageModelNetwork({
      kind,
      vocabularySize: vocabulary,
      embeddingSize: hidden,
      hiddenSize: hidden,
      layers,
      dropout: 0,
    }),
  forwardFlopsPerToken: ({ hidden, layers, vocabulary }) =>
    2 * (layers * gates * hidden * (hidden + hidden) + hidden * vocabulary),
});

const models = {
  lstm: recurrent('lstm', 4),
  gru: recurrent('gru', 3),
  rnn: recurrent('rnn', 1),
} satisfies Readonly<Record<string, BenchModel>>;

export type ModelName = keyof typeof models;

export const modelNames = Object.keys(models) as ModelName[];

/** @throws OptionError naming the models that there are. */
export function modelNamed(name: string): ModelName {
  const found = modelNames.find((known) => known === name);
  if (found !== undefined) return found;
  throw new OptionError(`bench: Expected \`model\` to be one of ${modelNames.join(', ')} but received "${name}"`);
}

export const describeCell = (cell: Cell): string =>
  `${models[cell.model].describe(cell)}, B ${cell.batch}, T ${cell.time}`;

export const networkOf = (cell: Cell): Network => models[cell.model].network(cell);

export const tokensOf = ({ batch, time }: Cell): number => batch * time;

/**
 * Floating-point operations that a training step is credited with, in PyTorch's terms: 2·M·N·K of the model's matrix products,
 * forward once and backward twice. Elementwise work does not count, nor does what is computed again.
 */
export const creditedFlops = (cell: Cell): number => 3 * tokensOf(cell) * models[cell.model].forwardFlopsPerToken(cell);

/** Windows until the text begins anew. */
const WINDOWS = 64;

/** Tokens that follow one another by a rule that can be learned, with some that do not (numbers of Lehmer 1951). */
function text({ batch, time, vocabulary }: Cell): Int32Array<ArrayBuffer> {
  let random = 1;
  let token = 0;
  return Int32Array.from({ length: WINDOWS * batch * time + 1 }, () => {
    random = (random * 48271) % 0x7fffffff;
    token = random % 4 === 0 ? random % vocabulary : (token * 5 + 7) % vocabulary;
    return token;
  });
}

/** Batches without end, the same on every backend; state is carried from one to the next. */
export function* batchesOf(cell: Cell): Generator<Batch, never, void> {
  const { batch, time } = cell;
  for (const { inputs, labels, first } of trainingWindows(text(cell), { batch, window: time })) {
    yield { inputs: { tokens: inputs, labels }, time, batch, labelCount: labels.length, first };
  }
  throw new Error('unreachable: training windows have no end');
}

/** The same model, so small that the reference gets through it at once, with sizes that are no multiple of any vector's lanes. */
export const smaller = (cell: Cell): Cell => ({
  ...cell,
  hidden: Math.min(cell.hidden, 42),
  vocabulary: Math.min(cell.vocabulary, 51),
  batch: Math.min(cell.batch, 3),
  time: Math.min(cell.time, 5),
});
