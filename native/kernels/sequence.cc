// Sequences of unequal length.
#include "../simd/vectors.h"
#include "kernel.h"
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
      if (row / B >= r.lengths[row % B]) {
        forVectors<S>(0, C, [&](auto at) { at.store(y, S::zero()); });
      } else if (y != x) {
        forVectors<S>(0, C, [&](auto at) { at.store(y, at.load(x)); });
      }
    }
  });
}

/// lengths [B] → y [T, B]
template <class S>
void liveSteps(const LiveSteps& r, Context&) {
  for (int64_t t = 0; t < r.T; t++) {
    for (int64_t b = 0; b < r.B; b++) r.y[t * r.B + b] = t < r.lengths[b] ? 1 : 0;
  }
}

/// flags [R], a, b, y [R, C]
template <class S>
void selectRows(const SelectRows& r, Context& context) {
  const int64_t R = r.R, C = r.C;
  if (C == 0) return;
  const int64_t rows = pieces<int64_t>(16384, C);
  context.team.parallel(pieces(R, rows), [&](int64_t ticket) {
    for (int64_t row = ticket * rows; row < least(ticket * rows + rows, R); row++) {
      const float* chosen = r.flags[row] != 0 ? r.a : r.b;
      float* y = r.y + row * C;
      if (chosen == nullptr) {
        forVectors<S>(0, C, [&](auto at) { at.store(y, S::zero()); });
      } else {
        forVectors<S>(0, C, [&](auto at) { at.store(y, at.load(chosen + row * C)); });
      }
    }
  });
}

/// The steps that row b has, 0 … T.
template <class Record>
SEQGRAD_INLINE int64_t lengthOf(const Record& r, int64_t b) {
  if (r.lengths == nullptr) return r.T;
  return r.lengths[b] < 0 ? 0 : least<int64_t>(r.lengths[b], r.T);
}

/// x [T, B, C], lengths [B] → y [B, C]
template <class S>
void maxSteps(const MaxSteps& r, Context& context) {
  const int64_t B = r.B, C = r.C;
  context.team.parallel(B, [&](int64_t b) {
    const int64_t length = lengthOf(r, b);
    forVectors<S>(0, C, [&](auto at) {
      auto most = length == 0 ? S::zero() : at.load(r.x + b * C);
      for (int64_t t = 1; t < length; t++) {
        const auto x = at.load(r.x + (t * B + b) * C);
        most = S::select(S::isNan(x), x, S::select(most < x, x, most));
      }
      at.store(r.y + b * C, most);
    });
  });
}

/// x [T, B, C], lengths [B], y, dy [B, C] → dx [T, B, C]
template <class S>
void maxStepsBackward(const MaxStepsBackward& r, Context& context) {
  const int64_t B = r.B, C = r.C;
  context.team.parallel(B, [&](int64_t b) {
    const int64_t length = lengthOf(r, b);
    forVectors<S>(0, C, [&](auto at) {
      const auto y = at.load(r.y + b * C);
      auto left = at.load(r.dy + b * C);  // what no step has been given yet
      for (int64_t t = 0; t < r.T; t++) {
        auto given = S::zero();
        if (t < length) {
          const auto x = at.load(r.x + (t * B + b) * C);
          given = S::select(x >= y, S::select(y >= x, left, S::zero()), S::zero());
          left = S::select(x >= y, S::select(y >= x, S::zero(), left), left);
        }
        at.store(r.dx + (t * B + b) * C, given);
      }
    });
  });
}

SEQGRAD_KERNEL(maskSteps, MaskSteps);
SEQGRAD_KERNEL(liveSteps, LiveSteps);
SEQGRAD_KERNEL(selectRows, SelectRows);
SEQGRAD_KERNEL(maxSteps, MaxSteps);
SEQGRAD_KERNEL(maxStepsBackward, MaxStepsBackward);

}  // namespace seqgrad
