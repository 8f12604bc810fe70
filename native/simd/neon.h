// The vector trait for NEON, which every 64-bit Arm has. What a trait offers is described in trait.md beside this file.
#pragma once
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "inline.h"

namespace seqgrad {

template <bool fused>
struct Neon {
  static constexpr int lanes = 4;
  // 24 of 32 registers accumulate; 4 hold a row of the panel.
  static constexpr int tileRows = 6, tileVectors = 4;
  static constexpr int recurrentRows = 6;
  static constexpr bool hasBfloat16 = false;

  struct Ints {
    int32x4_t v;
    friend SEQGRAD_INLINE Ints operator+(Ints a, Ints b) { return {vaddq_s32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator-(Ints a, Ints b) { return {vsubq_s32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator&(Ints a, Ints b) { return {vandq_s32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator|(Ints a, Ints b) { return {vorrq_s32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Ints operator^(Ints a, Ints b) { return {veorq_s32(a.v, b.v)}; }
  };
  struct Mask {
    uint32x4_t m;
  };
  struct Floats {
    float32x4_t v;
    friend SEQGRAD_INLINE Floats operator+(Floats a, Floats b) { return {vaddq_f32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a, Floats b) { return {vsubq_f32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator*(Floats a, Floats b) { return {vmulq_f32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator/(Floats a, Floats b) { return {vdivq_f32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Floats operator-(Floats a) { return {vnegq_f32(a.v)}; }
    friend SEQGRAD_INLINE Mask operator<(Floats a, Floats b) { return {vcltq_f32(a.v, b.v)}; }
    friend SEQGRAD_INLINE Mask operator>=(Floats a, Floats b) { return {vcgeq_f32(a.v, b.v)}; }
  };

  static SEQGRAD_INLINE Floats zero() { return broadcast(0.0f); }
  static SEQGRAD_INLINE Floats broadcast(float x) { return {vdupq_n_f32(x)}; }
  static SEQGRAD_INLINE Ints broadcast(int32_t x) { return {vdupq_n_s32(x)}; }
  static SEQGRAD_INLINE Ints iota() {
    const int32_t numbers[4] = {0, 1, 2, 3};
    return {vld1q_s32(numbers)};
  }

  static SEQGRAD_INLINE Floats load(const float* p) { return {vld1q_f32(p)}; }
  static SEQGRAD_INLINE void store(float* p, Floats x) { vst1q_f32(p, x.v); }
  static SEQGRAD_INLINE void stream(float* p, Floats x) { store(p, x); }
  static SEQGRAD_INLINE void fence() {}
  static SEQGRAD_INLINE Floats loadFirst(const float* p, int n) {
    switch (n) {
      case 0:
        return zero();
      case 1:
        return {vld1q_lane_f32(p, zero().v, 0)};
      case 2:
        return {vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f))};
      case 3:
        return {vcombine_f32(vld1_f32(p), vld1_lane_f32(p + 2, vdup_n_f32(0.0f), 0))};
      default:
        return load(p);
    }
  }
  static SEQGRAD_INLINE void storeFirst(float* p, Floats x, int n) {
    switch (n) {
      case 0:
        return;
      case 1:
        return vst1q_lane_f32(p, x.v, 0);
      case 2:
        return vst1_f32(p, vget_low_f32(x.v));
      case 3:
        vst1_f32(p, vget_low_f32(x.v));
        return vst1q_lane_f32(p + 2, x.v, 2);
      default:
        return store(p, x);
    }
  }
  static SEQGRAD_INLINE Floats keepFirst(Floats x, int n) {
    return select({vcgtq_s32(vdupq_n_s32(n), iota().v)}, x, zero());
  }
  static SEQGRAD_INLINE float firstLane(Floats x) { return vgetq_lane_f32(x.v, 0); }

  static SEQGRAD_INLINE Floats fma(Floats a, Floats b, Floats c) {
    if constexpr (fused) return {vfmaq_f32(c.v, a.v, b.v)};
    return a * b + c;
  }
  static SEQGRAD_INLINE Floats sqrt(Floats x) { return {vsqrtq_f32(x.v)}; }
  static SEQGRAD_INLINE Floats abs(Floats x) { return {vabsq_f32(x.v)}; }
  static SEQGRAD_INLINE Floats signOf(Floats x) { return fromBits(bitsOf(x) & broadcast(INT32_MIN)); }
  static SEQGRAD_INLINE Floats either(Floats a, Floats b) { return fromBits(bitsOf(a) | bitsOf(b)); }
  /// Not vmaxq_f32, which gives NaN for either.
  static SEQGRAD_INLINE Floats maxOrSecond(Floats a, Floats b) { return select({vcgtq_f32(a.v, b.v)}, a, b); }
  static SEQGRAD_INLINE Mask isNan(Floats x) { return {vmvnq_u32(vceqq_f32(x.v, x.v))}; }
  static SEQGRAD_INLINE Floats select(Mask mask, Floats yes, Floats no) { return {vbslq_f32(mask.m, yes.v, no.v)}; }
  static SEQGRAD_INLINE Floats nearest(Floats x) { return {vrndnq_f32(x.v)}; }
  static SEQGRAD_INLINE Floats timesPowerOfTwo(Floats x, Floats n) {
    return x * fromBits(shiftLeft<23>(roundToInts(n) + broadcast(127)));
  }

  static SEQGRAD_INLINE Ints roundToInts(Floats x) { return {vcvtnq_s32_f32(x.v)}; }
  static SEQGRAD_INLINE Floats toFloats(Ints x) { return {vcvtq_f32_s32(x.v)}; }
  static SEQGRAD_INLINE Ints bitsOf(Floats x) { return {vreinterpretq_s32_f32(x.v)}; }
  static SEQGRAD_INLINE Floats fromBits(Ints x) { return {vreinterpretq_f32_s32(x.v)}; }
  template <int n>
  static SEQGRAD_INLINE Ints shiftLeft(Ints x) {
    return {vshlq_n_s32(x.v, n)};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRight(Ints x) {
    return {vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(x.v), n))};
  }
  template <int n>
  static SEQGRAD_INLINE Ints shiftRightSigned(Ints x) {
    return {vshrq_n_s32(x.v, n)};
  }
  static SEQGRAD_INLINE Mask notZero(Ints x) { return {vtstq_s32(x.v, x.v)}; }
  static SEQGRAD_INLINE void multiplyWide(Ints a, Ints b, Ints& high, Ints& low) {
    const uint32x4_t x = vreinterpretq_u32_s32(a.v), y = vreinterpretq_u32_s32(b.v);
    const uint32x4_t first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(x), vget_low_u32(y)));
    const uint32x4_t last = vreinterpretq_u32_u64(vmull_high_u32(x, y));
    high = {vreinterpretq_s32_u32(vuzp2q_u32(first, last))};
    low = {vreinterpretq_s32_u32(vuzp1q_u32(first, last))};
  }

  static SEQGRAD_INLINE void transpose(const float* source, ptrdiff_t sourceRow, float* target, ptrdiff_t targetRow) {
    float32x4_t r[4];
    for (int i = 0; i < 4; i++) r[i] = vld1q_f32(source + i * sourceRow);
    const float32x4x2_t top = vtrnq_f32(r[0], r[1]), bottom = vtrnq_f32(r[2], r[3]);
    for (int i = 0; i < 2; i++) {
      vst1q_f32(target + i * targetRow, vcombine_f32(vget_low_f32(top.val[i]), vget_low_f32(bottom.val[i])));
      vst1q_f32(target + (i + 2) * targetRow, vcombine_f32(vget_high_f32(top.val[i]), vget_high_f32(bottom.val[i])));
    }
  }
};

}  // namespace seqgrad
