// Sequences of unequal length.
#pragma once
#include "../generated/instructions.h"
#include "../simd/vectors.h"
#include "tickets.h"

namespace seqgrad {

/// x, y [T, B, C], lengths [B]
template <class S>
void maskSteps(const MaskSteps& r, Context& context) {
  const int64_t B = r.B, C = r.C;
  if (B == 0 || C == 0) return;
  share(context, Cut(r.T * B, rowsOf(STREAMED, C)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const float* x = r.x + row * C;
      float* y = r.y + row * C;
      if (row / B < r.lengths[row % B]) {
        forVectors<S>(0, C, [&](auto at) { at.store(y, at.load(x)); });
      } else {
        forVectors<S>(0, C, [&](auto at) { at.store(y, S::zero()); });
      }
    }
  });
}

}  // namespace seqgrad
