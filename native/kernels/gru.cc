// The GRU over a whole sequence. Names and order follow the reference; gates in the order r, z, n.
#include "../simd/math.h"
#include "kernel.h"
#include "recurrence.h"

namespace seqgrad {

/// Step t of these rows for the units at `at`; panel [H][3][lanes] holds the units' columns of weightHhᵀ, gate by gate.
template <class S, int count, class Units>
void gruForwardTile(const GruForward& r, const float* panel, int64_t t, const TileRows<count>& rows, Units at) {
  const int64_t B = r.B, H = r.H, before = stateBefore(r, t), after = stateAfter(r, t);
  typename S::Floats sum[count][3];
  const auto ahead = aheadIf(isFar(r), [&](int row) {
    const int64_t b = rows.b[row];
    for (int gate = 0; gate < 3; gate++) {
      fetch(r.xGates + ((t * B + b) * 3 + gate) * H + at.index);
      fetchToWrite(r.gates + ((t * B + b) * 3 + gate) * H + at.index);
    }
    fetchToWrite(r.hidden + (after * B + b) * H + at.index);
    fetchToWrite(r.recurrentN + (t * B + b) * H + at.index);
  });
  multiplyTile<S>(rowsAt(r.hidden + before * B * H, H, rows), panel, 3 * S::lanes, H, sum, ahead);
  typename S::Floats bias[3];
  for (int gate = 0; gate < 3; gate++) bias[gate] = r.biasHh == nullptr ? S::zero() : at.load(r.biasHh + gate * H);
  // Two passes: the candidate has to wait for the reset gate.
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row];
    const bool cut = isCut(r, t, b);
    for (int gate = 0; gate < 3; gate++) sum[row][gate] = (cut ? S::zero() : sum[row][gate]) + bias[gate];
    const float* x = r.xGates + (t * B + b) * 3 * H;
    sum[row][0] = math::sigmoid<S>(at.load(x) + sum[row][0]);
    sum[row][1] = math::sigmoid<S>(at.load(x + H) + sum[row][1]);
    at.store(r.recurrentN + (t * B + b) * H, sum[row][2]);
    sum[row][2] = S::fma(sum[row][0], sum[row][2], at.load(x + 2 * H));
  }
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row];
    const auto hBefore = isCut(r, t, b) ? S::zero() : at.load(r.hidden + (before * B + b) * H);
    const auto n = math::tanh<S>(sum[row][2]);
    float* gates = r.gates + (t * B + b) * 3 * H;
    at.store(gates, sum[row][0]);
    at.store(gates + H, sum[row][1]);
    at.store(gates + 2 * H, n);
    at.store(r.hidden + (after * B + b) * H, S::fma(sum[row][1], hBefore - n, n));
  }
}

template <class S>
void gruForward(const GruForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.h0, r.hidden + (r.reverse ? T : 0) * B * H, B * H, context);
  if (T == 0) return;

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packed = context.workspace + RowOrder::elements(T, B);  // [panels][H][3][lanes]
  packUnits<S, 3>(r.weightHh, H, H, packed, context);
  const auto carry = [&] { carryEnded<S>(r, order, r.hidden, H, context); };
  forForwardSteps(r, order, carry, [&](int64_t t, Rows its) {
    unitTiles<S>(its, t, H, 3 * H * H, context,
                 [&](const auto& rows, auto at) { gruForwardTile<S>(r, packed + at.index * H * 3, t, rows, at); });
  });
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

/// One step of these rows for the units u …; panel [3H][vectors · lanes] holds the units' columns of weightHh.
template <class S, int vectors, int count>
void gruBackwardTile(const GruBackward& r, const float* panel, BackwardStep step, const TileRows<count>& rows,
                     int64_t u) {
  const int64_t B = r.B, H = r.H;
  typename S::Floats recurrent[count][vectors];
  const auto ahead = aheadIf(isFar(r) && !step.isInitial, [&](int row) {
    const int64_t b = rows.b[row], at = step.t * B + b;
    for (int v = 0; v < vectors; v++) {
      const int64_t unit = u + v * S::lanes;
      for (int gate = 0; gate < 3; gate++) {
        fetch(r.gates + (at * 3 + gate) * H + unit);
        fetchToWrite(r.dGates + (at * 3 + gate) * H + unit);
        fetchToWrite(r.dRecurrent + (at * 3 + gate) * H + unit);
      }
      fetch(r.recurrentN + at * H + unit);
      fetch(r.hidden + (stateBefore(r, step.t) * B + b) * H + unit);
      if (r.dHidden != nullptr) fetch(r.dHidden + at * H + unit);
    }
  });
  recurrentTile<S>(r, step, r.dRecurrent, 3 * H, panel, rows, recurrent, ahead);
  for (int row = 0; row < count; row++) {
    const int64_t b = rows.b[row], at = step.t * B + b;
    const bool followed = hasFollower(r, step, b), live = isLive(r, step, b);
    forTileVectors<S, vectors>(H, u, [&](int v, auto units) {
      float* dH = r.dH0 + b * H;
      auto carried = units.load(dH);
      if (followed) carried = recurrent[row][v] + carried;
      if (!live) {
        units.store(dH, carried);
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

  const RowOrder order(r.lengths, T, B, context.workspace);
  float* packed = context.workspace + RowOrder::elements(T, B);  // [panels][3H][vectors][lanes]
  packColumns<S>(r.weightHh, H, 1, 3 * H, H, packed, context);
  clearEnded<S>(order, r.dGates, T, B, 3 * H, context);
  clearEnded<S>(order, r.dRecurrent, T, B, 3 * H, context);
  clearEnded<S>(order, r.dHiddenTotal, T, B, H, context);
  clearEnded<S>(order, r.dGateValues, T, B, 3 * H, context);
  forBackwardSteps(r, order, [&](BackwardStep step) {
    columnTiles<S>(step.rows, step.t, H, 3 * H * H, context, [&](const auto& rows, auto vectors, int64_t u) {
      gruBackwardTile<S, vectors.value>(r, packed + u * 3 * H, step, rows, u);
    });
  });
}

SEQGRAD_KERNEL(gruForward, GruForward);
SEQGRAD_KERNEL(gruBackward, GruBackward);

}  // namespace seqgrad
