/** Batches for masked language models: sequences of similar length together, masked anew in every pass. */
import { bucketed, sortedBatches } from '../data/batching.js';
import type { MaskedBatch } from '../data/encoder-batch.js';
import { DataError } from '../data/errors.js';
import type { Encoding } from '../data/tokenizer.js';
import type { Masking } from './masking.js';

export interface MaskedBatchOptions {
  /** Rows of a batch. */
  readonly batch: number;
  /** Tokens of a row at most. */
  readonly longest: number;
  /** Of the order and the masks. Default 1. */
  readonly seed?: number | undefined;
}

/** The sequences at these positions as one batch. */
function maskedBatch(
  sequences: readonly Encoding[],
  masking: Masking,
  positions: readonly number[],
  pass: { readonly rows: number; readonly longest: number; readonly seed: number; readonly turn: number },
): MaskedBatch {
  const numbered = positions.map((item) => ({ ...(sequences[item] as Encoding), item }));
  return masking.batch(numbered, pass);
}

const lengthsOf = (sequences: readonly Encoding[]): number[] => sequences.map(({ tokens }) => tokens.length);

/** Without end, in a new order and masked anew in every pass. @throws DataError if there are no sequences */
export function* maskedTrainingBatches(
  sequences: readonly Encoding[],
  masking: Masking,
  { batch, longest, seed = 1 }: MaskedBatchOptions,
): Generator<MaskedBatch, never, undefined> {
  if (sequences.length === 0) throw new DataError('Expected texts to train on but received none');
  const lengths = lengthsOf(sequences);
  const rows = Math.min(batch, sequences.length);
  for (let turn = 0; ; turn++) {
    for (const positions of bucketed(lengths, { batch: rows, seed, turn })) {
      yield maskedBatch(sequences, masking, positions, { rows, longest, seed, turn });
    }
  }
}

/** Every sequence once, from the shortest to the longest; the same sequences and seed are always masked alike. */
export function* maskedEvaluationBatches(
  sequences: readonly Encoding[],
  masking: Masking,
  { batch, longest, seed = 1 }: MaskedBatchOptions,
): Generator<MaskedBatch, void, undefined> {
  const rows = Math.min(batch, sequences.length);
  for (const positions of sortedBatches(lengthsOf(sequences), rows)) {
    yield maskedBatch(sequences, masking, positions, { rows, longest, seed, turn: 0 });
  }
}
