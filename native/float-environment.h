// How the processor treats rounding and subnormal numbers while a program runs.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace seqgrad {

/// Rounds to nearest, without traps; with `flushes` subnormal results and arguments count as zero (they cost a hundred
/// cycles each). The thread's own setting returns at the end: it belongs to the caller.
class FloatEnvironment {
#if defined(__x86_64__)
 public:
  explicit FloatEnvironment(bool flushes) : before_(_mm_getcsr()) { _mm_setcsr(DEFAULT | (flushes ? FLUSH : 0)); }
  ~FloatEnvironment() { _mm_setcsr(before_); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  static constexpr unsigned DEFAULT = 0x1f80, FLUSH = 0x8040;
  unsigned before_;
#else
 public:
  explicit FloatEnvironment(bool) {}
#endif
};

}  // namespace seqgrad
