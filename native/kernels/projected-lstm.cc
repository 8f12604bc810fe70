// The LSTM whose hidden state is projected to P elements: two products for each step, one after the other.
#include "kernel.h"
#include "lstm-cell.h"

namespace seqgrad {

/// hidden [B, P] for the elements p … of these rows; panel [H][vectors · lanes] holds their columns of weightHrᵀ.
template <class S, int vectors, int count>
void projectHidden(const float* unprojected, const float* panel, int64_t H, int64_t P, const TileRows<count>& rows,
                   int64_t p, float* hidden) {
  typename S::Floats h[count][vectors];
  multiplyTile<S>(rowsAt(unprojected, H, rows), panel, vectors * S::lanes, H, h, NothingAhead{});
  for (int row = 0; row < count; row++) {
    forTileVectors<S, vectors>(P, p, [&](int v, auto at) { at.store(hidden + rows.b[row] * P, h[row][v]); });
  }
}

template <class S>
void projectedLstmForward(const ProjectedLstmForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  const int64_t start = r.reverse ? T : 0;
  copyOrZero<S>(r.h0, r.hidden + start * B * P, B * P, context);
  copyOrZero<S>(r.c0, r.cell + start * B * H, B * H, context);
  if (T == 0) return;

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packedHh = context.workspace + RowOrder::elements(T, B);                // [panels][P][4][lanes]
  float* packedHr = packedHh + pieces<int64_t>(H, S::lanes) * S::lanes * 4 * P;  // [panels][H][vectors][lanes]
  packUnits<S, 4>(r.weightHh, H, P, packedHh, context);
  packColumns<S>(r.weightHr, 1, H, H, P, packedHr, context);
  clearEnded<S>(order, r.unprojected, T, B, H, context);
  const auto carry = [&] {
    carryEnded<S>(r, order, r.hidden, P, context);
    carryEnded<S>(r, order, r.cell, H, context);
  };
  forForwardSteps(r, order, carry, [&](int64_t t, Rows its) {
    float *unprojected = r.unprojected + t * B * H, *after = r.hidden + stateAfter(r, t) * B * P;
    unitTiles<S>(its, t, H, 4 * H * P, context, [&](const auto& rows, auto at) {
      lstmCells<S>(r, P, packedHh + at.index * P * 4, t, rows, at,
                   [&](int64_t b, auto value) { at.store(unprojected + b * H, value); });
    });
    columnTiles<S>(its, t, P, H * P, context, [&](const auto& rows, auto vectors, int64_t p) {
      projectHidden<S, vectors.value>(unprojected, packedHr + p * H, H, P, rows, p, after);
    });
  });
}

/// dHiddenTotal of one step, and what is carried where no step followed, for the elements p … of these rows; panel
/// [4H][vectors · lanes] holds their columns of weightHh.
template <class S, int vectors, int count>
void projectedHiddenBackward(const ProjectedLstmBackward& r, const float* panel, BackwardStep step,
                             const TileRows<count>& rows, int64_t p) {
  const int64_t B = r.B, P = r.P;
  typename S::Floats recurrent[count][vectors];
  recurrentTile<S>(r, step, r.dGates, 4 * static_cast<int64_t>(r.H), panel, rows, recurrent, NothingAhead{});
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row], at = step.t * B + b;
    const bool followed = hasFollower(r, step, b), live = isLive(r, step, b);
    forTileVectors<S, vectors>(P, p, [&](int v, auto units) {
      float* dH = r.dH0 + b * P;
      if (!live) {
        units.store(dH, recurrent[row][v]);
        return;
      }
      const auto dHidden = r.dHidden == nullptr ? S::zero() : units.load(r.dHidden + at * P);
      units.store(r.dHiddenTotal + at * P, (followed ? recurrent[row][v] : units.load(dH)) + dHidden);
    });
  }
}

/// The cells of step t, from dHiddenTotal, for the units u … of these rows; panel [P][vectors · lanes] holds their
/// columns of weightHr.
template <class S, int vectors, int count>
void projectedCellsBackward(const ProjectedLstmBackward& r, const float* panel, int64_t t, const TileRows<count>& rows,
                            int64_t u) {
  const int64_t B = r.B, P = r.P;
  typename S::Floats dm[count][vectors];
  const auto ahead = aheadIf(isFar(r), [&](int row) {
    for (int v = 0; v < vectors; v++) fetchLstmCell(r, t, rows.b[row], u + v * S::lanes);
  });
  multiplyTile<S>(rowsAt(r.dHiddenTotal + t * B * P, P, rows), panel, vectors * S::lanes, P, dm, ahead);
  for (int row = 0; row < count; row++) {
    forTileVectors<S, vectors>(r.H, u,
                               [&](int v, auto units) { lstmCellBackward<S>(r, t, rows.b[row], units, dm[row][v]); });
  }
}

template <class S>
void projectedLstmBackward(const ProjectedLstmBackward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  copyOrZero<S>(r.dHLast, r.dH0, B * P, context);
  copyOrZero<S>(r.dCLast, r.dC0, B * H, context);
  if (T == 0) return;

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packedHh = context.workspace + RowOrder::elements(T, B);                // [panels][4H][vectors][lanes]
  float* packedHr = packedHh + pieces<int64_t>(P, S::lanes) * S::lanes * 4 * H;  // [panels][P][vectors][lanes]
  packColumns<S>(r.weightHh, P, 1, 4 * H, P, packedHh, context);
  packColumns<S>(r.weightHr, H, 1, P, H, packedHr, context);
  clearEndedCells<S>(r, order, context);
  clearEnded<S>(order, r.dHiddenTotal, T, B, P, context);
  forBackwardSteps(r, order, [&](BackwardStep step) {
    columnTiles<S>(step.rows, step.t, P, 4 * H * P, context, [&](const auto& rows, auto vectors, int64_t p) {
      projectedHiddenBackward<S, vectors.value>(r, packedHh + p * 4 * H, step, rows, p);
    });
    if (step.isInitial) return;
    columnTiles<S>(order.having(step.t), step.t, H, H * P, context, [&](const auto& rows, auto vectors, int64_t u) {
      projectedCellsBackward<S, vectors.value>(r, packedHr + u * P, step.t, rows, u);
    });
  });
}

SEQGRAD_KERNEL(projectedLstmForward, ProjectedLstmForward);
SEQGRAD_KERNEL(projectedLstmBackward, ProjectedLstmBackward);

}  // namespace seqgrad
