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

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packed = context.workspace + RowOrder::elements(T, B);  // [panels][H][4][lanes]
  packUnits<S, 4>(r.weightHh, H, H, packed, context);
  const auto carry = [&] {
    carryEnded<S>(r, order, r.hidden, H, context);
    carryEnded<S>(r, order, r.cell, H, context);
  };
  forForwardSteps(r, order, carry, [&](int64_t t, Rows its) {
    float* after = r.hidden + stateAfter(r, t) * B * H;
    unitTiles<S>(its, t, H, 4 * H * H, context, [&](const auto& rows, auto at) {
      lstmCells<S>(r, H, packed + at.index * H * 4, t, rows, at,
                   [&](int64_t b, auto h) { at.store(after + b * H, h); });
    });
  });
}

/// One step of these rows for the units u …; panel [4H][vectors · lanes] holds the units' columns of weightHh.
template <class S, int vectors, int count>
void lstmBackwardTile(const LstmBackward& r, const float* panel, BackwardStep step, const TileRows<count>& rows,
                      int64_t u) {
  const int64_t B = r.B, H = r.H;
  typename S::Floats recurrent[count][vectors];
  const auto ahead = aheadIf(isFar(r) && !step.isInitial, [&](int row) {
    for (int v = 0; v < vectors; v++) {
      fetchLstmCell(r, step.t, rows.b[row], u + v * S::lanes);
      if (r.dHidden != nullptr) fetch(r.dHidden + (step.t * B + rows.b[row]) * H + u + v * S::lanes);
    }
  });
  recurrentTile<S>(r, step, r.dGates, 4 * H, panel, rows, recurrent, ahead);
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

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packed = context.workspace + RowOrder::elements(T, B);  // [panels][4H][vectors][lanes]
  packColumns<S>(r.weightHh, H, 1, 4 * H, H, packed, context);
  clearEndedCells<S>(r, order, context);
  clearEnded<S>(order, r.dHiddenTotal, T, B, H, context);
  forBackwardSteps(r, order, [&](BackwardStep step) {
    columnTiles<S>(step.rows, step.t, H, 4 * H * H, context, [&](const auto& rows, auto vectors, int64_t u) {
      lstmBackwardTile<S, vectors.value>(r, packed + u * 4 * H, step, rows, u);
    });
  });
}

SEQGRAD_KERNEL(lstmForward, LstmForward);
SEQGRAD_KERNEL(lstmBackward, LstmBackward);

}  // namespace seqgrad
