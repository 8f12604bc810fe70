// Products of bfloat16 numbers, two at a time.
//
// A word holds two that follow each other in a sum, the first in its upper half: bfloat16 is the upper half of a
// float32. The product of two is exact in float32, so sums are the same whether products are fused with additions or
// not, and whether an instruction adds both or two instructions add one each.
#pragma once
#include "inline.h"
#include "tile.h"

namespace seqgrad {

/// The bfloat16 number nearest to each x, ties to even, in the upper half of its lane; in the lower half anything. What
/// is not a number becomes a quiet one, which the upper half shows.
template <class S>
SEQGRAD_INLINE typename S::Ints nearestBfloat16(typename S::Floats x) {
  const auto bits = S::bitsOf(x), one = S::broadcast(int32_t{1});
  const auto rounded = bits + S::broadcast(int32_t{0x7fff}) + (S::template shiftRight<16>(bits) & one);
  const auto quiet = S::fromBits(bits | S::broadcast(int32_t{0x00400000}));
  return S::bitsOf(S::select(S::isNan(x), quiet, S::fromBits(rounded)));
}

/// The upper half of each word as a float32.
template <class S>
SEQGRAD_INLINE typename S::Floats firstOf(typename S::Floats words) {
  return S::fromBits(S::bitsOf(words) & S::broadcast(static_cast<int32_t>(0xffff0000)));
}

/// The lower half of each word as a float32.
template <class S>
SEQGRAD_INLINE typename S::Floats secondOf(typename S::Floats words) {
  return S::fromBits(S::template shiftLeft<16>(S::bitsOf(words)));
}

/// Both rounded, in one word.
template <class S>
SEQGRAD_INLINE typename S::Floats pairOf(typename S::Floats first, typename S::Floats second) {
  const auto upper = S::bitsOf(firstOf<S>(S::fromBits(nearestBfloat16<S>(first))));
  return S::fromBits(upper | S::template shiftRight<16>(nearestBfloat16<S>(second)));
}

/// The vector trait S for factors that are words of pairs: a multiply-add takes two products. `byInstruction`: the
/// processor does that in one; else two multiply-adds stand in for it.
template <class S, bool byInstruction>
struct OfPairs : S {
  using Floats = typename S::Floats;

  static SEQGRAD_INLINE Floats fma(Floats a, Floats b, Floats c) {
    if constexpr (byInstruction) {
      return S::dotPairs(a, b, c);
    } else {
      return S::fma(secondOf<S>(a), secondOf<S>(b), S::fma(firstOf<S>(a), firstOf<S>(b), c));
    }
  }
};

/// Packs `columns` columns as packPanel does, in words: calls `store(word, words)` for each two k in turn, with an
/// array of `width` words, those beyond the last column zero. After an odd last k comes a zero, in both factors.
template <class S, int width, class Store>
SEQGRAD_INLINE void packPairs(const float* source, ptrdiff_t rowStep, ptrdiff_t columnStep, int64_t K, int64_t columns,
                              const Store& store) {
  constexpr int64_t FEW = 16;
  alignas(64) float rows[FEW][width];
  for (int64_t begin = 0; begin < K; begin += FEW) {
    const int64_t count = least(K - begin, FEW);
    packPanel<S>(source + begin * rowStep, rowStep, columnStep, count, columns, rows[0], width, width);
    for (int64_t k = 0; k < count; k += 2) {
      for (int j = 0; j < width; j += S::lanes) {
        const auto second = k + 1 < count ? S::load(rows[k + 1] + j) : S::zero();
        S::store(rows[k] + j, pairOf<S>(S::load(rows[k] + j), second));
      }
      store((begin + k) / 2, static_cast<const float*>(rows[k]));
    }
  }
}

}  // namespace seqgrad
