/** Orders that a seed decides, and other choices. */
import { philox, type Words } from '../program/philox.js';

/** Philox counters carry in their last word what the numbers are for; those of dropout and initial values carry 0. */
const purposes = { order: 1, masking: 2 };

/** Random numbers in [0, 1) that a seed, a turn and the number of an item decide, one after another. */
export function randomNumbers(
  seed: number,
  turn = 0,
  { purpose = 'order', item = 0 }: { readonly purpose?: keyof typeof purposes; readonly item?: number } = {},
): () => number {
  const key = [seed | 0, Math.floor(seed / 2 ** 32) | 0] as const;
  let words: Words = [0, 0, 0, 0];
  let drawn = 0;
  return () => {
    if (drawn % 4 === 0) words = philox([drawn / 4, turn, item, purposes[purpose]], key);
    return (words[drawn++ % 4] as number) / 2 ** 32;
  };
}

/** The values in another order (Fisher & Yates 1938, in Durstenfeld's form). */
export function shuffled<T>(values: Iterable<T>, random: () => number): T[] {
  const order = [...values];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other] as T, order[last] as T];
  }
  return order;
}
