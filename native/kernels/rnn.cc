// The vanilla recurrent layer over a whole sequence. Names and order follow the reference.
#include "../simd/math.h"
#include "kernel.h"
#include "recurrence.h"

namespace seqgrad {

/// Step t of these rows for the units u …; panel [H][vectors · lanes] holds the units' columns of weightHhᵀ.
template <class S, int vectors, int count>
void rnnForwardTile(const RnnForward& r, const float* panel, int64_t t, const TileRows<count>& rows, int64_t u) {
  const int64_t B = r.B, H = r.H, before = stateBefore(r, t), after = stateAfter(r, t);
  typename S::Floats sum[count][vectors];
  const auto ahead = aheadIf(isFar(r), [&](int row) {
    for (int v = 0; v < vectors; v++) {
      fetch(r.xGates + (t * B + rows.b[row]) * H + u + v * S::lanes);
      fetchToWrite(r.hidden + (after * B + rows.b[row]) * H + u + v * S::lanes);
    }
  });
  multiplyTile<S>(rowsAt(r.hidden + before * B * H, H, rows), panel, vectors * S::lanes, H, sum, ahead);
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row];
    const bool cut = isCut(r, t, b);
    forTileVectors<S, vectors>(H, u, [&](int v, auto at) {
      const auto pre = at.load(r.xGates + (t * B + b) * H) + (cut ? S::zero() : sum[row][v]);
      at.store(r.hidden + (after * B + b) * H, r.relu ? math::relu<S>(pre) : math::tanh<S>(pre));
    });
  }
}

template <class S>
void rnnForward(const RnnForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.h0, r.hidden + (r.reverse ? T : 0) * B * H, B * H, context);
  if (T == 0) return;

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packed = context.workspace + RowOrder::elements(T, B);  // [panels][H][vectors][lanes]
  packColumns<S>(r.weightHh, 1, H, H, H, packed, context);
  const auto carry = [&] { carryEnded<S>(r, order, r.hidden, H, context); };
  forForwardSteps(r, order, carry, [&](int64_t t, Rows its) {
    columnTiles<S>(its, t, H, H * H, context, [&](const auto& rows, auto vectors, int64_t u) {
      rnnForwardTile<S, vectors.value>(r, packed + u * H, t, rows, u);
    });
  });
}

/// One step of these rows for the units u …; panel [H][vectors · lanes] holds the units' columns of weightHh.
template <class S, int vectors, int count>
void rnnBackwardTile(const RnnBackward& r, const float* panel, BackwardStep step, const TileRows<count>& rows,
                     int64_t u) {
  const int64_t B = r.B, H = r.H;
  const auto one = S::broadcast(1.0f);
  typename S::Floats recurrent[count][vectors];
  const auto ahead = aheadIf(isFar(r) && !step.isInitial, [&](int row) {
    const int64_t b = rows.b[row], at = step.t * B + b;
    for (int v = 0; v < vectors; v++) {
      fetch(r.hidden + (stateAfter(r, step.t) * B + b) * H + u + v * S::lanes);
      if (r.dHidden != nullptr) fetch(r.dHidden + at * H + u + v * S::lanes);
      fetchToWrite(r.dGates + at * H + u + v * S::lanes);
    }
  });
  recurrentTile<S>(r, step, r.dGates, H, panel, rows, recurrent, ahead);
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row], at = step.t * B + b;
    const bool followed = hasFollower(r, step, b), live = isLive(r, step, b);
    forTileVectors<S, vectors>(H, u, [&](int v, auto units) {
      float* dH = r.dH0 + b * H;  // what is carried where no step followed
      if (!live) {
        units.store(dH, recurrent[row][v]);
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

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packed = context.workspace + RowOrder::elements(T, B);  // [panels][H][vectors][lanes]
  packColumns<S>(r.weightHh, H, 1, H, H, packed, context);
  clearEnded<S>(order, r.dGates, T, B, H, context);
  clearEnded<S>(order, r.dHiddenTotal, T, B, H, context);
  forBackwardSteps(r, order, [&](BackwardStep step) {
    columnTiles<S>(step.rows, step.t, H, H * H, context, [&](const auto& rows, auto vectors, int64_t u) {
      rnnBackwardTile<S, vectors.value>(r, packed + u * H, step, rows, u);
    });
  });
}

SEQGRAD_KERNEL(rnnForward, RnnForward);
SEQGRAD_KERNEL(rnnBackward, RnnBackward);

}  // namespace seqgrad
