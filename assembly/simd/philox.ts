/** Philox4x32-10 (Salmon, Moraes, Dror & Shaw, SC 2011): four random words from a counter and a key, in any order. */
import { splat } from './lanes';

const MULTIPLIERS: usize = memory.data<u32>([0xd2511f53, 0xcd9e8d57]);
const WEYL: usize = memory.data<u32>([0x9e3779b9, 0xbb67ae85]); // the golden ratio and √3 − 1

const ROUNDS: i32 = 10;

export const TWO_TO_MINUS_24: f32 = 5.9604644775390625e-8;

/**
 * Words of the counters (block, stream, step, 0) for the blocks `first`, first + apart, …, four of them: word w of all at `to` + 16·w.
 * `random` is seedLow, seedHigh, step.
 */
export function philox(first: i32, apart: i32, random: usize, stream: i32, to: usize): void {
  const multiplier0 = v128.load32_splat(MULTIPLIERS), multiplier2 = v128.load32_splat(MULTIPLIERS, 4);
  const weyl0 = v128.load32_splat(WEYL), weyl1 = v128.load32_splat(WEYL, 4);
  let key0 = v128.load32_splat(random), key1 = v128.load32_splat(random, 4);
  let x0 = i32x4.add(i32x4.splat(first), i32x4.mul(i32x4.splat(apart), i32x4(0, 1, 2, 3))), x1 = i32x4.splat(stream);
  let x2 = v128.load32_splat(random, 8), x3 = i32x4.splat(0);
  for (let round = 0; round < ROUNDS; round++) {
    const low0 = i64x2.extmul_low_i32x4_u(x0, multiplier0), high0 = i64x2.extmul_high_i32x4_u(x0, multiplier0);
    const low2 = i64x2.extmul_low_i32x4_u(x2, multiplier2), high2 = i64x2.extmul_high_i32x4_u(x2, multiplier2);
    x0 = v128.xor(v128.xor(upperHalves(low2, high2), x1), key0);
    x2 = v128.xor(v128.xor(upperHalves(low0, high0), x3), key1);
    x1 = lowerHalves(low2, high2);
    x3 = lowerHalves(low0, high0);
    key0 = i32x4.add(key0, weyl0);
    key1 = i32x4.add(key1, weyl1);
  }
  v128.store(to, x0);
  v128.store(to, x1, 16);
  v128.store(to, x2, 32);
  v128.store(to, x3, 48);
}

/** Of four products of 64 bits. */
@inline function upperHalves(products0: v128, products2: v128): v128 { return v128.shuffle<i32>(products0, products2, 1, 3, 5, 7); }
@inline function lowerHalves(products0: v128, products2: v128): v128 { return v128.shuffle<i32>(products0, products2, 0, 2, 4, 6); }

/** The upper 24 bits of each word as whole numbers: exact in float32, and the conversion of signed integers will do. */
@inline export function upper24(words: v128): v128 { return i32x4.shr_u(words, 8); }
/** Numbers in [0, 1). */
@inline export function uniform(words: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(upper24(words)), splat(TWO_TO_MINUS_24));
}
