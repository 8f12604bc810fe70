// The vector trait for SSE2, which every x86-64 has. What a trait offers is described in trait.md beside this file.
#pragma once
#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

#include "inline.h"
#include "sanitizers.h"

namespace seqgrad {

/// There is no fused multiply-add, so both numerics share it.
struct Sse2 {
  static constexpr int lanes = 4;
  // 12 of 16 registers accumulate.
  static constexpr int tileRows = 3, tileVectors = 4;
  static constexpr int recurrentRows = 3;
  static constexpr bool hasBfloat16 = false;

  struct Ints {
    __m128i v;
    friend SEQGRAD_INLINE Ints operator+(Ints a, Ints b) { return {_mm_add_epi32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator-(Ints a, Ints b) { return {_mm_sub_epi32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator&(Ints a, Ints b) { return {_mm_and_si128(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator|(Ints a, Ints b) { return {_mm_or_si128(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator^(Ints a, Ints b) { return {_mm_xor_si128(a.v, b.v)}; }
  };
  struct Mask {
    __m128 m;
  };
  struct Floats {
    __m128 v;
    friend SEQGRAD_INLINE Floats operator+(Floats a, Floats b) { return {_mm_add_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a, Floats b) { return {_mm_sub_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator*(Floats a, Floats b) { return {_mm_mul_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator/(Floats a, Floats b) { return {_mm_div_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a) { return {_mm_xor_ps(a.v, _mm_set1_ps(-0.0f))}; }
    friend SEQGRAD_INLINE Mask operator<(Floats a, Floats b) { return {_mm_cmplt_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Mask operator>=(Floats a, Floats b) { return {_mm_cmpge_ps(a.v, b.v)}; }
  };

  static SEQGRAD_INLINE Floats zero() { return {_mm_setzero_ps()}; }
  static SEQGRAD_INLINE Floats broadcast(float x) { return {_mm_set1_ps(x)}; }
  static SEQGRAD_INLINE Ints broadcast(int32_t x) { return {_mm_set1_epi32(x)}; }
  static SEQGRAD_INLINE Ints iota() { return {_mm_setr_epi32(0, 1, 2, 3)}; }

  static SEQGRAD_INLINE Floats load(const float* p) { return {_mm_loadu_ps(p)}; }
  static SEQGRAD_INLINE void store(float* p, Floats x) { _mm_storeu_ps(p, x.v); }
  static SEQGRAD_INLINE void stream(float* p, Floats x) {
    tellWrites(p, lanes);
    _mm_stream_ps(p, x.v);
  }
  static SEQGRAD_INLINE void fence() { _mm_sfence(); }
  static SEQGRAD_INLINE Floats loadFirst(const float* p, int n) {
    switch (n) {
      case 0:
        return zero();
      case 1:
        return {_mm_load_ss(p)};
      case 2:
        return {pair(p)};
      case 3:
        return {_mm_movelh_ps(pair(p), _mm_load_ss(p + 2))};
      default:
        return load(p);
    }
  }
  static SEQGRAD_INLINE void storeFirst(float* p, Floats x, int n) {
    tellWrites(p, n);
    switch (n) {
      case 0:
        return;
      case 1:
        return _mm_store_ss(p, x.v);
      case 2:
        return _mm_storel_pi(reinterpret_cast<__m64*>(p), x.v);
      case 3:
        _mm_storel_pi(reinterpret_cast<__m64*>(p), x.v);
        return _mm_store_ss(p + 2, _mm_movehl_ps(x.v, x.v));
      default:
        return store(p, x);
    }
  }
  static SEQGRAD_INLINE Floats keepFirst(Floats x, int n) {
    return {_mm_and_ps(x.v, _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_set1_epi32(n), iota().v)))};
  }
  static SEQGRAD_INLINE float firstLane(Floats x) { return _mm_cvtss_f32(x.v); }

  static SEQGRAD_INLINE Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
  static SEQGRAD_INLINE Floats sqrt(Floats x) { return {_mm_sqrt_ps(x.v)}; }
  static SEQGRAD_INLINE Floats abs(Floats x) { return {_mm_andnot_ps(_mm_set1_ps(-0.0f), x.v)}; }
  static SEQGRAD_INLINE Floats signOf(Floats x) { return {_mm_and_ps(x.v, _mm_set1_ps(-0.0f))}; }
  static SEQGRAD_INLINE Floats either(Floats a, Floats b) { return {_mm_or_ps(a.v, b.v)}; }
  static SEQGRAD_INLINE Floats maxOrSecond(Floats a, Floats b) { return {_mm_max_ps(a.v, b.v)}; }
  static SEQGRAD_INLINE Mask isNan(Floats x) { return {_mm_cmpunord_ps(x.v, x.v)}; }
  static SEQGRAD_INLINE Floats select(Mask mask, Floats yes, Floats no) {
    return {_mm_or_ps(_mm_and_ps(mask.m, yes.v), _mm_andnot_ps(mask.m, no.v))};
  }
  /// For |x| < 2³¹, and without the sign of a zero.
  static SEQGRAD_INLINE Floats nearest(Floats x) { return toFloats(roundToInts(x)); }
  static SEQGRAD_INLINE Floats timesPowerOfTwo(Floats x, Floats n) {
    return x * fromBits(shiftLeft<23>(roundToInts(n) + broadcast(127)));
  }

  static SEQGRAD_INLINE Ints roundToInts(Floats x) { return {_mm_cvtps_epi32(x.v)}; }
  static SEQGRAD_INLINE Floats toFloats(Ints x) { return {_mm_cvtepi32_ps(x.v)}; }
  static SEQGRAD_INLINE Ints bitsOf(Floats x) { return {_mm_castps_si128(x.v)}; }
  static SEQGRAD_INLINE Floats fromBits(Ints x) { return {_mm_castsi128_ps(x.v)}; }
  template <int n>
  static SEQGRAD_INLINE Ints shiftLeft(Ints x) {
    return {_mm_slli_epi32(x.v, n)};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRight(Ints x) {
    return {_mm_srli_epi32(x.v, n)};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRightSigned(Ints x) {
    return {_mm_srai_epi32(x.v, n)};
  }
  static SEQGRAD_INLINE Mask notZero(Ints x) {
    return {_mm_castsi128_ps(_mm_xor_si128(_mm_cmpeq_epi32(x.v, _mm_setzero_si128()), _mm_set1_epi32(-1)))};
  }
  static SEQGRAD_INLINE void multiplyWide(Ints a, Ints b, Ints& high, Ints& low) {
    const __m128i even = _mm_mul_epu32(a.v, b.v);
    const __m128i odd = _mm_mul_epu32(_mm_srli_epi64(a.v, 32), _mm_srli_epi64(b.v, 32));
    const __m128i lowHalves = _mm_set1_epi64x(0xffffffff);
    high = {_mm_or_si128(_mm_srli_epi64(even, 32), _mm_andnot_si128(lowHalves, odd))};
    low = {_mm_or_si128(_mm_and_si128(lowHalves, even), _mm_slli_epi64(odd, 32))};
  }

  static SEQGRAD_INLINE void transpose(const float* source, ptrdiff_t sourceRow, float* target, ptrdiff_t targetRow) {
    __m128 r[4];
    for (int i = 0; i < 4; i++) r[i] = _mm_loadu_ps(source + i * sourceRow);
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    for (int i = 0; i < 4; i++) _mm_storeu_ps(target + i * targetRow, r[i]);
  }

 private:
  static SEQGRAD_INLINE __m128 pair(const float* p) {
    return _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
};

}  // namespace seqgrad
