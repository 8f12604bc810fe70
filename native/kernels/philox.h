// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
#pragma once
#include "../simd/inline.h"

namespace seqgrad {

/// The four words of the counters (counter, stream, step, 0), for a few vectors of counters: one alone would wait for
/// each multiplication.
template <class S, int vectors>
SEQGRAD_INLINE void philox(const typename S::Ints (&counter)[vectors], int32_t stream, const int32_t* random,
                           typename S::Ints (&word)[vectors][4]) {
  const auto multiplier0 = S::broadcast(static_cast<int32_t>(0xD2511F53u));
  const auto multiplier2 = S::broadcast(static_cast<int32_t>(0xCD9E8D57u));
  uint32_t key0 = static_cast<uint32_t>(random[0]), key1 = static_cast<uint32_t>(random[1]);
  for (int v = 0; v < vectors; v++) {
    word[v][0] = counter[v];
    word[v][1] = S::broadcast(stream);
    word[v][2] = S::broadcast(random[2]);
    word[v][3] = S::broadcast(0);
  }
  for (int round = 0; round < 10; round++) {
    const auto x = S::broadcast(static_cast<int32_t>(key0)), y = S::broadcast(static_cast<int32_t>(key1));
    for (auto& its : word) {
      typename S::Ints high0, low0, high2, low2;
      S::multiplyWide(its[0], multiplier0, high0, low0);
      S::multiplyWide(its[2], multiplier2, high2, low2);
      its[0] = high2 ^ its[1] ^ x;
      its[1] = low2;
      its[2] = high0 ^ its[3] ^ y;
      its[3] = low0;
    }
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
