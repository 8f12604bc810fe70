/** Going over examples in batches: to train on them without end, or once, for what is found. */
import { bucketed, sortedBatches } from '../data/batching.js';
import { DataError } from '../data/errors.js';
import { anything, checkOptions, wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import type { BatchResult, PassOptions } from './task-model.js';

export interface TrainingPassOptions {
  /** Rows of a batch. */
  readonly batch?: number;
  /** Of the order of examples. Default 1. */
  readonly seed?: number;
}

export const trainingPassRules = { batch: wholeNumber(1), seed: wholeNumber(0) };
export const passRules = { batch: wholeNumber(1), signal: anything };

/** Encoded examples, and how some of them become a batch of so many rows. */
export interface EncodedExamples<E> {
  readonly examples: readonly E[];
  lengthOf(example: E): number;
  batch(examples: readonly E[], rows: number): Batch;
}

/** The examples at some positions. */
const at = <E>(examples: readonly E[], positions: readonly number[]): E[] =>
  positions.map((position) => examples[position] as E);

/**
 * Batches for training, without end: examples of similar length together, in a new order in every pass.
 * @throws DataError if there are no examples
 */
export function* trainingPasses<E>(
  { examples, lengthOf, batch: toBatch }: EncodedExamples<E>,
  options: TrainingPassOptions & { readonly batch: number },
): Generator<Batch, void, undefined> {
  checkOptions('batches', options, trainingPassRules);
  const { batch, seed = 1 } = options;
  if (examples.length === 0) throw new DataError('Expected examples to train on but received none');
  const rows = Math.min(batch, examples.length);
  const lengths = examples.map(lengthOf);
  for (let turn = 0; ; turn++) {
    for (const positions of bucketed(lengths, { batch: rows, seed, turn }))
      yield toBatch(at(examples, positions), rows);
  }
}

/** What was found for an example. */
export interface Found {
  /** The example's, among all. */
  readonly position: number;
  /** Its row in the batch it was in. */
  readonly row: number;
  readonly result: BatchResult;
}

/** The results of every example, batch by batch, from the shortest to the longest. */
export async function* onePass<E>(
  { examples, lengthOf, batch: toBatch }: EncodedExamples<E>,
  { batch, signal }: PassOptions & { readonly batch: number },
  compute: (batch: Batch) => Promise<BatchResult>,
): AsyncGenerator<Found, void, undefined> {
  const rows = Math.min(batch, Math.max(1, examples.length));
  for (const positions of sortedBatches(examples.map(lengthOf), rows)) {
    if (signal?.aborted) return;
    const result = await compute(toBatch(at(examples, positions), rows));
    for (const [row, position] of positions.entries()) yield { position, row, result };
  }
}
