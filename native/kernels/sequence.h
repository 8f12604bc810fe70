// Sequences of unequal length.
#pragma once
#include "../generated/instructions.h"
#include "../simd/vectors.h"
#include "../team.h"

namespace seqgrad {

/// x, y [T, B, C], lengths [B]
template <class S>
void maskSteps(const MaskSteps& r, Context& context) {
  const int64_t B = r.B, C = r.C;
  if (B == 0 || C == 0) return;
  context.team.parallel(r.T, [&](int64_t t) {
    for (int64_t b = 0; b < B; b++) {
      const float* x = r.x + (t * B + b) * C;
      float* y = r.y + (t * B + b) * C;
      if (t < r.lengths[b]) {
        forVectors<S>(0, C, [&](auto at) { at.store(y, at.load(x)); });
      } else {
        forVectors<S>(0, C, [&](auto at) { at.store(y, S::zero()); });
      }
    }
  });
}

}  // namespace seqgrad
