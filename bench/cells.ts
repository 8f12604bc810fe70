/** The training steps that are measured: a character-level LSTM language model, Embedding(V, H) → LSTM(H) → Linear(H, V). */
import type { Backend } from '../src/backends/executor.js';
import { CharacterVocabulary } from '../src/data/vocabulary.js';
import { LanguageModel } from '../src/models/language-model.js';
import { type Batch, Trainer } from '../src/train/trainer.js';

export interface Cell {
  readonly name: string;
  /** H, and the size of the embedding. */
  readonly hiddenSize: number;
  /** B */
  readonly batch: number;
  /** T */
  readonly time: number;
  /** V */
  readonly vocabularySize: number;
}

export const cells: readonly Cell[] = [
  { name: 'lstm128', hiddenSize: 128, batch: 32, time: 64, vocabularySize: 96 },
  { name: 'lstm64', hiddenSize: 64, batch: 8, time: 32, vocabularySize: 96 },
];

/** @throws Error for a name that no cell has. */
export function cellOf(name: string): Cell {
  const found = cells.find((cell) => cell.name === name);
  if (found === undefined) throw new Error(`no cell ${name}`);
  return found;
}

export const describeCell = ({ name, hiddenSize: H, batch, time, vocabularySize: V }: Cell): string =>
  `${name}: Embedding(${V}, ${H}) → LSTM ${H} → Linear(${H}, ${V}), B ${batch}, T ${time}`;

export const tokensOf = ({ batch, time }: Cell): number => batch * time;

/**
 * Floating-point operations of a training step, as everybody counts them: 2·M·N·K of the model's matrix products (input
 * projection, recurrence, head), forward once and backward twice. What is recomputed or elementwise does not count.
 */
export function flopsOfStep(cell: Cell): number {
  const { hiddenSize: H, vocabularySize: V } = cell;
  return 3 * 2 * tokensOf(cell) * (4 * H * H + 4 * H * H + H * V);
}

/** Windows until the text begins anew. */
const WINDOWS = 64;

/** Tokens that follow one another by a rule that can be learned, with some that do not (numbers of Lehmer 1951). */
function text({ batch, time, vocabularySize }: Cell): Int32Array<ArrayBuffer> {
  let random = 1;
  let token = 0;
  return Int32Array.from({ length: WINDOWS * batch * time + 1 }, () => {
    random = (random * 48271) % 0x7fffffff;
    token = random % 4 === 0 ? random % vocabularySize : (token * 5 + 7) % vocabularySize;
    return token;
  });
}

export interface Training {
  readonly model: LanguageModel;
  readonly trainer: Trainer;
  /** Without end; each loop over them goes on where the one before stopped. */
  readonly batches: Iterable<Batch>;
}

/** The same values, but a loop that stops early does not end them. */
function withoutEnd<T>(values: Generator<T, void>): Iterable<T> {
  return { [Symbol.iterator]: () => ({ next: () => values.next() }) };
}

/** A model of a cell with fresh parameters, the same on every backend, and all it takes to train it: AdamW, clipping at 1. */
export async function startTraining(cell: Cell, backend: Backend): Promise<Training> {
  const { hiddenSize, batch, time, vocabularySize } = cell;
  const characters = String.fromCodePoint(...Array.from({ length: vocabularySize }, (_, index) => 0x100 + index));
  const vocabulary = CharacterVocabulary.fromText(characters);
  const model = await LanguageModel.create({ vocabulary, hiddenSize, backend, seed: 1 });
  const trainer = new Trainer(model, { learningRate: 2e-3, clipNorm: 1 });
  return { model, trainer, batches: withoutEnd(model.batches(text(cell), { batch, window: time })) };
}
