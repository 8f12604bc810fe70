// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
#pragma once
#include "../simd/inline.h"

namespace seqgrad {

/// The four words of the counters (counter, stream, step, 0).
template <class S>
SEQGRAD_INLINE void philox(typename S::Ints counter, int32_t stream, const int32_t* random,
                           typename S::Ints (&word)[4]) {
  const auto multiplier0 = S::broadcast(static_cast<int32_t>(0xD2511F53u));
  const auto multiplier2 = S::broadcast(static_cast<int32_t>(0xCD9E8D57u));
  uint32_t key0 = static_cast<uint32_t>(random[0]), key1 = static_cast<uint32_t>(random[1]);
  word[0] = counter;
  word[1] = S::broadcast(stream);
  word[2] = S::broadcast(random[2]);
  word[3] = S::broadcast(0);
  for (int round = 0; round < 10; round++) {
    typename S::Ints high0, low0, high2, low2;
    S::multiplyWide(word[0], multiplier0, high0, low0);
    S::multiplyWide(word[2], multiplier2, high2, low2);
    word[0] = high2 ^ word[1] ^ S::broadcast(static_cast<int32_t>(key0));
    word[1] = low2;
    word[2] = high0 ^ word[3] ^ S::broadcast(static_cast<int32_t>(key1));
    word[3] = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

/// (word >> 8) · 2⁻²⁴, in [0, 1).
template <class S>
SEQGRAD_INLINE typename S::Floats uniform(typename S::Ints word) {
  return S::toFloats(S::template shiftRight<8>(word)) * S::broadcast(0x1p-24f);
}

}  // namespace seqgrad
