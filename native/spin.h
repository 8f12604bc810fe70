// Waiting for another thread that will be ready in a moment, without giving up the core.
#pragma once
#include <chrono>

#include "simd/inline.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(_MSC_VER)
#include <intrin.h>
#endif

namespace seqgrad {

/// Tells the processor that this is a waiting loop.
SEQGRAD_INLINE void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(_MSC_VER)
  __yield();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Waits until `isReady`, or until patience ends. @returns whether it is ready.
template <class Ready>
bool spin(std::chrono::microseconds patience, const Ready& isReady) {
  using Clock = std::chrono::steady_clock;
  constexpr int LOOKS = 32;  // between two looks at the clock, which costs as much as one or two
  auto end = Clock::time_point::max();
  for (;;) {
    for (int look = 0; look < LOOKS; look++) {
      if (isReady()) return true;
      pause();
    }
    const auto now = Clock::now();
    if (end == Clock::time_point::max()) end = now + patience;
    if (now >= end) return false;
  }
}

}  // namespace seqgrad
