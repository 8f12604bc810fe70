// The LSTM over a whole sequence. Names and order follow the reference; T steps, B rows, H units, gates in the order i,
// f, g, o.
//
// The recurrent weight is packed once and serves all steps. A tile of the recurrent product holds a few rows; its gate
// maths runs while the sums are in registers.
#pragma once
#include "../generated/instructions.h"
#include "../simd/math.h"
#include "../simd/tile.h"
#include "recurrence.h"

namespace seqgrad {

SEQGRAD_INLINE bool isLive(const int32_t* lengths, int64_t t, int64_t b) {
  return lengths == nullptr || t < lengths[b];
}

/// Step t of the units at `at` of the rows b0 …; panel [H][4][lanes] holds the units' columns of weightHhᵀ, gate by
/// gate.
template <class S, int rows, class Units>
void lstmForwardTile(const LstmForward& r, const float* panel, int64_t t, int64_t b0, Units at) {
  const int64_t B = r.B, H = r.H, before = r.reverse ? t + 1 : t, after = r.reverse ? t : t + 1;
  typename S::Floats sum[rows][4];
  multiplyTile<S>(RowMajor{r.hidden + (before * B + b0) * H, H}, panel, 4 * S::lanes, H, sum, [&](int row) {
    const int64_t b = b0 + row;
    for (int gate = 0; gate < 4; gate++) {
      fetch(r.xGates + ((t * B + b) * 4 + gate) * H + at.index);
      fetch(r.gates + ((t * B + b) * 4 + gate) * H + at.index);
    }
    fetch(r.cell + (before * B + b) * H + at.index);
    fetch(r.cell + (after * B + b) * H + at.index);
    fetch(r.hidden + (after * B + b) * H + at.index);
    fetch(r.tanhCell + (t * B + b) * H + at.index);
  });
  // Two passes: tanh(c) has to wait for the gates, and the processor does not look ahead far enough to fill the wait.
  typename S::Floats cNew[rows];
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row;
    const float* cBefore = r.cell + (before * B + b) * H;
    if (!isLive(r.lengths, t, b)) {
      cNew[row] = at.load(cBefore);
      continue;
    }
    const float* x = r.xGates + (t * B + b) * 4 * H;
    float* gates = r.gates + (t * B + b) * 4 * H;
    const auto i = math::sigmoid<S>(at.load(x) + sum[row][0]);
    const auto f = math::sigmoid<S>(at.load(x + H) + sum[row][1]);
    const auto g = math::tanh<S>(at.load(x + 2 * H) + sum[row][2]);
    const auto o = math::sigmoid<S>(at.load(x + 3 * H) + sum[row][3]);
    cNew[row] = S::fma(i, g, f * at.load(cBefore));
    at.store(gates, i);
    at.store(gates + H, f);
    at.store(gates + 2 * H, g);
    at.store(gates + 3 * H, o);
    sum[row][3] = o;
  }
  for (int row = 0; row < rows; row++) {
    const int64_t b = b0 + row;
    float* h = r.hidden + (after * B + b) * H;
    at.store(r.cell + (after * B + b) * H, cNew[row]);
    if (!isLive(r.lengths, t, b)) {
      at.store(h, at.load(r.hidden + (before * B + b) * H));
      continue;
    }
    const auto tc = math::tanh<S>(cNew[row]);
    at.store(r.tanhCell + (t * B + b) * H, tc);
    at.store(h, sum[row][3] * tc);
  }
}

template <class S>
void lstmForward(const LstmForward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const int64_t start = r.reverse ? T : 0;
  copyOrZero<S>(r.h0, r.hidden + start * B * H, B * H, context);
  copyOrZero<S>(r.c0, r.cell + start * B * H, B * H, context);

  constexpr int WIDTH = 4 * S::lanes;
  const StepCut<S> cut(B, pieces<int64_t>(H, S::lanes), 32 / S::lanes, 4 * H * H);
  float* packed = context.workspace;  // [panels][H][4][lanes]
  sharePanels(context, T == 0 ? 0 : cut.panels, H * WIDTH, [&](int64_t panel) {
    const int64_t u = panel * S::lanes;
    for (int gate = 0; gate < 4; gate++) {
      packPanel<S>(r.weightHh + (gate * H + u) * H, 1, H, H, H - u, packed + panel * H * WIDTH + gate * S::lanes, WIDTH,
                   S::lanes);
    }
  });

  for (int64_t step = 0; step < T; step++) {
    const int64_t t = r.reverse ? T - 1 - step : step;
    cut.share(context, [&](int64_t panel, int64_t first, auto rows) {
      const int64_t u = panel * S::lanes;
      const float* weights = packed + panel * H * WIDTH;
      if (u + S::lanes <= H) {
        lstmForwardTile<S, rows.value>(r, weights, t, first, Whole<S>{u});
      } else {
        lstmForwardTile<S, rows.value>(r, weights, t, first, Rest<S>{u, static_cast<int>(H - u)});
      }
    });
  }
}

/// What the backward pass does with one step.
struct LstmBackwardStep {
  int64_t t;         // −1 or T for what lies before the first step: the initial states
  int64_t followed;  // the step that followed t in time, or −1
  bool isInitial;
};

/// Gradients of the units at `at` of row b at step t; `recurrent` comes from the step that followed, if one did.
template <class S, class Units>
SEQGRAD_INLINE void lstmBackwardUnits(const LstmBackward& r, LstmBackwardStep step, int64_t b, Units at,
                                      typename S::Floats recurrent) {
  const int64_t B = r.B, H = r.H, row = step.t * B + b;
  float *dH = r.dH0 + b * H, *dC = r.dC0 + b * H;  // what is carried to the step before
  const bool hasFollower = step.followed >= 0 && isLive(r.lengths, step.followed, b);
  if (step.isInitial || !isLive(r.lengths, step.t, b)) {
    if (hasFollower) at.store(dH, recurrent);
    if (step.isInitial) return;
    for (int gate = 0; gate < 4; gate++) at.store(r.dGates + row * 4 * H + gate * H, S::zero());
    if (r.dHiddenTotal != nullptr) at.store(r.dHiddenTotal + row * H, S::zero());
    if (r.dCellTotal != nullptr) at.store(r.dCellTotal + row * H, S::zero());
    if (r.dGateValues == nullptr) return;
    for (int gate = 0; gate < 4; gate++) at.store(r.dGateValues + row * 4 * H + gate * H, S::zero());
    return;
  }

  const float* gates = r.gates + row * 4 * H;
  const auto one = S::broadcast(1.0f);
  const auto i = at.load(gates), f = at.load(gates + H), g = at.load(gates + 2 * H), o = at.load(gates + 3 * H);
  const auto tc = at.load(r.tanhCell + row * H);
  const auto cBefore = at.load(r.cell + ((step.t + (r.reverse ? 1 : 0)) * B + b) * H);

  const auto dHidden = r.dHidden == nullptr ? S::zero() : at.load(r.dHidden + row * H);
  const auto dh = (hasFollower ? recurrent : at.load(dH)) + dHidden;
  const auto dc = S::fma(dh * o, S::fma(-tc, tc, one), at.load(dC));
  at.store(dC, dc * f);
  const auto di = dc * g, df = dc * cBefore, dg = dc * i, dO = dh * tc;
  float* dGates = r.dGates + row * 4 * H;
  at.store(dGates, di * S::fma(-i, i, i));
  at.store(dGates + H, df * S::fma(-f, f, f));
  at.store(dGates + 2 * H, dg * S::fma(-g, g, one));
  at.store(dGates + 3 * H, dO * S::fma(-o, o, o));

  if (r.dHiddenTotal != nullptr) at.store(r.dHiddenTotal + row * H, dh);
  if (r.dCellTotal != nullptr) at.store(r.dCellTotal + row * H, dc);
  if (r.dGateValues != nullptr) {
    float* dValues = r.dGateValues + row * 4 * H;
    at.store(dValues, di);
    at.store(dValues + H, df);
    at.store(dValues + 2 * H, dg);
    at.store(dValues + 3 * H, dO);
  }
}

/// One step of the units u … of the rows b0 …; panel [4H][vectors · lanes] holds the units' columns of weightHh.
template <class S, int rows, int vectors>
void lstmBackwardTile(const LstmBackward& r, const float* panel, LstmBackwardStep step, int64_t b0, int64_t u) {
  const int64_t B = r.B, H = r.H;
  typename S::Floats recurrent[rows][vectors];
  const int64_t K = step.followed < 0 ? 0 : 4 * H;
  const float* dGates = K == 0 ? nullptr : r.dGates + (step.followed * B + b0) * 4 * H;
  multiplyTile<S>(RowMajor{dGates, 4 * H}, panel, vectors * S::lanes, K, recurrent, [&](int row) {
    if (step.isInitial) return;
    const int64_t b = b0 + row, at = step.t * B + b;
    for (int v = 0; v < vectors; v++) {
      const int64_t unit = u + v * S::lanes;
      for (int gate = 0; gate < 4; gate++) {
        fetch(r.gates + (at * 4 + gate) * H + unit);
        fetch(r.dGates + (at * 4 + gate) * H + unit);
      }
      fetch(r.tanhCell + at * H + unit);
      fetch(r.cell + ((step.t + (r.reverse ? 1 : 0)) * B + b) * H + unit);
      fetch(r.dHidden + at * H + unit);
      fetch(r.dC0 + b * H + unit);
    }
  });
  for (int row = 0; row < rows; row++) {
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
      const int64_t unit = u + v * S::lanes;
      if (unit + S::lanes <= H) {
        lstmBackwardUnits<S>(r, step, b0 + row, Whole<S>{unit}, recurrent[row][v]);
      } else {
        lstmBackwardUnits<S>(r, step, b0 + row, Rest<S>{unit, static_cast<int>(H - unit)}, recurrent[row][v]);
      }
    }
  }
}

template <class S>
void lstmBackward(const LstmBackward& r, Context& context) {
  const int64_t T = r.T, B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  copyOrZero<S>(r.dHLast, r.dH0, B * H, context);
  copyOrZero<S>(r.dCLast, r.dC0, B * H, context);

  // Panels of four vectors; the last one as many as it needs.
  constexpr int64_t WIDTH = 4 * S::lanes;
  const StepCut<S> cut(B, pieces(H, WIDTH), 1, 4 * H * H);
  const auto vectorsOf = [&](int64_t u) { return static_cast<int>(pieces<int64_t>(least(H - u, WIDTH), S::lanes)); };
  float* packed = context.workspace;  // [panels][4H][vectors][lanes]
  sharePanels(context, T == 0 ? 0 : cut.panels, 4 * H * WIDTH, [&](int64_t panel) {
    const int64_t u = panel * WIDTH;
    const int width = vectorsOf(u) * S::lanes;
    packPanel<S>(r.weightHh + u, H, 1, 4 * H, H - u, packed + u * 4 * H, width, width);
  });

  // Backwards through time, and one step further to the initial states.
  for (int64_t done = 0; done <= T; done++) {
    const int64_t t = r.reverse ? done : T - 1 - done;
    const LstmBackwardStep step{t, done == 0 ? -1 : (r.reverse ? t - 1 : t + 1), done == T};
    cut.share(context, [&](int64_t panel, int64_t first, auto rows) {
      const int64_t u = panel * WIDTH;
      withConstant<4>(vectorsOf(u), [&](auto vectors) {
        lstmBackwardTile<S, rows.value, vectors.value>(r, packed + u * 4 * H, step, first, u);
      });
    });
  }
}

}  // namespace seqgrad
