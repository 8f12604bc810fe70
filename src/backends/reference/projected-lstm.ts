/**
 * The LSTM layer with a projected hidden state (Sak, Senior & Beaufays 2014), as PyTorch's `proj_size`: what an LSTM calls its hidden
 * state is m = o·tanh(c), H wide, and what it hands on and feeds back is
 *
 *     h = W_hr·m        P wide
 *
 * Backward, before what the LSTM does (with dm in place of its dh):
 *
 *     dh = dHidden_t + W_hhᵀ·dpre₊₁      dm = W_hrᵀ·dh
 *
 * The gradient of W_hr, Σ over t of dh_t·m_tᵀ, is an ordinary product.
 */
import { cellBackward, cellForward } from './lstm.js';
import { begin, beginBackward, clearStep, keep, recurrentBackward, stepsOf } from './recurrence.js';
import type { Definition } from './tensor.js';

export const projectedLstmForward: Definition<'projectedLstmForward'> = ({ operands, dims }) => {
  const { weightHr, h0, c0, lengths, resets, hidden, cell, unprojected } = operands;
  const { H, P } = dims;
  begin(hidden, h0, dims, P);
  begin(cell, c0, dims, H);
  for (const step of stepsOf(dims, lengths, resets)) {
    const { t, b, after } = step;
    if (!step.live) {
      keep(hidden, step, P);
      keep(cell, step, H);
      clearStep(step, [[unprojected, H]]);
      continue;
    }
    for (let k = 0; k < H; k++) unprojected.set(cellForward(operands, step, k, H, P), t, b, k);
    for (let p = 0; p < P; p++) {
      let h = 0;
      for (let k = 0; k < H; k++) h += unprojected.at(t, b, k) * weightHr.at(p, k);
      hidden.set(h, after, b, p);
    }
  }
};

export const projectedLstmBackward: Definition<'projectedLstmBackward'> = ({ operands, dims }) => {
  const { dHidden, dHLast, dCLast, weightHh, weightHr, lengths, resets, dGates, dH0, dC0, dHiddenTotal } = operands;
  const { dCellTotal, dGateValues } = operands;
  const { B, H, P } = dims;
  beginBackward(dH0, dHLast, B, P); // dH0 carries W_hhᵀ·dpre₊₁
  beginBackward(dC0, dCLast, B, H);
  for (const step of stepsOf(dims, lengths, resets).reverse()) {
    const { t, b } = step;
    if (!step.live) {
      clearStep(step, [
        [dGates, 4 * H],
        [dGateValues, 4 * H],
        [dHiddenTotal, P],
        [dCellTotal, H],
      ]);
      continue; // the state was kept: its gradient passes
    }
    for (let p = 0; p < P; p++) dHiddenTotal.set((dHidden?.at(t, b, p) ?? 0) + dH0.at(b, p), t, b, p);
    for (let k = 0; k < H; k++) {
      let dm = 0;
      for (let p = 0; p < P; p++) dm += dHiddenTotal.at(t, b, p) * weightHr.at(p, k); // of: h = W_hr·m
      cellBackward(operands, step, k, H, dm);
    }
    for (let p = 0; p < P; p++) dH0.set(recurrentBackward(weightHh, dGates, step, p, 4 * H), b, p); // of: W_hh·h₋₁
  }
};
