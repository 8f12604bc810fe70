// The LSTM whose hidden state is projected to P elements: two products for each step, one after the other.
#include "kernel.h"
#include "lstm-cell.h"

namespace seqgrad {

template <class S>
void projectedLstmForward(const ProjectedLstmForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  const int64_t start = r.reverse ? T : 0;
  copyOrZero<S>(r.h0, r.hidden + start * B * P, B * P, context);
  copyOrZero<S>(r.c0, r.cell + start * B * H, B * H, context);
  if (T == 0) return;

  float* packedHh = context.workspace;                                           // [panels][P][4][lanes]
  float* packedHr = packedHh + pieces<int64_t>(H, S::lanes) * S::lanes * 4 * P;  // [panels][H][vectors][lanes]
  packUnits<S, 4>(r.weightHh, H, P, packedHh, context);
  packColumns<S>(r.weightHr, 1, H, H, P, packedHr, context);
  for (int64_t step = 0; step < T; step++) {
    const int64_t t = r.reverse ? T - 1 - step : step;
    unitTiles<S>(B, H, 4 * H * P, context, [&](auto rows, int64_t first, auto at) {
      lstmCells<S, rows.value>(r, P, packedHh + at.index * P * 4, t, first, at,
                               [&](int64_t b, bool, auto value) { at.store(r.unprojected + (t * B + b) * H, value); });
    });
    columnTiles<S>(B, P, H * P, context, [&](auto rows, auto vectors, int64_t b0, int64_t p) {
      typename S::Floats h[rows.value][vectors.value];
      multiplyTile<S>(RowMajor{r.unprojected + (t * B + b0) * H, H}, packedHr + p * H, vectors.value * S::lanes, H, h,
                      [](int) {});
      for (int row = 0; row < rows.value; row++) {
        const int64_t b = b0 + row;
        const float* before = r.hidden + (stateBefore(r, t) * B + b) * P;
        float* after = r.hidden + (stateAfter(r, t) * B + b) * P;
        const bool live = isLive(r.lengths, t, b);
        forTileVectors<S, vectors.value>(P, p,
                                         [&](int v, auto at) { at.store(after, live ? h[row][v] : at.load(before)); });
      }
    });
  }
}

/// dHiddenTotal of one step, and what is carried where no step followed, for the elements p … of the rows b0 …; panel
/// [4H][vectors · lanes] holds their columns of weightHh.
template <class S, int rows, int vectors>
void projectedHiddenBackward(const ProjectedLstmBackward& r, const float* panel, BackwardStep step, int64_t b0,
                             int64_t p) {
  const int64_t B = r.B, P = r.P;
  typename S::Floats recurrent[rows][vectors];
  recurrentTile<S>(r, step, r.dGates, 4 * static_cast<int64_t>(r.H), panel, b0, recurrent, [](int) {});
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row, at = step.t * B + b;
    const bool followed = hasFollower(r, step, b), live = isLive(r, step, b);
    forTileVectors<S, vectors>(P, p, [&](int v, auto units) {
      float* dH = r.dH0 + b * P;
      if (!live) {
        if (followed) units.store(dH, recurrent[row][v]);
        if (!step.isInitial) units.store(r.dHiddenTotal + at * P, S::zero());
        return;
      }
      const auto dHidden = r.dHidden == nullptr ? S::zero() : units.load(r.dHidden + at * P);
      units.store(r.dHiddenTotal + at * P, (followed ? recurrent[row][v] : units.load(dH)) + dHidden);
    });
  }
}

/// The cells of step t, from dHiddenTotal, for the units u … of the rows b0 …; panel [P][vectors · lanes] holds their
/// columns of weightHr.
template <class S, int rows, int vectors>
void projectedCellsBackward(const ProjectedLstmBackward& r, const float* panel, int64_t t, int64_t b0, int64_t u) {
  const int64_t B = r.B, P = r.P;
  typename S::Floats dm[rows][vectors];
  multiplyTile<S>(RowMajor{r.dHiddenTotal + (t * B + b0) * P, P}, panel, vectors * S::lanes, P, dm, [&](int row) {
    for (int v = 0; v < vectors; v++) fetchLstmCell(r, t, b0 + row, u + v * S::lanes);
  });
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row;
    const bool live = isLive(r.lengths, t, b);
    forTileVectors<S, vectors>(r.H, u, [&](int v, auto units) {
      if (live) {
        lstmCellBackward<S>(r, t, b, units, dm[row][v]);
      } else {
        lstmCellAbsent<S>(r, t, b, units);
      }
    });
  }
}

template <class S>
void projectedLstmBackward(const ProjectedLstmBackward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  copyOrZero<S>(r.dHLast, r.dH0, B * P, context);
  copyOrZero<S>(r.dCLast, r.dC0, B * H, context);
  if (T == 0) return;

  float* packedHh = context.workspace;                                           // [panels][4H][vectors][lanes]
  float* packedHr = packedHh + pieces<int64_t>(P, S::lanes) * S::lanes * 4 * H;  // [panels][P][vectors][lanes]
  packColumns<S>(r.weightHh, P, 1, 4 * H, P, packedHh, context);
  packColumns<S>(r.weightHr, H, 1, P, H, packedHr, context);
  forBackwardSteps(r, [&](BackwardStep step) {
    columnTiles<S>(B, P, 4 * H * P, context, [&](auto rows, auto vectors, int64_t b, int64_t p) {
      projectedHiddenBackward<S, rows.value, vectors.value>(r, packedHh + p * 4 * H, step, b, p);
    });
    if (step.isInitial) return;
    columnTiles<S>(B, H, H * P, context, [&](auto rows, auto vectors, int64_t b, int64_t u) {
      projectedCellsBackward<S, rows.value, vectors.value>(r, packedHr + u * P, step.t, b, u);
    });
  });
}

SEQGRAD_KERNEL(projectedLstmForward, ProjectedLstmForward);
SEQGRAD_KERNEL(projectedLstmBackward, ProjectedLstmBackward);

}  // namespace seqgrad
