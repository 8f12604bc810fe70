// How the processor treats rounding and subnormal numbers while a program runs.
#pragma once
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace seqgrad {

/// The control register of a thread's floating-point unit.
class FloatMode {
 public:
  /// Rounds to nearest, without traps; with `flushes` subnormal results and arguments count as zero (they cost a
  /// hundred cycles each).
  static FloatMode of(bool flushes) { return FloatMode(DEFAULT | (flushes ? FLUSH : 0)); }

#if defined(__x86_64__) || defined(_M_X64)
  static FloatMode current() { return FloatMode(_mm_getcsr() & ~FLAGS); }
  void enter() const { _mm_setcsr(static_cast<unsigned>(bits_)); }
#elif defined(__aarch64__) && !defined(_MSC_VER)
  static FloatMode current() {
    uint64_t bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    return FloatMode(bits);
  }
  void enter() const { __asm__ volatile("msr fpcr, %0" : : "r"(bits_)); }
#else
  static FloatMode current() { return FloatMode(DEFAULT); }
  void enter() const {}
#endif

  /// To hand it to another thread.
  explicit FloatMode(uint64_t bits) : bits_(bits) {}
  uint64_t bits() const { return bits_; }

 private:
#if defined(__aarch64__)
  static constexpr uint64_t DEFAULT = 0, FLUSH = 1 << 24;
#else
  static constexpr uint64_t DEFAULT = 0x1f80, FLUSH = 0x8040;
  static constexpr unsigned FLAGS = 0x3f;  // what has happened so far
#endif
  uint64_t bits_;
};

/// A mode for a while. The thread's own returns at the end: it belongs to the caller.
class FloatEnvironment {
 public:
  explicit FloatEnvironment(bool flushes) : before_(FloatMode::current()) { FloatMode::of(flushes).enter(); }
  ~FloatEnvironment() { before_.enter(); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  FloatMode before_;
};

}  // namespace seqgrad
