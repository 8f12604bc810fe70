// Sums over sixteen lanes: lane l takes the elements l, l+16, … whatever the width of a vector, so every ISA adds in
// one order.
#pragma once
#include "inline.h"
#include "vectors.h"

namespace seqgrad {

template <class S>
struct Lanes {
  static constexpr int vectors = 16 / S::lanes;
  typename S::Floats lane[vectors];

  SEQGRAD_INLINE Lanes() {
    for (auto& l : lane) l = S::zero();
  }

  /// Runs `body(lane, at)` over an array of n elements, `lane` being the lanes that the elements at `at` belong to.
  /// The body must leave lanes alone that `at` does not hold; adding `at.load(…)`, which is zero there, does.
  template <class Body>
  SEQGRAD_INLINE void take(ptrdiff_t n, const Body& body) {
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) {
      for (int v = 0; v < vectors; v++) body(lane[v], Whole<S>{i + v * S::lanes});
    }
    for (int v = 0; v < vectors && i + v * S::lanes < n; v++) {
      const ptrdiff_t at = i + v * S::lanes;
      body(lane[v], Rest<S>{at, static_cast<int>(least<ptrdiff_t>(n - at, S::lanes))});
    }
  }

  /// Lane l + lane l+8, then +4, +2, +1.
  SEQGRAD_INLINE float total() const {
    float part[16];
    for (int v = 0; v < vectors; v++) S::store(part + v * S::lanes, lane[v]);
    for (int half = 8; half > 0; half /= 2) {
      for (int l = 0; l < half; l++) part[l] += part[l + half];
    }
    return part[0];
  }
};

}  // namespace seqgrad
