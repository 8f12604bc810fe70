// What is drawn from Philox: dropout, uniform and normal numbers.
#include "../simd/math.h"
#include "../simd/vectors.h"
#include "kernel.h"
#include "philox.h"
#include "tickets.h"

namespace seqgrad {

/// Runs `body(values, at)` over n elements, `values` being those that `draw` makes of four words, one for each word,
/// and `at` a cursor whose elements `values` holds from its start. Tickets and blocks are multiples of 4 · lanes
/// elements.
template <class S, class Draw, class Body>
SEQGRAD_INLINE void forRandom(int64_t n, int32_t stream, const int32_t* random, Context& context, const Draw& draw,
                              const Body& body) {
  constexpr int64_t BLOCK = 4 * S::lanes;
  share(context, Cut(n, COMPUTED, BLOCK), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block += BLOCK) {
      typename S::Ints word[1][4];
      typename S::Floats value[4];
      const typename S::Ints counter[1] = {S::broadcast(static_cast<int32_t>(block / 4)) + S::iota()};
      philox<S>(counter, stream, random, word);
      draw(word[0], value);
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

SEQGRAD_KERNEL(dropout, Dropout);
SEQGRAD_KERNEL(philoxUniform, PhiloxUniform);
SEQGRAD_KERNEL(philoxNormal, PhiloxNormal);

}  // namespace seqgrad
