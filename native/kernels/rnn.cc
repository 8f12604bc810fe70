// The vanilla recurrent layer over a whole sequence. Names and order follow the reference.
#include "../simd/math.h"
#include "kernel.h"
#include "recurrence.h"

namespace seqgrad {

/// Step t of the units u … of the rows b0 …; panel [H][vectors · lanes] holds the units' columns of weightHhᵀ.
template <class S, int rows, int vectors>
void rnnForwardTile(const RnnForward& r, const float* panel, int64_t t, int64_t b0, int64_t u) {
  const int64_t B = r.B, H = r.H, before = stateBefore(r, t), after = stateAfter(r, t);
  typename S::Floats sum[rows][vectors];
  multiplyTile<S>(RowMajor{r.hidden + (before * B + b0) * H, H}, panel, vectors * S::lanes, H, sum, [&](int row) {
    for (int v = 0; v < vectors; v++) {
      fetch(r.xGates + (t * B + b0 + row) * H + u + v * S::lanes);
      fetch(r.hidden + (after * B + b0 + row) * H + u + v * S::lanes);
    }
  });
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row;
    const bool live = isLive(r.lengths, t, b), cut = live && isCut(r, t, b);
    forTileVectors<S, vectors>(H, u, [&](int v, auto at) {
      float* h = r.hidden + (after * B + b) * H;
      if (!live) {
        at.store(h, at.load(r.hidden + (before * B + b) * H));
        return;
      }
      const auto pre = at.load(r.xGates + (t * B + b) * H) + (cut ? S::zero() : sum[row][v]);
      at.store(h, r.relu ? S::select(S::zero() >= pre, S::zero(), pre) : math::tanh<S>(pre));
    });
  }
}

template <class S>
void rnnForward(const RnnForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.h0, r.hidden + (r.reverse ? T : 0) * B * H, B * H, context);
  if (T == 0) return;

  float* packed = context.workspace;  // [panels][H][vectors][lanes]
  packColumns<S>(r.weightHh, 1, H, H, H, packed, context);
  for (int64_t step = 0; step < T; step++) {
    const int64_t t = r.reverse ? T - 1 - step : step;
    columnTiles<S>(B, H, H * H, context, [&](auto rows, auto vectors, int64_t b, int64_t u) {
      rnnForwardTile<S, rows.value, vectors.value>(r, packed + u * H, t, b, u);
    });
  }
}

/// One step of the units u … of the rows b0 …; panel [H][vectors · lanes] holds the units' columns of weightHh.
template <class S, int rows, int vectors>
void rnnBackwardTile(const RnnBackward& r, const float* panel, BackwardStep step, int64_t b0, int64_t u) {
  const int64_t B = r.B, H = r.H;
  const auto one = S::broadcast(1.0f);
  typename S::Floats recurrent[rows][vectors];
  recurrentTile<S>(r, step, r.dGates, H, panel, b0, recurrent, [&](int row) {
    if (step.isInitial) return;
    const int64_t at = step.t * B + b0 + row;
    for (int v = 0; v < vectors; v++) {
      fetch(r.hidden + (stateAfter(r, step.t) * B + b0 + row) * H + u + v * S::lanes);
      if (r.dHidden != nullptr) fetch(r.dHidden + at * H + u + v * S::lanes);
      fetch(r.dGates + at * H + u + v * S::lanes);
    }
  });
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row, at = step.t * B + b;
    const bool followed = hasFollower(r, step, b), live = isLive(r, step, b);
    forTileVectors<S, vectors>(H, u, [&](int v, auto units) {
      float* dH = r.dH0 + b * H;  // what is carried where no step followed
      if (!live) {
        if (followed) units.store(dH, recurrent[row][v]);
        if (step.isInitial) return;
        units.store(r.dGates + at * H, S::zero());
        if (r.dHiddenTotal != nullptr) units.store(r.dHiddenTotal + at * H, S::zero());
        return;
      }
      const auto dHidden = r.dHidden == nullptr ? S::zero() : units.load(r.dHidden + at * H);
      const auto dh = (followed ? recurrent[row][v] : units.load(dH)) + dHidden;
      const auto h = units.load(r.hidden + (stateAfter(r, step.t) * B + b) * H);
      if (r.dHiddenTotal != nullptr) units.store(r.dHiddenTotal + at * H, dh);
      units.store(r.dGates + at * H, r.relu ? S::select(S::zero() < h, dh, S::zero()) : dh * S::fma(-h, h, one));
    });
  }
}

template <class S>
void rnnBackward(const RnnBackward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.dHLast, r.dH0, B * H, context);
  if (T == 0) return;

  float* packed = context.workspace;  // [panels][H][vectors][lanes]
  packColumns<S>(r.weightHh, H, 1, H, H, packed, context);
  forBackwardSteps(r, [&](BackwardStep step) {
    columnTiles<S>(B, H, H * H, context, [&](auto rows, auto vectors, int64_t b, int64_t u) {
      rnnBackwardTile<S, rows.value, vectors.value>(r, packed + u * H, step, b, u);
    });
  });
}

SEQGRAD_KERNEL(rnnForward, RnnForward);
SEQGRAD_KERNEL(rnnBackward, RnnBackward);

}  // namespace seqgrad
