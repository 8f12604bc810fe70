/**
 * Random numbers from a counter instead of a state: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers:
 * as easy as 1, 2, 3"). Ten rounds turn a counter of four words and a key of two into four random words, so any element of any
 * tensor can be drawn by itself, in any order, anywhere.
 */

/** Multipliers of the two halves of a round, and the Weyl increments of the key (Salmon et al. 2011, section 4). */
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9; // the golden ratio
const WEYL_1 = 0xbb67ae85; // √3 − 1
const ROUNDS = 10;

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const [a1, a0] = [a >>> 16, a & 0xffff];
  const [b1, b0] = [b >>> 16, b & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16); // < 2⁴⁸: exact
  const carry = (middle % 0x10000) + a0 * b1;
  return (a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

export type Words = [number, number, number, number];

/** Four random words (unsigned) for a counter and a key. */
export function philox(counter: Readonly<Words>, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = [multiplyHigh(MULTIPLIER_0, c0 >>> 0), Math.imul(MULTIPLIER_0, c0)];
    const [high1, low1] = [multiplyHigh(MULTIPLIER_1, c2 >>> 0), Math.imul(MULTIPLIER_1, c2)];
    [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
    [k0, k1] = [(k0 + WEYL_0) | 0, (k1 + WEYL_1) | 0];
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}
