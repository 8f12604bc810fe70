/**
 * Masked batches for training from nothing: short sequences first, then longer ones, the same number of tokens in each batch.
 *
 * Attention begins by looking at everything alike. A neighbour among 128 tokens weighs so little then that what it says of a masked token drowns
 * in the noise of a batch, and a small model stays for thousands of steps at how frequent tokens are; among 16 it is found within
 * hundreds. (Devlin et al. 2019, appendix A.2, also train on short sequences first, to save time.)
 */
import type { MaskedBatch } from '../data/encoder-batch.js';
import type { Encoding } from '../data/tokenizer.js';
import { type MaskedBatchOptions, maskedTrainingBatches } from './masked-batches.js';
import type { Masking } from './masking.js';

export interface GrowingBatchOptions extends MaskedBatchOptions {
  /** Of the whole training. */
  readonly steps: number;
}

/** Tokens of a sequence in the first steps; from stage to stage they double. */
const SHORTEST = 16;
/** The steps with the shortest: a share of all, at least so many as attention takes to find neighbours, at most half of all. */
const shortestSteps = (steps: number): number => Math.round(Math.min(steps / 2, Math.max(600, steps / 6)));
/** The share of all steps that each of the other stages takes. */
const SHARE = 1 / 15;

interface Stage {
  /** Tokens of a row at most. */
  readonly length: number;
  readonly steps: number;
}

/** The stages before the one of full length, none where that is short itself. */
export function stagesBefore(longest: number, steps: number): Stage[] {
  const stages: Stage[] = [];
  for (let length = SHORTEST; length < longest; length *= 2) {
    stages.push({ length, steps: length === SHORTEST ? shortestSteps(steps) : Math.round(steps * SHARE) });
  }
  return stages;
}

/**
 * Without end: `batch` rows of `longest` tokens after the shorter ones, of which there are more rows.
 * @param cut the text in sequences of so many tokens at most
 * @throws DataError if there are no sequences
 */
export function* growingTrainingBatches(
  cut: (maxLength: number) => readonly Encoding[],
  masking: Masking,
  { batch, longest, steps, seed }: GrowingBatchOptions,
): Generator<MaskedBatch, void, undefined> {
  for (const stage of stagesBefore(longest, steps)) {
    const rows = Math.floor((batch * longest) / stage.length);
    const batches = maskedTrainingBatches(cut(stage.length), masking, { batch: rows, longest: stage.length, seed });
    for (let step = 0; step < stage.steps; step++) yield batches.next().value;
  }
  yield* maskedTrainingBatches(cut(longest), masking, { batch, longest, seed });
}
