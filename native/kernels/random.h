// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") and what is drawn from it.
#pragma once
#include "../generated/instructions.h"
#include "../simd/math.h"
#include "../simd/vectors.h"
#include "tickets.h"

namespace seqgrad {

/// The four words of the counters (first + lane, stream, step, 0).
template <class S>
SEQGRAD_INLINE void philox(int32_t first, int32_t stream, const int32_t* random, typename S::Ints (&word)[4]) {
  const auto multiplier0 = S::broadcast(static_cast<int32_t>(0xD2511F53u));
  const auto multiplier2 = S::broadcast(static_cast<int32_t>(0xCD9E8D57u));
  uint32_t key0 = static_cast<uint32_t>(random[0]), key1 = static_cast<uint32_t>(random[1]);
  word[0] = S::broadcast(first) + S::iota();
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

/// Runs `body(values, at)` over n elements, `values` being those that `draw` makes of four words, one for each word,
/// and `at` a cursor whose elements `values` holds from its start. Tickets and blocks are multiples of 4 · lanes
/// elements.
template <class S, class Draw, class Body>
SEQGRAD_INLINE void forRandom(int64_t n, int32_t stream, const int32_t* random, Context& context, const Draw& draw,
                              const Body& body) {
  constexpr int64_t BLOCK = 4 * S::lanes;
  share(context, Cut(n, COMPUTED, BLOCK), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block += BLOCK) {
      typename S::Ints word[4];
      typename S::Floats value[4];
      philox<S>(static_cast<int32_t>(block / 4), stream, random, word);
      draw(word, value);
      // Element e takes word e mod 4 of counter e / 4.
      float byWord[4][S::lanes], drawn[BLOCK];
      for (int j = 0; j < 4; j++) S::store(byWord[j], value[j]);
      for (int e = 0; e < BLOCK; e++) drawn[e] = byWord[e % 4][e / 4];
      forVectors<S>(block, least(block + BLOCK, end), [&](auto at) { body(S::load(drawn + (at.index - block)), at); });
    }
  });
}

/// x, y [n]
template <class S>
void dropout(const Dropout& r, Context& context) {
  const auto rate = S::broadcast(r.rate), keepScale = S::broadcast(r.keepScale);
  forRandom<S>(
      r.n, r.stream, r.random, context,
      [](const auto& word, auto& u) {
        for (int j = 0; j < 4; j++) u[j] = uniform<S>(word[j]);
      },
      [&](auto u, auto at) { at.store(r.y, S::select(u >= rate, at.load(r.x) * keepScale, S::zero())); });
}

/// y [n]
template <class S>
void philoxUniform(const PhiloxUniform& r, Context& context) {
  const auto low = S::broadcast(r.low), range = S::broadcast(r.range);
  forRandom<S>(
      r.n, r.stream, r.random, context,
      [](const auto& word, auto& u) {
        for (int j = 0; j < 4; j++) u[j] = uniform<S>(word[j]);
      },
      [&](auto u, auto at) { at.store(r.y, S::fma(u, range, low)); });
}

/// y [n]. Two words give two independent deviates (Box & Muller 1958).
template <class S>
void philoxNormal(const PhiloxNormal& r, Context& context) {
  const auto mean = S::broadcast(r.mean), deviation = S::broadcast(r.deviation);
  forRandom<S>(
      r.n, r.stream, r.random, context,
      [](const auto& word, auto& z) {
        for (int j = 0; j < 4; j += 2) {
          // In (0, 1], so that the logarithm is finite.
          const auto p = S::toFloats(S::template shiftRight<8>(word[j]) + S::broadcast(1)) * S::broadcast(0x1p-24f);
          const auto radius = S::sqrt(S::broadcast(-2.0f) * math::log<S>(p));
          typename S::Floats sine, cosine;
          math::sincosOfTurns<S>(uniform<S>(word[j + 1]), sine, cosine);
          z[j] = radius * cosine;
          z[j + 1] = radius * sine;
        }
      },
      [&](auto z, auto at) { at.store(r.y, S::fma(z, deviation, mean)); });
}

}  // namespace seqgrad
