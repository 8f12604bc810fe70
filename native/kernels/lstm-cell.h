// One step of an LSTM's cells, with or without a projection after it; gates in the order i, f, g, o.
#pragma once
#include "../simd/math.h"
#include "recurrence.h"

namespace seqgrad {

/// Gates and cells of step t for the units at `at` of these rows, and o·tanh(c), which goes to `out(b, value)`. `panel`
/// [W][4][lanes] holds the units' columns of weightHhᵀ, gate by gate, W being the width of the hidden state.
template <class S, int count, class Record, class Units, class Out>
SEQGRAD_INLINE void lstmCells(const Record& r, int64_t W, const float* panel, int64_t t, const TileRows<count>& rows,
                              Units at, const Out& out) {
  const int64_t B = r.B, H = r.H, before = stateBefore(r, t), after = stateAfter(r, t);
  typename S::Floats sum[count][4];
  const auto ahead = aheadIf(isFar(r), [&](int row) {
    const int64_t b = rows.b[row];
    for (int gate = 0; gate < 4; gate++) {
      fetch(r.xGates + ((t * B + b) * 4 + gate) * H + at.index);
      fetchToWrite(r.gates + ((t * B + b) * 4 + gate) * H + at.index);
    }
    fetchToWrite(r.cell + (after * B + b) * H + at.index);
    fetchToWrite(r.hidden + (after * B + b) * W + at.index);
    fetchToWrite(r.tanhCell + (t * B + b) * H + at.index);
  });
  multiplyTile<S>(rowsAt(r.hidden + before * B * W, W, rows), panel, 4 * S::lanes, W, sum, ahead);
  // Two passes: tanh(c) has to wait for the gates, and the processor does not look ahead far enough to fill the wait.
  typename S::Floats cNew[count];
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row];
    auto cBefore = at.load(r.cell + (before * B + b) * H);
    if (isCut(r, t, b)) {
      for (auto& gate : sum[row]) gate = S::zero();
      cBefore = S::zero();
    }
    const float* x = r.xGates + (t * B + b) * 4 * H;
    float* gates = r.gates + (t * B + b) * 4 * H;
    const auto i = math::sigmoid<S>(at.load(x) + sum[row][0]);
    const auto f = math::sigmoid<S>(at.load(x + H) + sum[row][1]);
    const auto g = math::tanh<S>(at.load(x + 2 * H) + sum[row][2]);
    const auto o = math::sigmoid<S>(at.load(x + 3 * H) + sum[row][3]);
    cNew[row] = S::fma(i, g, f * cBefore);
    at.store(gates, i);
    at.store(gates + H, f);
    at.store(gates + 2 * H, g);
    at.store(gates + 3 * H, o);
    sum[row][3] = o;
  }
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row];
    const auto tc = math::tanh<S>(cNew[row]);
    at.store(r.cell + (after * B + b) * H, cNew[row]);
    at.store(r.tanhCell + (t * B + b) * H, tc);
    out(b, sum[row][3] * tc);
  }
}

/// Gradients of the units at `at` of row b at step t, which the row has, from dh, that of o·tanh(c). dC0 carries what
/// goes to the step before.
template <class S, class Record, class Units>
SEQGRAD_INLINE void lstmCellBackward(const Record& r, int64_t t, int64_t b, Units at, typename S::Floats dh) {
  const int64_t B = r.B, H = r.H, row = t * B + b;
  float* dC = r.dC0 + b * H;
  const bool cut = isCut(r, t, b);
  const float* gates = r.gates + row * 4 * H;
  const auto one = S::broadcast(1.0f);
  const auto i = at.load(gates), f = at.load(gates + H), g = at.load(gates + 2 * H), o = at.load(gates + 3 * H);
  const auto tc = at.load(r.tanhCell + row * H);
  const auto cBefore = cut ? S::zero() : at.load(r.cell + (stateBefore(r, t) * B + b) * H);

  const auto dc = S::fma(dh * o, S::fma(-tc, tc, one), at.load(dC));
  at.store(dC, cut ? S::zero() : dc * f);
  const auto di = dc * g, df = dc * cBefore, dg = dc * i, dO = dh * tc;
  float* dGates = r.dGates + row * 4 * H;
  at.store(dGates, di * S::fma(-i, i, i));
  at.store(dGates + H, df * S::fma(-f, f, f));
  at.store(dGates + 2 * H, dg * S::fma(-g, g, one));
  at.store(dGates + 3 * H, dO * S::fma(-o, o, o));

  if (r.dCellTotal != nullptr) at.store(r.dCellTotal + row * H, dc);
  if (r.dGateValues != nullptr) {
    float* dValues = r.dGateValues + row * 4 * H;
    at.store(dValues, di);
    at.store(dValues + H, df);
    at.store(dValues + 2 * H, dg);
    at.store(dValues + 3 * H, dO);
  }
}

/// Zeros for the gradients of all gates and cells at the steps that rows lack.
template <class S, class Record>
void clearEndedCells(const Record& r, const RowOrder& order, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  clearEnded<S>(order, r.dGates, T, B, 4 * H, context);
  clearEnded<S>(order, r.dGateValues, T, B, 4 * H, context);
  clearEnded<S>(order, r.dCellTotal, T, B, H, context);
}

/// Asks for what the gradients of row b at step t will meet.
template <class Record>
SEQGRAD_INLINE void fetchLstmCell(const Record& r, int64_t t, int64_t b, int64_t unit) {
  const int64_t H = r.H, at = t * r.B + b;
  for (int gate = 0; gate < 4; gate++) {
    fetch(r.gates + (at * 4 + gate) * H + unit);
    fetchToWrite(r.dGates + (at * 4 + gate) * H + unit);
  }
  fetch(r.tanhCell + at * H + unit);
  fetch(r.cell + (stateBefore(r, t) * r.B + b) * H + unit);
}

}  // namespace seqgrad
