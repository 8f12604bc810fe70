// Cache lines that are asked for before they are needed. Most processors fetch ahead by themselves, but not everywhere:
// a loop over a long array that does much to each element then waits for memory as long again.
#pragma once
#include "inline.h"

namespace seqgrad {

/// Elements of a line, and how far ahead of a loop over a long array its lines are asked for.
constexpr int LINE = 16, AHEAD = 512;

/// Asks for the cache line at `p`, which will be read soon. Any address is allowed. GCC takes a function that does
/// nothing but ask for one without effect and drops the calls of it; the empty statement is an effect.
SEQGRAD_INLINE void fetch(const float* p) {
  __builtin_prefetch(p);
  __asm__ volatile("");
}

/// The same for what will be written: asked for as one's own, or the store would ask again.
SEQGRAD_INLINE void fetchToWrite(const float* p) {
  __builtin_prefetch(p, 1);
  __asm__ volatile("");
}

}  // namespace seqgrad
