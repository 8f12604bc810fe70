/** Four float32 lanes at a time: multiply-add, partial loads and stores, and the tree that ends a sum over sixteen lanes. */

@inline export function splat(x: f32): v128 { return f32x4.splat(x); }

/** a · b + c: rounded once in the relaxed build (on machines with fused multiply-add), rounded twice in the SIMD build. */
@inline export function fma(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * The first four of `left` elements, missing ones 0. A tail goes through the same vector arithmetic as the body, so a result
 * does not depend on its position, and nothing behind the operand is touched: memory may end there.
 */
@inline export function loadLanes(from: usize, left: i32): v128 {
  if (left >= 4) return v128.load(from);
  if (left <= 0) return f32x4.splat(0);
  if (left == 1) return v128.load32_zero(from);
  const pair = v128.load64_zero(from);
  return left == 2 ? pair : v128.load32_lane(from, pair, 2, 8);
}

/** Stores the first min(left, 4) lanes. */
@inline export function storeLanes(to: usize, lanes: v128, left: i32): void {
  if (left >= 4) {
    v128.store(to, lanes);
    return;
  }
  if (left >= 2) v128.store64_lane(to, lanes, 0);
  if (left == 3) v128.store32_lane(to, lanes, 2, 8);
  if (left == 1) v128.store32_lane(to, lanes, 0);
}

/** Lanes 0 … left−1 all ones, the others zero. */
@inline export function maskOf(left: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(left));
}

/** Combines sixteen partial sums, four to a vector: lane l + lane l+8, then +4, +2, +1. */
@inline export function sumOf16(lanes0: v128, lanes4: v128, lanes8: v128, lanes12: v128): f32 {
  const four = f32x4.add(f32x4.add(lanes0, lanes8), f32x4.add(lanes4, lanes12));
  const two = f32x4.add(four, v128.shuffle<f32>(four, four, 2, 3, 0, 1));
  return f32x4.extract_lane(two, 0) + f32x4.extract_lane(two, 1);
}
