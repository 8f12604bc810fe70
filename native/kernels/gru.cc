// The GRU over a whole sequence. Names and order follow the reference; gates in the order r, z, n.
#include "../simd/math.h"
#include "kernel.h"
#include "recurrence.h"

namespace seqgrad {

/// Step t of the units at `at` of the rows b0 …; panel [H][3][lanes] holds the units' columns of weightHhᵀ, gate by
/// gate.
template <class S, int rows, class Units>
void gruForwardTile(const GruForward& r, const float* panel, int64_t t, int64_t b0, Units at) {
  const int64_t B = r.B, H = r.H, before = stateBefore(r, t), after = stateAfter(r, t);
  typename S::Floats sum[rows][3];
  multiplyTile<S>(RowMajor{r.hidden + (before * B + b0) * H, H}, panel, 3 * S::lanes, H, sum, [&](int row) {
    const int64_t b = b0 + row;
    for (int gate = 0; gate < 3; gate++) {
      fetch(r.xGates + ((t * B + b) * 3 + gate) * H + at.index);
      fetch(r.gates + ((t * B + b) * 3 + gate) * H + at.index);
    }
    fetch(r.hidden + (after * B + b) * H + at.index);
    fetch(r.recurrentN + (t * B + b) * H + at.index);
  });
  typename S::Floats bias[3];
  for (int gate = 0; gate < 3; gate++) bias[gate] = r.biasHh == nullptr ? S::zero() : at.load(r.biasHh + gate * H);
  // Two passes: the candidate has to wait for the reset gate.
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row;
    if (!isLive(r.lengths, t, b)) continue;
    const bool cut = isCut(r, t, b);
    for (int gate = 0; gate < 3; gate++) sum[row][gate] = (cut ? S::zero() : sum[row][gate]) + bias[gate];
    const float* x = r.xGates + (t * B + b) * 3 * H;
    sum[row][0] = math::sigmoid<S>(at.load(x) + sum[row][0]);
    sum[row][1] = math::sigmoid<S>(at.load(x + H) + sum[row][1]);
    at.store(r.recurrentN + (t * B + b) * H, sum[row][2]);
    sum[row][2] = S::fma(sum[row][0], sum[row][2], at.load(x + 2 * H));
  }
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row;
    auto hBefore = at.load(r.hidden + (before * B + b) * H);
    float* h = r.hidden + (after * B + b) * H;
    if (!isLive(r.lengths, t, b)) {
      at.store(h, hBefore);
      continue;
    }
    if (isCut(r, t, b)) hBefore = S::zero();
    const auto n = math::tanh<S>(sum[row][2]);
    float* gates = r.gates + (t * B + b) * 3 * H;
    at.store(gates, sum[row][0]);
    at.store(gates + H, sum[row][1]);
    at.store(gates + 2 * H, n);
    at.store(h, S::fma(sum[row][1], hBefore - n, n));
  }
}

template <class S>
void gruForward(const GruForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.h0, r.hidden + (r.reverse ? T : 0) * B * H, B * H, context);
  if (T == 0) return;

  float* packed = context.workspace;  // [panels][H][3][lanes]
  packUnits<S, 3>(r.weightHh, H, H, packed, context);
  for (int64_t step = 0; step < T; step++) {
    const int64_t t = r.reverse ? T - 1 - step : step;
    unitTiles<S>(B, H, 3 * H * H, context, [&](auto rows, int64_t first, auto at) {
      gruForwardTile<S, rows.value>(r, packed + at.index * H * 3, t, first, at);
    });
  }
}

/// Gradients of the units at `at` of row b at step t, which the row has, from dh.
template <class S, class Units>
SEQGRAD_INLINE void gruUnitsBackward(const GruBackward& r, int64_t t, int64_t b, Units at, typename S::Floats dh) {
  const int64_t B = r.B, H = r.H, row = t * B + b;
  const bool cut = isCut(r, t, b);
  const auto one = S::broadcast(1.0f);
  const float* gates = r.gates + row * 3 * H;
  const auto reset = at.load(gates), z = at.load(gates + H), n = at.load(gates + 2 * H);
  const auto hBefore = cut ? S::zero() : at.load(r.hidden + (stateBefore(r, t) * B + b) * H);

  const auto dz = dh * (hBefore - n), dn = S::fma(-z, dh, dh);
  const auto preN = dn * S::fma(-n, n, one);
  const auto dr = preN * at.load(r.recurrentN + row * H);
  const auto preR = dr * S::fma(-reset, reset, reset), preZ = dz * S::fma(-z, z, z);
  at.store(r.dH0 + b * H, cut ? S::zero() : dh * z);
  float *dGates = r.dGates + row * 3 * H, *dRecurrent = r.dRecurrent + row * 3 * H;
  at.store(dGates, preR);
  at.store(dGates + H, preZ);
  at.store(dGates + 2 * H, preN);
  at.store(dRecurrent, preR);
  at.store(dRecurrent + H, preZ);
  at.store(dRecurrent + 2 * H, preN * reset);

  if (r.dHiddenTotal != nullptr) at.store(r.dHiddenTotal + row * H, dh);
  if (r.dGateValues != nullptr) {
    float* dValues = r.dGateValues + row * 3 * H;
    at.store(dValues, dr);
    at.store(dValues + H, dz);
    at.store(dValues + 2 * H, dn);
  }
}

/// One step of the units u … of the rows b0 …; panel [3H][vectors · lanes] holds the units' columns of weightHh.
template <class S, int rows, int vectors>
void gruBackwardTile(const GruBackward& r, const float* panel, BackwardStep step, int64_t b0, int64_t u) {
  const int64_t B = r.B, H = r.H;
  typename S::Floats recurrent[rows][vectors];
  recurrentTile<S>(r, step, r.dRecurrent, 3 * H, panel, b0, recurrent, [&](int row) {
    if (step.isInitial) return;
    const int64_t b = b0 + row, at = step.t * B + b;
    for (int v = 0; v < vectors; v++) {
      const int64_t unit = u + v * S::lanes;
      for (int gate = 0; gate < 3; gate++) {
        fetch(r.gates + (at * 3 + gate) * H + unit);
        fetch(r.dGates + (at * 3 + gate) * H + unit);
        fetch(r.dRecurrent + (at * 3 + gate) * H + unit);
      }
      fetch(r.recurrentN + at * H + unit);
      fetch(r.hidden + (stateBefore(r, step.t) * B + b) * H + unit);
      if (r.dHidden != nullptr) fetch(r.dHidden + at * H + unit);
      fetch(r.dH0 + b * H + unit);
    }
  });
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row, at = step.t * B + b;
    const bool followed = hasFollower(r, step, b), live = isLive(r, step, b);
    forTileVectors<S, vectors>(H, u, [&](int v, auto units) {
      float* dH = r.dH0 + b * H;
      auto carried = units.load(dH);
      if (followed) carried = recurrent[row][v] + carried;
      if (!live) {
        if (followed) units.store(dH, carried);
        if (step.isInitial) return;
        clearGates<S>(r.dGates + at * 3 * H, 3, H, units);
        clearGates<S>(r.dRecurrent + at * 3 * H, 3, H, units);
        clearGates<S>(r.dHiddenTotal == nullptr ? nullptr : r.dHiddenTotal + at * H, 1, H, units);
        clearGates<S>(r.dGateValues == nullptr ? nullptr : r.dGateValues + at * 3 * H, 3, H, units);
        return;
      }
      const auto dHidden = r.dHidden == nullptr ? S::zero() : units.load(r.dHidden + at * H);
      gruUnitsBackward<S>(r, step.t, b, units, carried + dHidden);
    });
  }
}

template <class S>
void gruBackward(const GruBackward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.dHLast, r.dH0, B * H, context);
  if (T == 0) return;

  float* packed = context.workspace;  // [panels][3H][vectors][lanes]
  packColumns<S>(r.weightHh, H, 1, 3 * H, H, packed, context);
  forBackwardSteps(r, [&](BackwardStep step) {
    columnTiles<S>(B, H, 3 * H * H, context, [&](auto rows, auto vectors, int64_t b, int64_t u) {
      gruBackwardTile<S, rows.value, vectors.value>(r, packed + u * 3 * H, step, b, u);
    });
  });
}

SEQGRAD_KERNEL(gruForward, GruForward);
SEQGRAD_KERNEL(gruBackward, GruBackward);

}  // namespace seqgrad
