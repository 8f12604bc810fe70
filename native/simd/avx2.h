// The vector trait for AVX2 with FMA. What a trait offers is described in trait.md beside this file.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "inline.h"
#include "sanitizers.h"

namespace seqgrad {

template <bool fused>
struct Avx2 {
  static constexpr int lanes = 8;
  // 12 of 16 registers accumulate.
  static constexpr int tileRows = 6, tileVectors = 2;
  static constexpr int recurrentRows = 3;
  static constexpr bool hasBfloat16 = false;

  struct Ints {
    __m256i v;
    friend SEQGRAD_INLINE Ints operator+(Ints a, Ints b) { return {_mm256_add_epi32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator-(Ints a, Ints b) { return {_mm256_sub_epi32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator&(Ints a, Ints b) { return {_mm256_and_si256(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator|(Ints a, Ints b) { return {_mm256_or_si256(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator^(Ints a, Ints b) { return {_mm256_xor_si256(a.v, b.v)}; }
  };
  struct Mask {
    __m256 m;
  };
  struct Floats {
    __m256 v;
    friend SEQGRAD_INLINE Floats operator+(Floats a, Floats b) { return {_mm256_add_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a, Floats b) { return {_mm256_sub_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator*(Floats a, Floats b) { return {_mm256_mul_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator/(Floats a, Floats b) { return {_mm256_div_ps(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
    friend SEQGRAD_INLINE Mask operator<(Floats a, Floats b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
    friend SEQGRAD_INLINE Mask operator>=(Floats a, Floats b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
  };

  static SEQGRAD_INLINE Floats zero() { return {_mm256_setzero_ps()}; }
  static SEQGRAD_INLINE Floats broadcast(float x) { return {_mm256_set1_ps(x)}; }
  static SEQGRAD_INLINE Ints broadcast(int32_t x) { return {_mm256_set1_epi32(x)}; }
  static SEQGRAD_INLINE Ints iota() { return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)}; }

  static SEQGRAD_INLINE Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static SEQGRAD_INLINE void store(float* p, Floats x) { _mm256_storeu_ps(p, x.v); }
  static SEQGRAD_INLINE void stream(float* p, Floats x) {
    tellWrites(p, lanes);
    _mm256_stream_ps(p, x.v);
  }
  static SEQGRAD_INLINE void fence() { _mm_sfence(); }
  static SEQGRAD_INLINE Floats loadFirst(const float* p, int n) {
    tellReads(p, n);
    return {_mm256_maskload_ps(p, first(n))};
  }
  static SEQGRAD_INLINE void storeFirst(float* p, Floats x, int n) {
    tellWrites(p, n);
    _mm256_maskstore_ps(p, first(n), x.v);
  }
  static SEQGRAD_INLINE Floats keepFirst(Floats x, int n) {
    return {_mm256_and_ps(x.v, _mm256_castsi256_ps(first(n)))};
  }
  static SEQGRAD_INLINE float firstLane(Floats x) { return _mm256_cvtss_f32(x.v); }

  static SEQGRAD_INLINE Floats fma(Floats a, Floats b, Floats c) {
    if constexpr (fused) return {_mm256_fmadd_ps(a.v, b.v, c.v)};
    return a * b + c;
  }
  static SEQGRAD_INLINE Floats sqrt(Floats x) { return {_mm256_sqrt_ps(x.v)}; }
  static SEQGRAD_INLINE Floats abs(Floats x) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x.v)}; }
  static SEQGRAD_INLINE Floats signOf(Floats x) { return {_mm256_and_ps(x.v, _mm256_set1_ps(-0.0f))}; }
  static SEQGRAD_INLINE Floats either(Floats a, Floats b) { return {_mm256_or_ps(a.v, b.v)}; }
  static SEQGRAD_INLINE Floats maxOrSecond(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
  static SEQGRAD_INLINE Mask isNan(Floats x) { return {_mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q)}; }
  static SEQGRAD_INLINE Floats select(Mask mask, Floats yes, Floats no) {
    return {_mm256_blendv_ps(no.v, yes.v, mask.m)};
  }
  static SEQGRAD_INLINE Floats nearest(Floats x) {
    return {_mm256_round_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static SEQGRAD_INLINE Floats timesPowerOfTwo(Floats x, Floats n) {
    return x * fromBits(shiftLeft<23>(roundToInts(n) + broadcast(127)));
  }

  static SEQGRAD_INLINE Ints roundToInts(Floats x) { return {_mm256_cvtps_epi32(x.v)}; }
  static SEQGRAD_INLINE Floats toFloats(Ints x) { return {_mm256_cvtepi32_ps(x.v)}; }
  static SEQGRAD_INLINE Ints bitsOf(Floats x) { return {_mm256_castps_si256(x.v)}; }
  static SEQGRAD_INLINE Floats fromBits(Ints x) { return {_mm256_castsi256_ps(x.v)}; }
  template <int n>
  static SEQGRAD_INLINE Ints shiftLeft(Ints x) {
    return {_mm256_slli_epi32(x.v, n)};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRight(Ints x) {
    return {_mm256_srli_epi32(x.v, n)};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRightSigned(Ints x) {
    return {_mm256_srai_epi32(x.v, n)};
  }
  static SEQGRAD_INLINE Mask notZero(Ints x) {
    const __m256i isZero = _mm256_cmpeq_epi32(x.v, _mm256_setzero_si256());
    return {_mm256_castsi256_ps(_mm256_xor_si256(isZero, _mm256_set1_epi32(-1)))};
  }
  static SEQGRAD_INLINE void multiplyWide(Ints a, Ints b, Ints& high, Ints& low) {
    const __m256i even = _mm256_mul_epu32(a.v, b.v);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), _mm256_srli_epi64(b.v, 32));
    high = {_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa)};
    low = {_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa)};
  }

  static SEQGRAD_INLINE void transpose(const float* source, ptrdiff_t sourceRow, float* target, ptrdiff_t targetRow) {
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(source + i * sourceRow);
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
      _mm256_storeu_ps(target + i * targetRow, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
      _mm256_storeu_ps(target + (i + 4) * targetRow, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
  }

 private:
  static SEQGRAD_INLINE __m256i first(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), iota().v); }
};

}  // namespace seqgrad
