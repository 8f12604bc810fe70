// The vector trait for AVX-512 (F, VL, DQ, BW). What a trait offers is described in trait.md beside this file.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "inline.h"
#include "sanitizers.h"

namespace seqgrad {

template <bool fused>
struct Avx512 {
  static constexpr int lanes = 16;
  // 24 of 32 registers accumulate; 4 hold a row of the panel.
  static constexpr int tileRows = 6, tileVectors = 4;
  static constexpr int recurrentRows = 6;
  static constexpr bool hasBfloat16 = fused;

  struct Ints {
    __m512i v;
    friend SEQGRAD_INLINE Ints operator+(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator-(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator&(Ints a, Ints b) { return {_mm512_and_si512(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator|(Ints a, Ints b) { return {_mm512_or_si512(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator^(Ints a, Ints b) { return {_mm512_xor_si512(a.v, b.v)}; }
  };
  struct Mask {
    __mmask16 m;
  };
  struct Floats {
    __m512 v;
    friend SEQGRAD_INLINE Floats operator+(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator*(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator/(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
    friend SEQGRAD_INLINE Mask operator<(Floats a, Floats b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
    friend SEQGRAD_INLINE Mask operator>=(Floats a, Floats b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
  };

  static SEQGRAD_INLINE Floats zero() { return {_mm512_setzero_ps()}; }
  static SEQGRAD_INLINE Floats broadcast(float x) { return {_mm512_set1_ps(x)}; }
  static SEQGRAD_INLINE Ints broadcast(int32_t x) { return {_mm512_set1_epi32(x)}; }
  static SEQGRAD_INLINE Ints iota() {
    return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
  }

  static SEQGRAD_INLINE Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static SEQGRAD_INLINE void store(float* p, Floats x) { _mm512_storeu_ps(p, x.v); }
  static SEQGRAD_INLINE void stream(float* p, Floats x) {
    tellWrites(p, lanes);
    _mm512_stream_ps(p, x.v);
  }
  static SEQGRAD_INLINE void fence() { _mm_sfence(); }
  static SEQGRAD_INLINE Floats loadFirst(const float* p, int n) {
    tellReads(p, n);
    return {_mm512_maskz_loadu_ps(first(n), p)};
  }
  static SEQGRAD_INLINE void storeFirst(float* p, Floats x, int n) {
    tellWrites(p, n);
    _mm512_mask_storeu_ps(p, first(n), x.v);
  }
  static SEQGRAD_INLINE Floats keepFirst(Floats x, int n) { return {_mm512_maskz_mov_ps(first(n), x.v)}; }
  static SEQGRAD_INLINE float firstLane(Floats x) { return _mm512_cvtss_f32(x.v); }

  static SEQGRAD_INLINE Floats fma(Floats a, Floats b, Floats c) {
    if constexpr (fused) return {_mm512_fmadd_ps(a.v, b.v, c.v)};
    return a * b + c;
  }
  // AVX512-BF16. It takes subnormal numbers as zeros, so strict numerics do without it.
  static SEQGRAD_INLINE Floats dotPairs(Floats a, Floats b, Floats c) {
    return {_mm512_dpbf16_ps(c.v, (__m512bh)a.v, (__m512bh)b.v)};
  }
  static SEQGRAD_INLINE Floats bfloat16s(Floats a, Floats b) { return {(__m512)_mm512_cvtne2ps_pbh(b.v, a.v)}; }
  static SEQGRAD_INLINE Floats interleaved(Floats x) {
    const __m512i low = _mm512_castps_si512(x.v);
    // Numbers 0, 16, 1, 17, …
    const __m512i order =
        _mm512_add_epi32(_mm512_set1_epi32(0x100000), _mm512_mullo_epi32(iota().v, _mm512_set1_epi32(0x10001)));
    return {_mm512_castsi512_ps(_mm512_permutexvar_epi16(order, low))};
  }
  static SEQGRAD_INLINE Floats sqrt(Floats x) { return {_mm512_sqrt_ps(x.v)}; }
  static SEQGRAD_INLINE Floats abs(Floats x) { return {_mm512_abs_ps(x.v)}; }
  static SEQGRAD_INLINE Floats signOf(Floats x) { return {_mm512_and_ps(x.v, _mm512_set1_ps(-0.0f))}; }
  static SEQGRAD_INLINE Floats either(Floats a, Floats b) { return {_mm512_or_ps(a.v, b.v)}; }
  static SEQGRAD_INLINE Floats maxOrSecond(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
  static SEQGRAD_INLINE Mask isNan(Floats x) { return {_mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q)}; }
  static SEQGRAD_INLINE Floats select(Mask mask, Floats yes, Floats no) {
    return {_mm512_mask_blend_ps(mask.m, no.v, yes.v)};
  }
  static SEQGRAD_INLINE Floats nearest(Floats x) {
    return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static SEQGRAD_INLINE Floats timesPowerOfTwo(Floats x, Floats n) { return {_mm512_scalef_ps(x.v, n.v)}; }

  static SEQGRAD_INLINE Ints roundToInts(Floats x) { return {_mm512_cvtps_epi32(x.v)}; }
  static SEQGRAD_INLINE Floats toFloats(Ints x) { return {_mm512_cvtepi32_ps(x.v)}; }
  static SEQGRAD_INLINE Ints bitsOf(Floats x) { return {_mm512_castps_si512(x.v)}; }
  static SEQGRAD_INLINE Floats fromBits(Ints x) { return {_mm512_castsi512_ps(x.v)}; }
  template <int n>
  static SEQGRAD_INLINE Ints shiftLeft(Ints x) {
    return {_mm512_slli_epi32(x.v, n)};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRight(Ints x) {
    return {_mm512_srli_epi32(x.v, n)};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRightSigned(Ints x) {
    return {_mm512_srai_epi32(x.v, n)};
  }
  static SEQGRAD_INLINE Mask notZero(Ints x) { return {_mm512_test_epi32_mask(x.v, x.v)}; }
  static SEQGRAD_INLINE void multiplyWide(Ints a, Ints b, Ints& high, Ints& low) {
    // Halves change places by shuffles, which leave the multiplier's port alone.
    const auto toEven = [](__m512i x) { return _mm512_shuffle_epi32(x, _MM_PERM_DDBB); };
    const auto toOdd = [](__m512i x) { return _mm512_shuffle_epi32(x, _MM_PERM_CCAA); };
    const __m512i even = _mm512_mul_epu32(a.v, b.v);
    const __m512i odd = _mm512_mul_epu32(toEven(a.v), toEven(b.v));
    high = {_mm512_mask_blend_epi32(0xaaaa, toEven(even), odd)};
    low = {_mm512_mask_blend_epi32(0xaaaa, even, toOdd(odd))};
  }

  static SEQGRAD_INLINE void transpose(const float* source, ptrdiff_t sourceRow, float* target, ptrdiff_t targetRow) {
    __m512 r[16], t[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(source + i * sourceRow);
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    const auto pairs = [](__m512 x) { return _mm512_castps_pd(x); };
    for (int i = 0; i < 16; i += 4) {
      r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs(t[i]), pairs(t[i + 2])));
      r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs(t[i]), pairs(t[i + 2])));
      r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs(t[i + 1]), pairs(t[i + 3])));
      r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs(t[i + 1]), pairs(t[i + 3])));
    }
    for (int i = 0; i < 4; i++) {
      t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
      t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
      t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
      t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
      _mm512_storeu_ps(target + i * targetRow, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
      _mm512_storeu_ps(target + (i + 8) * targetRow, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd));
      _mm512_storeu_ps(target + (i + 4) * targetRow, _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88));
      _mm512_storeu_ps(target + (i + 12) * targetRow, _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd));
    }
  }

 private:
  static SEQGRAD_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1); }
};

}  // namespace seqgrad
