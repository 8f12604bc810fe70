/** Batches of sequences of similar length, padded to a ladder of lengths so that batches share programs. */
import { randomNumbers, shuffled } from './shuffle.js';

/** The shortest rung of the ladder 1, 2, 3, 4, 6, 8, 12, 16, 24, … that a length fits: at most half of it again is padding. */
export function rung(length: number): number {
  let power = 1;
  while (power < length) power *= 2;
  const between = (power / 4) * 3;
  return Number.isInteger(between) && length <= between ? between : power;
}

/** Batches that are shuffled and then sorted by length together: enough of them that lengths within a batch are close. */
const POOL_BATCHES = 32;

/**
 * The positions of sequences in batches of up to `batch`, similar lengths together, in an order that a seed and a turn decide.
 * Every position comes once.
 */
export function bucketed(
  lengths: readonly number[],
  { batch, seed, turn }: { readonly batch: number; readonly seed: number; readonly turn: number },
): number[][] {
  const random = randomNumbers(seed, turn);
  const order = shuffled(lengths.keys(), random);
  const batches: number[][] = [];
  for (let start = 0; start < order.length; start += batch * POOL_BATCHES) {
    const pool = order.slice(start, start + batch * POOL_BATCHES);
    batches.push(...inBatches(pool, lengths, batch));
  }
  return shuffled(batches, random);
}

/** The positions of sequences in batches of up to `batch`, from the shortest to the longest. */
export function sortedBatches(lengths: readonly number[], batch: number): number[][] {
  return inBatches([...lengths.keys()], lengths, batch);
}

function inBatches(positions: readonly number[], lengths: readonly number[], batch: number): number[][] {
  const sorted = positions.toSorted((a, b) => (lengths[a] as number) - (lengths[b] as number));
  return Array.from({ length: Math.ceil(sorted.length / batch) }, (_, index) =>
    sorted.slice(index * batch, (index + 1) * batch),
  );
}
