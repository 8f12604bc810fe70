/**
 * The GRU layer (Cho et al. 2014) in the form and gate order of PyTorch: the reset gate acts behind the recurrent product. Step t, from
 * the state before h₋₁ and the projected input x_t = W_ih·input_t + b_ih:
 *
 *     r = σ(x_r + W_hr·h₋₁ + b_hr)      reset gate       q = W_hn·h₋₁ + b_hn      (= recurrentN)
 *     z = σ(x_z + W_hz·h₋₁ + b_hz)      update gate      h = n + z·(h₋₁ − n)      hidden state, (1 − z)·n + z·h₋₁
 *     n = tanh(x_n + r·q)               candidate
 *
 * Backward, with dX for the total derivative of the loss with respect to X, from the last step to the first:
 *
 *     dh = dHidden_t + dh₊₁·z₊₁ + W_hhᵀ·dRecurrent₊₁
 *     dn = dh·(1 − z)   dz = dh·(h₋₁ − n)
 *     dpre_n = dn·(1 − n²)   dr = dpre_n·q   dq = dpre_n·r
 *     dGates = dr·r(1 − r), dz·z(1 − z), dpre_n      (the gradient of x_t)
 *     dRecurrent = the same, with dq in place of dpre_n      (the gradient of W_hh·h₋₁ + b_hh)
 */
import { logistic } from './elementwise.js';
import {
  begin,
  beginBackward,
  clearStep,
  keep,
  previous,
  recurrent,
  recurrentBackward,
  stepsOf,
} from './recurrence.js';
import type { Definition } from './tensor.js';

export const gruForward: Definition<'gruForward'> = ({ operands, dims }) => {
  const { xGates, weightHh, biasHh, h0, lengths, resets, hidden, gates, recurrentN } = operands;
  const { H } = dims;
  begin(hidden, h0, dims, H);
  for (const step of stepsOf(dims, lengths, resets)) {
    const { t, b, after } = step;
    if (!step.live) {
      keep(hidden, step, H);
      continue;
    }
    for (let k = 0; k < H; k++) {
      const x = (gate: number): number => xGates.at(t, b, gate * H + k);
      const product = (gate: number): number =>
        recurrent(weightHh, hidden, step, gate * H + k, H) + (biasHh?.at(gate * H + k) ?? 0);
      const r = logistic(x(0) + product(0));
      const z = logistic(x(1) + product(1));
      const q = product(2);
      const n = Math.tanh(x(2) + r * q);
      for (const [gate, value] of [r, z, n].entries()) gates.set(value, t, b, gate * H + k);
      recurrentN.set(q, t, b, k);
      hidden.set(n + z * (previous(hidden, step, k) - n), after, b, k);
    }
  }
};

export const gruBackward: Definition<'gruBackward'> = ({ operands, dims }) => {
  const { dHidden, dHLast, weightHh, gates, recurrentN, hidden, lengths, resets, dGates, dRecurrent, dH0 } = operands;
  const { dHiddenTotal, dGateValues } = operands;
  const { B, H } = dims;
  beginBackward(dH0, dHLast, B, H); // dH0 carries dh₊₁·z₊₁ + W_hhᵀ·dRecurrent₊₁
  for (const step of stepsOf(dims, lengths, resets).reverse()) {
    const { t, b } = step;
    if (!step.live) {
      clearStep(step, [
        [dGates, 3 * H],
        [dRecurrent, 3 * H],
        [dGateValues, 3 * H],
        [dHiddenTotal, H],
      ]);
      continue; // the state was kept: its gradient passes
    }
    for (let k = 0; k < H; k++) {
      const gate = (index: number): number => gates.at(t, b, index * H + k);
      const [r, z, n] = [gate(0), gate(1), gate(2)];
      const dh = (dHidden?.at(t, b, k) ?? 0) + dH0.at(b, k);
      const dn = dh * (1 - z); // of: h = n + z·(h₋₁ − n)
      const dz = dh * (previous(hidden, step, k) - n); // of: h = n + z·(h₋₁ − n)
      const preN = dn * (1 - n * n); // of: n = tanh(pre_n)
      const dr = preN * recurrentN.at(t, b, k); // of: pre_n = x_n + r·q
      const [preR, preZ] = [dr * (r - r * r), dz * (z - z * z)]; // of: r, z = σ(pre)
      for (const [index, value] of [dr, dz, dn].entries()) dGateValues?.set(value, t, b, index * H + k);
      for (const [index, value] of [preR, preZ, preN].entries()) dGates.set(value, t, b, index * H + k);
      for (const [index, value] of [preR, preZ, preN * r].entries()) dRecurrent.set(value, t, b, index * H + k);
      dHiddenTotal?.set(dh, t, b, k);
      dH0.set(step.cut ? 0 : dh * z, b, k); // of: h = n + z·(h₋₁ − n)
    }
    for (let k = 0; k < H; k++) dH0.add(recurrentBackward(weightHh, dRecurrent, step, k, 3 * H), b, k); // of: W_hh·h₋₁
  }
};
