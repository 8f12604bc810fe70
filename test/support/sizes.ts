/** Sizes around the lane counts 4, 8 and 16, and values at the edges of float32. */

/** Lengths of vectors: empty, around one vector and around four of them, and enough for threads to share. */
export const lengths: readonly number[] = [0, 1, 3, 4, 7, 15, 16, 17, 31, 32, 33, 63, 65, 67, 1025, 40_003];

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const largest = 3.4028234663852886e38;
const smallestNormal = 2 ** -126;
const subnormal = 2 ** -140;

/** Their number is prime, so that they meet every lane, and other lists of values. */
export const specials: readonly number[] = [
  ...[nan, inf, -inf, 0, -0, 1, -1],
  ...[largest, -largest, smallestNormal, -smallestNormal, subnormal, -subnormal],
];
/** Without what overflows or is subnormal; eleven of them. */
export const tameSpecials: readonly number[] = [nan, inf, -inf, 0, -0, 1, -1, 0.5, -2, 1e-3, 3];
