// The LSTM over a whole sequence. Names and order follow the reference; T steps, B rows, H units, gates in the order i,
// f, g, o.
#include "../simd/math.h"
#include "kernel.h"
#include "lstm-cell.h"

namespace seqgrad {

template <class S>
void lstmForward(const LstmForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const int64_t start = r.reverse ? T : 0;
  copyOrZero<S>(r.h0, r.hidden + start * B * H, B * H, context);
  copyOrZero<S>(r.c0, r.cell + start * B * H, B * H, context);
  if (T == 0) return;

  float* packed = context.workspace;  // [panels][H][4][lanes]
  packUnits<S, 4>(r.weightHh, H, H, packed, context);
  for (int64_t step = 0; step < T; step++) {
    const int64_t t = r.reverse ? T - 1 - step : step;
    const float* before = r.hidden + stateBefore(r, t) * B * H;
    float* after = r.hidden + stateAfter(r, t) * B * H;
    unitTiles<S>(B, H, 4 * H * H, context, [&](auto rows, int64_t first, auto at) {
      lstmCells<S, rows.value>(r, H, packed + at.index * H * 4, t, first, at, [&](int64_t b, bool live, auto h) {
        at.store(after + b * H, live ? h : at.load(before + b * H));
      });
    });
  }
}

/// One step of the units u … of the rows b0 …; panel [4H][vectors · lanes] holds the units' columns of weightHh.
template <class S, int rows, int vectors>
void lstmBackwardTile(const LstmBackward& r, const float* panel, BackwardStep step, int64_t b0, int64_t u) {
  const int64_t B = r.B, H = r.H;
  typename S::Floats recurrent[rows][vectors];
  recurrentTile<S>(r, step, r.dGates, 4 * H, panel, b0, recurrent, [&](int row) {
    if (step.isInitial) return;
    for (int v = 0; v < vectors; v++) {
      fetchLstmCell(r, step.t, b0 + row, u + v * S::lanes);
      if (r.dHidden != nullptr) fetch(r.dHidden + (step.t * B + b0 + row) * H + u + v * S::lanes);
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
        clearGates<S>(r.dHiddenTotal == nullptr ? nullptr : r.dHiddenTotal + at * H, 1, H, units);
        lstmCellAbsent<S>(r, step.t, b, units);
        return;
      }
      const auto dHidden = r.dHidden == nullptr ? S::zero() : units.load(r.dHidden + at * H);
      const auto dh = (followed ? recurrent[row][v] : units.load(dH)) + dHidden;
      if (r.dHiddenTotal != nullptr) units.store(r.dHiddenTotal + at * H, dh);
      lstmCellBackward<S>(r, step.t, b, units, dh);
    });
  }
}

template <class S>
void lstmBackward(const LstmBackward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.dHLast, r.dH0, B * H, context);
  copyOrZero<S>(r.dCLast, r.dC0, B * H, context);
  if (T == 0) return;

  float* packed = context.workspace;  // [panels][4H][vectors][lanes]
  packColumns<S>(r.weightHh, H, 1, 4 * H, H, packed, context);
  forBackwardSteps(r, [&](BackwardStep step) {
    columnTiles<S>(B, H, 4 * H * H, context, [&](auto rows, auto vectors, int64_t b, int64_t u) {
      lstmBackwardTile<S, rows.value, vectors.value>(r, packed + u * 4 * H, step, b, u);
    });
  });
}

SEQGRAD_KERNEL(lstmForward, LstmForward);
SEQGRAD_KERNEL(lstmBackward, LstmBackward);

}  // namespace seqgrad
