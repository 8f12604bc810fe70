/** Philox4x32-10 (Salmon, Moraes, Dror & Shaw, SC 2011): four random words from a counter and a key, in any order. */

const MULTIPLIER_0: u64 = 0xd2511f53;
const MULTIPLIER_1: u64 = 0xcd9e8d57;
const WEYL_0: u32 = 0x9e3779b9; // the golden ratio
const WEYL_1: u32 = 0xbb67ae85; // √3 − 1

/** The words of counter (block, stream, step, 0). */
@inline export function philox(key0: u32, key1: u32, block: u32, stream: u32, step: u32): v128 {
  let x0 = block, x1 = stream, x2 = step, x3: u32 = 0;
  for (let round = 0; round < 10; round++) {
    const product0 = MULTIPLIER_0 * <u64>x0;
    const product1 = MULTIPLIER_1 * <u64>x2;
    x0 = <u32>(product1 >> 32) ^ x1 ^ key0;
    x1 = <u32>product1;
    x2 = <u32>(product0 >> 32) ^ x3 ^ key1;
    x3 = <u32>product0;
    key0 += WEYL_0;
    key1 += WEYL_1;
  }
  let words = i32x4.splat(x0);
  words = i32x4.replace_lane(words, 1, x1);
  words = i32x4.replace_lane(words, 2, x2);
  return i32x4.replace_lane(words, 3, x3);
}
