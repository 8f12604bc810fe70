/**
 * Random numbers from a counter instead of a state: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers:
 * as easy as 1, 2, 3"). Ten rounds turn a counter of four words and a key of two into four random words, so element e of a
 * tensor can be drawn by itself, in any order, on any backend.
 */
import type { Definition, Tensor } from './tensor.js';

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

type Words = [number, number, number, number];

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

/** The upper 24 bits of the random word of every element: counter (element / 4, stream, step, 0), word element mod 4. */
function draw(random: Tensor, stream: number): (element: number) => number {
  const key = [random.at(0), random.at(1)] as const;
  const step = random.at(2);
  return (element) => {
    const words = philox([Math.floor(element / 4), stream, step, 0], key);
    return (words[element % 4] as number) >>> 8;
  };
}

const UNIT = 2 ** -24;

/** y = x · keepScale with probability 1 − rate, else 0 (Srivastava et al. 2014). Its gradient is dropout(dy): the same draw. */
export const dropout: Definition<'dropout'> = ({
  operands: { x, random, y },
  dims: { n, stream },
  scalars: { rate, keepScale },
}) => {
  const bits = draw(random, stream);
  for (let e = 0; e < n; e++) y.set(bits(e) * UNIT >= rate ? x.at(e) * keepScale : 0, e);
};

export const philoxUniform: Definition<'philoxUniform'> = ({
  operands: { random, y },
  dims: { n, stream },
  scalars: { low, range },
}) => {
  const bits = draw(random, stream);
  for (let e = 0; e < n; e++) y.set(low + bits(e) * UNIT * range, e);
};

/** Two normal deviates from two uniforms (Box & Muller 1958). The logarithm's argument is in (0, 1]: never log 0. */
export const philoxNormal: Definition<'philoxNormal'> = ({
  operands: { random, y },
  dims: { n, stream },
  scalars: { mean, deviation },
}) => {
  const bits = draw(random, stream);
  for (let e = 0; e < n; e++) {
    const even = e - (e % 2);
    const r = Math.sqrt(-2 * Math.log((bits(even) + 1) * UNIT));
    const angle = 2 * Math.PI * bits(even + 1) * UNIT;
    y.set(mean + deviation * r * (e === even ? Math.cos(angle) : Math.sin(angle)), e);
  }
};
