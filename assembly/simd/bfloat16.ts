/** Rounding to bfloat16, the upper half of a float32. */

/** x = the bfloat16 number nearest to x, ties to even, for n elements, a multiple of four. NaN stays NaN. */
export function roundToBfloat16(n: usize, x: usize): void {
  for (const end = x + (n << 2); x < end; x += 16) {
    const bits = v128.load(x);
    const odd = v128.and(i32x4.shr_u(bits, 16), i32x4.splat(1));
    const rounded = i32x4.add(i32x4.add(bits, i32x4.splat(0x7fff)), odd);
    const quiet = v128.or(bits, i32x4.splat(0x00400000));
    const nearest = v128.bitselect(quiet, rounded, f32x4.ne(bits, bits));
    v128.store(x, v128.and(nearest, i32x4.splat(0xffff0000)));
  }
}
