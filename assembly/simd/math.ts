/**
 * exp, sigmoid, tanh, both forms of GELU, log, sine and cosine on four lanes. The order of operations is shared with the C++ kernels,
 * so that strict numerics gives the same bits there and here.
 */
import { fma, splat } from './lanes';

/**
 * V8 makes a v128 constant anew at each use, with three instructions; a load is one, and the gates of an LSTM use eighty. So the
 * constants lie in static memory.
 */
@inline function constant(table: usize, index: i32 = 0): v128 { return v128.load32_splat(table + (<usize>index << 2)); }

const ONE: usize = memory.data<f32>([1]);
const MINUS_TWO: usize = memory.data<f32>([-2]);
const SIGN: usize = memory.data<i32>([0x80000000]);

const EXP_LEAST: usize = memory.data<f32>([-87.33654]);
const LOG2_E: usize = memory.data<f32>([1.44269504]);
/** −ln 2 in two parts, so that n times the first is exact. */
const MINUS_LN2: usize = memory.data<f32>([-0.693359375, 2.12194440e-4]);
/** Adding 1.5 · 2²³ rounds a small number to an integer, ties to even, and leaves that integer in the low bits. */
const ROUND: usize = memory.data<f32>([12582912.0]);
const EXPONENT_BIAS: usize = memory.data<i32>([127 << 23]);

/** Minimax polynomials, highest power first: (eʳ − 1 − r) / r² and (tanh x − x) / x³ in x². */
const EXP: usize = memory.data<f32>([
  0.001381455920636654, 0.008368735201656818, 0.04166838899254799, 0.1666652113199234, 0.4999999403953552,
]);
const TANH: usize = memory.data<f32>([
  -0.005717045161873102, 0.02065058797597885, -0.05374349653720856, 0.13331490755081177, -0.3333328366279602,
]);
const TANH_SMALL: usize = memory.data<f32>([0.625]);

/** What GELU's argument is kept within: beyond it the tail is 0, and no infinite x meets it. */
const GELU_MOST: usize = memory.data<f32>([-16]);
const HALF: usize = memory.data<f32>([0.5]);
/** ½ erfcx(a / √2) as a quotient of polynomials, highest power first, to 7e-9; all terms are positive. */
const TAIL_OVER: usize = memory.data<f32>([
  0.004222133047076246, 0.04134172409591628, 0.18532924030355866, 0.4411086973674941, 0.5000000035398725,
]);
const TAIL_UNDER: usize = memory.data<f32>([
  0.010583220235020499, 0.1036338728734038, 0.47500074518347457, 1.2111807016757645, 1.6801024527375137,
]);
const ONE_OVER_ROOT_2PI: usize = memory.data<f32>([0.3989422804014327]);
/** z = 2 · √(2/π) · (a + 0.044715 · a³), and its derivative: factors of a³ or a², and of a or 1. */
const TWICE_U: usize = memory.data<f32>([0.07135481627260025, 1.5957691216057308]);
const TWICE_U_SLOPE: usize = memory.data<f32>([0.21406444881780073, 1.5957691216057308]);

/**
 * eˣ for x ≤ 0. x = n·ln 2 + r with n whole and |r| ≤ ln 2 / 2; a polynomial gives eʳ. Below −87.33654, where eˣ leaves the normal
 * numbers, the result stays at the smallest of them. The constants are arguments so that a loop may hold them.
 */
@inline function expBy(
  argument: v128, least: v128, log2e: v128, round: v128, minusLn2: v128, minusLn2Rest: v128, p0: v128, p1: v128, p2: v128, p3: v128,
  p4: v128, one: v128, bias: v128,
): v128 {
  const x = f32x4.pmax(argument, least); // a < b ? b : a, so NaN stays
  const shifted = f32x4.add(f32x4.mul(x, log2e), round);
  const n = f32x4.sub(shifted, round);
  const r = fma(n, minusLn2Rest, fma(n, minusLn2, x));
  const p = fma(fma(fma(fma(p0, r, p1), r, p2), r, p3), r, p4);
  const y = f32x4.add(fma(f32x4.mul(r, r), p, r), one);
  return f32x4.mul(y, i32x4.add(i32x4.shl(shifted, 23), bias));
}

@inline export function expNonPositive(x: v128): v128 {
  return expBy(
    x, constant(EXP_LEAST), constant(LOG2_E), constant(ROUND), constant(MINUS_LN2), constant(MINUS_LN2, 1), constant(EXP),
    constant(EXP, 1), constant(EXP, 2), constant(EXP, 3), constant(EXP, 4), constant(ONE), constant(EXPONENT_BIAS),
  );
}

/** `count` vectors at `to` = exp(x − those at `most`) of those at x, `step` bytes apart. V8 keeps what a loop has no registers for in memory. */
export function exponentials(x: usize, most: usize, to: usize, step: usize, count: i32): void {
  const least = constant(EXP_LEAST), log2e = constant(LOG2_E), round = constant(ROUND);
  const minusLn2 = constant(MINUS_LN2), minusLn2Rest = constant(MINUS_LN2, 1);
  const p0 = constant(EXP), p1 = constant(EXP, 1), p2 = constant(EXP, 2), p3 = constant(EXP, 3), p4 = constant(EXP, 4);
  const one = constant(ONE), bias = constant(EXPONENT_BIAS), m = v128.load(most);
  for (; count > 0; count--, x += step, to += step) {
    const difference = f32x4.sub(v128.load(x), m);
    v128.store(to, expBy(difference, least, log2e, round, minusLn2, minusLn2Rest, p0, p1, p2, p3, p4, one, bias));
  }
}

/** 1 / (1 + e⁻ˣ), from e^−|x| so that nothing overflows. */
@inline export function sigmoid(x: v128): v128 {
  const e = expNonPositive(v128.or(x, constant(SIGN)));
  const s = f32x4.div(constant(ONE), f32x4.add(constant(ONE), e));
  return v128.bitselect(f32x4.mul(e, s), s, f32x4.lt(x, splat(0)));
}

/** An odd polynomial near 0, where 1 − e would cancel; (1 − e) / (1 + e) with e = e^−2|x| elsewhere. */
@inline export function tanh(x: v128): v128 {
  const a = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = constant(TANH);
  p = fma(p, z, constant(TANH, 1));
  p = fma(p, z, constant(TANH, 2));
  p = fma(p, z, constant(TANH, 3));
  p = fma(p, z, constant(TANH, 4));
  const small = fma(f32x4.mul(x, z), p, x);
  const e = expNonPositive(f32x4.mul(a, constant(MINUS_TWO)));
  const t = f32x4.div(f32x4.sub(constant(ONE), e), f32x4.add(constant(ONE), e));
  const big = v128.or(t, v128.and(x, constant(SIGN)));
  return v128.bitselect(small, big, f32x4.lt(a, constant(TANH_SMALL)));
}

/** |x|, at most 16. */
@inline function geluArgument(x: v128): v128 { return f32x4.neg(f32x4.pmax(v128.or(x, constant(SIGN)), constant(GELU_MOST))); }

/** `positive` for x > 0 and NaN, else `other`. */
@inline function byPositive(x: v128, positive: v128, other: v128): v128 { return v128.bitselect(other, positive, f32x4.le(x, splat(0))); }

/** max(x, 0) − a · tail, a = |x|, tail = 1 − the share of x that passes: both forms of GELU. */
@inline function geluOfTail(x: v128, a: v128, tail: v128): v128 { return fma(f32x4.neg(a), tail, byPositive(x, x, splat(0))); }

/** exp(−z) for z ≥ 0; 0 where that is below the smallest normal number. */
@inline function expOfNegated(z: v128): v128 {
  const e = expNonPositive(f32x4.neg(z));
  return v128.andnot(e, f32x4.ge(z, f32x4.neg(constant(EXP_LEAST))));
}

@inline function halfSquareExp(a: v128): v128 { return expOfNegated(f32x4.mul(f32x4.mul(a, a), constant(HALF))); }

/** The probability of a normal deviate above a, 0 ≤ a ≤ 16, from e = exp(−a²/2): that times a smooth function. */
@inline function normalTail(a: v128, e: v128): v128 {
  let n = constant(TAIL_OVER);
  n = fma(n, a, constant(TAIL_OVER, 1));
  n = fma(n, a, constant(TAIL_OVER, 2));
  n = fma(n, a, constant(TAIL_OVER, 3));
  n = fma(n, a, constant(TAIL_OVER, 4));
  let d = constant(TAIL_UNDER);
  d = fma(d, a, constant(TAIL_UNDER, 1));
  d = fma(d, a, constant(TAIL_UNDER, 2));
  d = fma(d, a, constant(TAIL_UNDER, 3));
  d = fma(d, a, constant(TAIL_UNDER, 4));
  d = fma(d, a, constant(ONE));
  return f32x4.mul(e, f32x4.div(n, d));
}

/** x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2 */
@inline export function gelu(x: v128): v128 {
  const a = geluArgument(x);
  return geluOfTail(x, a, normalTail(a, halfSquareExp(a)));
}

/** Φ(x) + x · φ(x) */
@inline export function geluSlope(x: v128): v128 {
  const a = geluArgument(x), e = halfSquareExp(a);
  const tail = normalTail(a, e);
  const passes = byPositive(x, f32x4.sub(constant(ONE), tail), tail);
  return fma(v128.or(a, v128.and(x, constant(SIGN))), f32x4.mul(e, constant(ONE_OVER_ROOT_2PI)), passes);
}

/** exp(−z) for z = 2 · √(2/π) · (a + 0.044715 · a³), and from it σ(z); σ(−z) is their product. */
@inline function twiceUExp(a: v128): v128 {
  return expOfNegated(f32x4.mul(a, fma(f32x4.mul(a, a), constant(TWICE_U), constant(TWICE_U, 1))));
}
@inline function restOf(e: v128): v128 { return f32x4.div(constant(ONE), f32x4.add(constant(ONE), e)); }

/** x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2 */
@inline export function geluTanh(x: v128): v128 {
  const a = geluArgument(x), e = twiceUExp(a);
  return geluOfTail(x, a, f32x4.mul(e, restOf(e)));
}

/** Its derivative: σ(z) + x · σ(z) · σ(−z) · z′(x) */
@inline export function geluTanhSlope(x: v128): v128 {
  const a = geluArgument(x), e = twiceUExp(a);
  const rest = restOf(e), tail = f32x4.mul(e, rest);
  const slope = fma(f32x4.mul(a, a), constant(TWICE_U_SLOPE), constant(TWICE_U_SLOPE, 1));
  const passes = byPositive(x, rest, tail);
  return fma(f32x4.mul(v128.or(a, v128.and(x, constant(SIGN))), slope), f32x4.mul(tail, rest), passes);
}

/**
 * ln x for normal x > 0; NaN and +∞ come out as they are. x = m · 2ᵉ with m in [√½, √2); the polynomial for ln(1 + f) is that of
 * logf in Cephes (S. Moshier).
 */
@inline export function log(x: v128): v128 {
  const e = i32x4.shr_s(i32x4.sub(x, i32x4.splat(0x3f3504f3)), 23);
  const f = f32x4.sub(i32x4.sub(x, i32x4.shl(e, 23)), splat(1));
  const z = f32x4.mul(f, f);
  let p = splat(7.0376836292e-2);
  p = fma(p, f, splat(-1.1514610310e-1));
  p = fma(p, f, splat(1.1676998740e-1));
  p = fma(p, f, splat(-1.2420140846e-1));
  p = fma(p, f, splat(1.4249322787e-1));
  p = fma(p, f, splat(-1.6668057665e-1));
  p = fma(p, f, splat(2.0000714765e-1));
  p = fma(p, f, splat(-2.4999993993e-1));
  p = fma(p, f, splat(3.3333331174e-1));
  const n = f32x4.convert_i32x4_s(e);
  let y = f32x4.mul(f32x4.mul(f, z), p);
  y = fma(n, splat(-2.12194440e-4), y);
  y = fma(z, splat(-0.5), y);
  const result = fma(n, splat(0.693359375), f32x4.add(f, y));
  return v128.bitselect(result, x, f32x4.lt(x, splat(Infinity)));
}

/** Angle of `turns` in [0, 1) as k quarter turns and a remainder of at most π/4, exact in turns. */
@inline function quarters(turns: v128): v128 { return f32x4.nearest(f32x4.mul(turns, splat(4))); }
@inline function remainder(turns: v128): v128 {
  return f32x4.mul(fma(quarters(turns), splat(-0.25), turns), splat(6.2831853071795864769));
}

/** Sine and cosine of |a| ≤ π/4; the polynomials of sinf and cosf in Cephes, the cosine refitted. */
@inline function sineNear0(a: v128): v128 {
  const z = f32x4.mul(a, a);
  let s = splat(-1.9515295891e-4);
  s = fma(s, z, splat(8.3321608736e-3));
  s = fma(s, z, splat(-1.6666654611e-1));
  return fma(f32x4.mul(a, z), s, a);
}
@inline function cosineNear0(a: v128): v128 {
  const z = f32x4.mul(a, a);
  let c = splat(2.443315711809948e-5);
  c = fma(c, z, splat(-1.388731625493765e-3));
  c = fma(c, z, splat(4.166664568298827e-2));
  return fma(f32x4.mul(z, z), c, fma(z, splat(-0.5), splat(1)));
}

/** Takes the other function in odd quadrants and the other sign where bit 1 of `signed` is set. */
@inline function inQuadrant(even: v128, odd: v128, quadrant: v128, signed: v128): v128 {
  const value = v128.bitselect(odd, even, i32x4.eq(v128.and(quadrant, i32x4.splat(1)), i32x4.splat(1)));
  return v128.xor(value, i32x4.shl(v128.and(signed, i32x4.splat(2)), 30));
}

/** sin 2πq for q in [0, 1). */
@inline export function sine2Pi(q: v128): v128 {
  const quadrant = i32x4.trunc_sat_f32x4_s(quarters(q));
  const a = remainder(q);
  return inQuadrant(sineNear0(a), cosineNear0(a), quadrant, quadrant);
}

/** cos 2πq for q in [0, 1). */
@inline export function cosine2Pi(q: v128): v128 {
  const quadrant = i32x4.trunc_sat_f32x4_s(quarters(q));
  const a = remainder(q);
  return inQuadrant(cosineNear0(a), sineNear0(a), quadrant, i32x4.add(quadrant, i32x4.splat(1)));
}
