/** The arithmetic this engine can do at most, for benchmarks to be compared with. */
import { fma, splat } from './simd/lanes';

/** In memory, since V8 makes a constant anew wherever it is used, which is more work than the arithmetic. */
const FACTOR: usize = memory.data<f32>([0.5]);
const TERM: usize = memory.data<f32>([1]);

/** Floating-point operations in one round of {@link multiplyAdds}: 12 vectors of 4 lanes. */
export const ROUND_FLOPS: i32 = 96;

/** Does `rounds` rounds of multiply-adds that never leave the registers: 12 + 2 of the 15 that V8 has. */
export function multiplyAdds(rounds: i32): f32 {
  const factor = v128.load32_splat(FACTOR), term = v128.load32_splat(TERM);
  let x0 = splat(0), x1 = splat(1), x2 = splat(2), x3 = splat(3), x4 = splat(4), x5 = splat(5);
  let x6 = splat(6), x7 = splat(7), x8 = splat(8), x9 = splat(9), x10 = splat(10), x11 = splat(11);
  for (let round = 0; round < rounds; round++) {
    x0 = fma(x0, factor, term);
    x1 = fma(x1, factor, term);
    x2 = fma(x2, factor, term);
    x3 = fma(x3, factor, term);
    x4 = fma(x4, factor, term);
    x5 = fma(x5, factor, term);
    x6 = fma(x6, factor, term);
    x7 = fma(x7, factor, term);
    x8 = fma(x8, factor, term);
    x9 = fma(x9, factor, term);
    x10 = fma(x10, factor, term);
    x11 = fma(x11, factor, term);
  }
  x0 = f32x4.add(f32x4.add(f32x4.add(x0, x1), f32x4.add(x2, x3)), f32x4.add(x4, x5));
  x6 = f32x4.add(f32x4.add(f32x4.add(x6, x7), f32x4.add(x8, x9)), f32x4.add(x10, x11));
  return f32x4.extract_lane(f32x4.add(x0, x6), 0);
}
