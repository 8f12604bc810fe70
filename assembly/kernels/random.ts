/** Random numbers from Philox: element e takes word e mod 4 of block e / 4, so every element can be had on its own. */
import { Dropout, PhiloxNormal, PhiloxUniform } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { philox } from '../simd/philox';

const TWO_TO_MINUS_24: f32 = 5.9604644775390625e-8;

/** The words of a block for the operand `random` (seedLow, seedHigh, step). */
@inline function wordsOf(random: usize, stream: i32, block: i32): v128 {
  return philox(load<u32>(random), load<u32>(random, 4), block, stream, load<u32>(random, 8));
}

/** The upper 24 bits of each word as whole numbers: exact in float32, and the conversion of signed integers will do. */
@inline function upper24(words: v128): v128 { return i32x4.shr_u(words, 8); }
@inline function uniform(words: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(upper24(words)), splat(TWO_TO_MINUS_24));
}

export function dropout(r: Dropout): void {
  const random = r.random, stream = r.stream;
  const rate = splat(r.rate), keepScale = splat(r.keepScale);
  let x = r.x, y = r.y;
  for (let left = r.n, block = 0; left > 0; left -= 4, block++, x += 16, y += 16) {
    const keep = f32x4.ge(uniform(wordsOf(random, stream, block)), rate);
    storeLanes(y, v128.and(f32x4.mul(loadLanes(x, left), keepScale), keep), left);
  }
}

export function philoxUniform(r: PhiloxUniform): void {
  const random = r.random, stream = r.stream;
  const low = splat(r.low), range = splat(r.range);
  let y = r.y;
  for (let left = r.n, block = 0; left > 0; left -= 4, block++, y += 16) {
    storeLanes(y, fma(uniform(wordsOf(random, stream, block)), range, low), left);
  }
}

/** Box–Muller: words (p, q) give r·cos in the even and r·sin in the odd lane, r = sqrt(−2 ln p), p in (0, 1]. */
export function philoxNormal(r: PhiloxNormal): void {
  const random = r.random, stream = r.stream;
  const mean = splat(r.mean), deviation = splat(r.deviation);
  let y = r.y;
  for (let left = r.n, block = 0; left > 0; left -= 4, block++, y += 16) {
    const words = wordsOf(random, stream, block);
    const first = upper24(v128.shuffle<i32>(words, words, 0, 0, 2, 2));
    const p = f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(first, i32x4.splat(1))), splat(TWO_TO_MINUS_24));
    const q = uniform(v128.shuffle<i32>(words, words, 1, 1, 3, 3));
    const radius = f32x4.sqrt(f32x4.mul(splat(-2), math.log(p)));
    const direction = v128.shuffle<f32>(math.cosine2Pi(q), math.sine2Pi(q), 0, 5, 2, 7);
    storeLanes(y, fma(f32x4.mul(radius, direction), deviation, mean), left);
  }
}
