// Elementary functions, written once over the vector trait. The order of operations is shared with assembly/simd: in
// strict numerics every ISA and every WASM engine gives the same bits. Every lane is computed alike, so a result never
// depends on its position, and NaN stays NaN.
#pragma once
#include "inline.h"

namespace seqgrad::math {

/// exp(x) for x ≤ 0 or little above it; below the smallest normal result it stays there. Cody–Waite reduction to |r| ≤
/// ln(2)/2, then a minimax polynomial (0.95 ulp).
template <class S>
SEQGRAD_INLINE typename S::Floats expNonPositive(typename S::Floats x) {
  const auto c = [](float constant) { return S::broadcast(constant); };
  x = S::maxOrSecond(c(-87.33654f), x);
  const auto n = S::nearest(x * c(1.44269504f));
  auto r = S::fma(n, c(-0.693359375f), x);
  r = S::fma(n, c(2.12194440e-4f), r);
  auto p = c(0.001381455920636654f);
  p = S::fma(p, r, c(0.008368735201656818f));
  p = S::fma(p, r, c(0.04166838899254799f));
  p = S::fma(p, r, c(0.1666652113199234f));
  p = S::fma(p, r, c(0.4999999403953552f));
  const auto y = S::fma(r * r, p, r) + c(1.0f);
  return S::timesPowerOfTwo(y, n);
}

/// 1 / (1 + exp(−x)), through exp(−|x|) so that nothing overflows.
template <class S>
SEQGRAD_INLINE typename S::Floats sigmoid(typename S::Floats x) {
  const auto one = S::broadcast(1.0f);
  const auto e = expNonPositive<S>(-S::abs(x));
  const auto s = one / (one + e);
  return S::select(x < S::zero(), e * s, s);
}

/// An odd polynomial near zero, where (1 − e) / (1 + e) would cancel (1.5 ulp).
template <class S>
SEQGRAD_INLINE typename S::Floats tanh(typename S::Floats x) {
  const auto c = [](float constant) { return S::broadcast(constant); };
  const auto a = S::abs(x);
  const auto z = x * x;
  auto p = c(-0.005717045161873102f);
  p = S::fma(p, z, c(0.02065058797597885f));
  p = S::fma(p, z, c(-0.05374349653720856f));
  p = S::fma(p, z, c(0.13331490755081177f));
  p = S::fma(p, z, c(-0.3333328366279602f));
  const auto small = S::fma(x * z, p, x);
  const auto e = expNonPositive<S>(a * c(-2.0f));
  const auto big = S::either((c(1.0f) - e) / (c(1.0f) + e), S::signOf(x));
  return S::select(a < c(0.625f), small, big);
}

/// The natural logarithm of a positive normal number, +∞ or NaN. Polynomial: Cephes logf.
template <class S>
SEQGRAD_INLINE typename S::Floats log(typename S::Floats x) {
  const auto c = [](float constant) { return S::broadcast(constant); };
  const auto bits = S::bitsOf(x);
  // x = m · 2^e with m in [sqrt(1/2), sqrt(2)).
  const auto e = S::template shiftRightSigned<23>(bits - S::broadcast(0x3f3504f3));
  const auto m = S::fromBits(bits - S::template shiftLeft<23>(e));
  const auto f = m - c(1.0f);
  const auto z = f * f;
  auto p = c(7.0376836292e-2f);
  p = S::fma(p, f, c(-1.1514610310e-1f));
  p = S::fma(p, f, c(1.1676998740e-1f));
  p = S::fma(p, f, c(-1.2420140846e-1f));
  p = S::fma(p, f, c(1.4249322787e-1f));
  p = S::fma(p, f, c(-1.6668057665e-1f));
  p = S::fma(p, f, c(2.0000714765e-1f));
  p = S::fma(p, f, c(-2.4999993993e-1f));
  p = S::fma(p, f, c(3.3333331174e-1f));
  const auto exponent = S::toFloats(e);
  auto y = (f * z) * p;
  y = S::fma(exponent, c(-2.12194440e-4f), y);
  y = S::fma(z, c(-0.5f), y);
  const auto logarithm = S::fma(exponent, c(0.693359375f), f + y);
  return S::select(x < c(__builtin_inff()), logarithm, x);
}

/// What both forms of GELU are made of: y = max(x, 0) − a · tail, a = |x|, tail = 1 − the share of x that passes.
/// Beyond a = 16 the tail is 0, and a stays 16, so that no infinite x meets it.
template <class S>
SEQGRAD_INLINE typename S::Floats geluOfTail(typename S::Floats x, typename S::Floats a, typename S::Floats tail) {
  return S::fma(-a, tail, S::select(S::zero() >= x, S::zero(), x));
}
template <class S>
SEQGRAD_INLINE typename S::Floats geluArgument(typename S::Floats x) {
  return -S::maxOrSecond(S::broadcast(-16.0f), -S::abs(x));
}

/// exp(−z) for z ≥ 0; 0 where that is below the smallest normal number.
template <class S>
SEQGRAD_INLINE typename S::Floats expOfNegated(typename S::Floats z) {
  return S::select(z >= S::broadcast(87.33654f), S::zero(), expNonPositive<S>(-z));
}

/// exp(−a²/2) and with it the probability of a normal deviate above a, for 0 ≤ a ≤ 16. It is the exponential times a
/// smooth function, ½ erfcx(a / √2), which a quotient of polynomials gives to 7e-9; all terms are positive.
template <class S>
SEQGRAD_INLINE void normalTail(typename S::Floats a, typename S::Floats& e, typename S::Floats& tail) {
  const auto c = [](float constant) { return S::broadcast(constant); };
  e = expOfNegated<S>(a * a * c(0.5f));
  auto n = c(0.004222133047076246f);
  n = S::fma(n, a, c(0.04134172409591628f));
  n = S::fma(n, a, c(0.18532924030355866f));
  n = S::fma(n, a, c(0.4411086973674941f));
  n = S::fma(n, a, c(0.5000000035398725f));
  auto d = c(0.010583220235020499f);
  d = S::fma(d, a, c(0.1036338728734038f));
  d = S::fma(d, a, c(0.47500074518347457f));
  d = S::fma(d, a, c(1.2111807016757645f));
  d = S::fma(d, a, c(1.6801024527375137f));
  d = S::fma(d, a, c(1.0f));
  tail = e * (n / d);
}

/// max(x, 0): +0 for every x ≤ 0, and NaN stays NaN.
template <class S>
SEQGRAD_INLINE typename S::Floats relu(typename S::Floats x) {
  return S::select(S::zero() >= x, S::zero(), x);
}

/// x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2
template <class S>
SEQGRAD_INLINE typename S::Floats gelu(typename S::Floats x) {
  typename S::Floats e, tail;
  const auto a = geluArgument<S>(x);
  normalTail<S>(a, e, tail);
  return geluOfTail<S>(x, a, tail);
}

/// Φ(x) + x · φ(x)
template <class S>
SEQGRAD_INLINE typename S::Floats geluSlope(typename S::Floats x) {
  typename S::Floats e, tail;
  const auto a = geluArgument<S>(x);
  normalTail<S>(a, e, tail);
  const auto passes = S::select(S::zero() >= x, tail, S::broadcast(1.0f) - tail);
  return S::fma(S::either(a, S::signOf(x)), e * S::broadcast(0.3989422804014327f), passes);
}

/// σ(−z) and σ(z) for z = 2 · √(2/π) · (a + 0.044715 · a³)
template <class S>
SEQGRAD_INLINE void geluTanhTail(typename S::Floats a, typename S::Floats& tail, typename S::Floats& rest) {
  const auto c = [](float constant) { return S::broadcast(constant); };
  const auto z = a * S::fma(a * a, c(0.07135481627260025f), c(1.5957691216057308f));
  const auto e = expOfNegated<S>(z);
  rest = c(1.0f) / (c(1.0f) + e);
  tail = e * rest;
}

/// x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2
template <class S>
SEQGRAD_INLINE typename S::Floats geluTanh(typename S::Floats x) {
  typename S::Floats tail, rest;
  const auto a = geluArgument<S>(x);
  geluTanhTail<S>(a, tail, rest);
  return geluOfTail<S>(x, a, tail);
}

/// Its derivative: σ(z) + x · σ(z) · σ(−z) · z′(x), z′ = 2 · √(2/π) · (1 + 3 · 0.044715 · x²)
template <class S>
SEQGRAD_INLINE typename S::Floats geluTanhSlope(typename S::Floats x) {
  typename S::Floats tail, rest;
  const auto a = geluArgument<S>(x);
  geluTanhTail<S>(a, tail, rest);
  const auto slope = S::fma(a * a, S::broadcast(0.21406444881780073f), S::broadcast(1.5957691216057308f));
  const auto passes = S::select(S::zero() >= x, tail, rest);
  return S::fma(S::either(a, S::signOf(x)) * slope, tail * rest, passes);
}

/// sin(2πq) and cos(2πq) for q in [0, 1). Polynomials: Cephes sinf and cosf.
template <class S>
SEQGRAD_INLINE void sincosOfTurns(typename S::Floats q, typename S::Floats& sine, typename S::Floats& cosine) {
  const auto c = [](float constant) { return S::broadcast(constant); };
  const auto quarter = S::nearest(q * c(4.0f));
  const auto a = S::fma(quarter, c(-0.25f), q) * c(6.2831853071795864769f);
  const auto z = a * a;
  auto s = c(-1.9515295891e-4f);
  s = S::fma(s, z, c(8.3321608736e-3f));
  s = S::fma(s, z, c(-1.6666654611e-1f));
  const auto sn = S::fma(a * z, s, a);
  auto k = c(2.443315711809948e-5f);
  k = S::fma(k, z, c(-1.388731625493765e-3f));
  k = S::fma(k, z, c(4.166664568298827e-2f));
  const auto cs = S::fma(z * z, k, S::fma(z, c(-0.5f), c(1.0f)));

  // Quadrant j: odd ones swap the two, 2 and 3 negate the sine, 1 and 2 the cosine.
  const auto j = S::roundToInts(quarter);
  const auto odd = S::notZero(j & S::broadcast(1));
  const auto signOfSine = S::template shiftLeft<30>(j & S::broadcast(2));
  const auto signOfCosine = S::template shiftLeft<30>((j + S::broadcast(1)) & S::broadcast(2));
  sine = S::fromBits(S::bitsOf(S::select(odd, cs, sn)) ^ signOfSine);
  cosine = S::fromBits(S::bitsOf(S::select(odd, sn, cs)) ^ signOfCosine);
}

}  // namespace seqgrad::math
