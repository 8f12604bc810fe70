/**
 * The vanilla recurrent layer (Elman 1990), as PyTorch has it. Step t, from the state before h₋₁ and the projected input
 * x_t = W_ih·input_t + biases, with f = tanh or f = max(·, 0):
 *
 *     h = f(x_t + W_hh·h₋₁)
 *
 * Backward, with dX for the total derivative of the loss with respect to X, from the last step to the first:
 *
 *     dh = dHidden_t + W_hhᵀ·dpre₊₁
 *     dpre = dh·(1 − h²)   or   h > 0 ? dh : 0      (= dGates, the gradient of x_t)
 */
import { begin, beginBackward, clearStep, keep, recurrent, recurrentBackward, stepsOf } from './recurrence.js';
import type { Definition } from './tensor.js';

export const rnnForward: Definition<'rnnForward'> = ({
  operands: { xGates, weightHh, h0, lengths, resets, hidden },
  dims,
}) => {
  const { H, relu } = dims;
  begin(hidden, h0, dims, H);
  for (const step of stepsOf(dims, lengths, resets)) {
    const { t, b, after } = step;
    if (!step.live) {
      keep(hidden, step, H);
      continue;
    }
    for (let k = 0; k < H; k++) {
      const pre = xGates.at(t, b, k) + recurrent(weightHh, hidden, step, k, H);
      hidden.set(relu ? Math.max(pre, 0) : Math.tanh(pre), after, b, k);
    }
  }
};

export const rnnBackward: Definition<'rnnBackward'> = ({ operands, dims }) => {
  const { dHidden, dHLast, weightHh, hidden, lengths, resets, dGates, dH0, dHiddenTotal } = operands;
  const { B, H, relu } = dims;
  beginBackward(dH0, dHLast, B, H); // dH0 carries W_hhᵀ·dpre₊₁
  for (const step of stepsOf(dims, lengths, resets).reverse()) {
    const { t, b, after } = step;
    if (!step.live) {
      clearStep(step, [
        [dGates, H],
        [dHiddenTotal, H],
      ]);
      continue; // the state was kept: its gradient passes
    }
    for (let k = 0; k < H; k++) {
      const h = hidden.at(after, b, k);
      const dh = (dHidden?.at(t, b, k) ?? 0) + dH0.at(b, k);
      dHiddenTotal?.set(dh, t, b, k);
      dGates.set(relu ? (h > 0 ? dh : 0) : dh * (1 - h * h), t, b, k); // of: h = f(pre)
    }
    for (let k = 0; k < H; k++) dH0.set(recurrentBackward(weightHh, dGates, step, k, H), b, k); // of: pre = x + W_hh·h₋₁
  }
};
