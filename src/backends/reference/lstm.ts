/**
 * The LSTM layer (Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000), in the form and
 * gate order of PyTorch. Step t, from the state before (h₋₁, c₋₁) and the projected input x_t = W_ih·input_t + biases:
 *
 *     i = σ(x_i + W_hi·h₋₁)        input gate          c = i·g + f·c₋₁      cell
 *     f = σ(x_f + W_hf·h₋₁)        forget gate         h = o·tanh(c)        hidden state
 *     g = tanh(x_g + W_hg·h₋₁)     candidate
 *     o = σ(x_o + W_ho·h₋₁)        output gate
 *
 * Backward, with dX for the total derivative of the loss with respect to X: h feeds the output and the next step's gates, c
 * feeds h and the next step's cell. So, from the last step to the first,
 *
 *     dh = dHidden_t + W_hhᵀ·dpre₊₁
 *     dc = dh·o·(1 − tanh²(c)) + dc₊₁·f₊₁
 *     di = dc·g   df = dc·c₋₁   dg = dc·i   do = dh·tanh(c)
 *     dpre = di·i(1 − i), df·f(1 − f), dg·(1 − g²), do·o(1 − o)      (= dGates, the gradient of x_t)
 *
 * The gradient of W_hh, Σ over t of dpre_tᵀ·h₋₁, and of its bias are ordinary products and sums over dGates.
 */
import { logistic } from './elementwise.js';
import type { Definition, Tensor } from './tensor.js';

/** Row j of the recurrent product of one example: Σ over k of h₋₁[k] · weightHh[j][k]. */
function recurrent(weightHh: Tensor, hidden: Tensor, state: number, b: number, j: number, H: number): number {
  let sum = 0;
  for (let k = 0; k < H; k++) sum += hidden.at(state, b, k) * weightHh.at(j, k);
  return sum;
}

export const lstmForward: Definition<'lstmForward'> = ({
  operands: { xGates, weightHh, h0, c0, lengths, hidden, cell, gates, tanhCell },
  dims: { T, B, H, reverse },
}) => {
  const first = reverse ? T : 0;
  for (let b = 0; b < B; b++) {
    for (let k = 0; k < H; k++) {
      hidden.set(h0?.at(b, k) ?? 0, first, b, k);
      cell.set(c0?.at(b, k) ?? 0, first, b, k);
    }
  }
  for (let step = 0; step < T; step++) {
    const t = reverse ? T - 1 - step : step;
    const [before, after] = reverse ? [t + 1, t] : [t, t + 1];
    for (let b = 0; b < B; b++) {
      const inside = t < (lengths?.at(b) ?? T);
      for (let k = 0; k < H; k++) {
        if (!inside) {
          hidden.set(hidden.at(before, b, k), after, b, k);
          cell.set(cell.at(before, b, k), after, b, k);
          continue;
        }
        const pre = (gate: number): number =>
          xGates.at(t, b, gate * H + k) + recurrent(weightHh, hidden, before, b, gate * H + k, H);
        const i = logistic(pre(0));
        const f = logistic(pre(1));
        const g = Math.tanh(pre(2));
        const o = logistic(pre(3));
        const c = i * g + f * cell.at(before, b, k);
        for (const [gate, value] of [i, f, g, o].entries()) gates.set(value, t, b, gate * H + k);
        cell.set(c, after, b, k);
        tanhCell.set(Math.tanh(c), t, b, k);
        hidden.set(o * Math.tanh(c), after, b, k);
      }
    }
  }
};

export const lstmBackward: Definition<'lstmBackward'> = ({ operands, dims: { T, B, H, reverse } }) => {
  const { dHidden, dHLast, dCLast, weightHh, gates, cell, tanhCell, lengths, dGates, dH0, dC0 } = operands;
  const { dHiddenTotal, dCellTotal, dGateValues } = operands;
  // dH0 and dC0 carry what the step that followed sends back: W_hhᵀ·dpre₊₁ and dc₊₁·f₊₁.
  for (let b = 0; b < B; b++) {
    for (let k = 0; k < H; k++) {
      dH0.set(dHLast?.at(b, k) ?? 0, b, k);
      dC0.set(dCLast?.at(b, k) ?? 0, b, k);
    }
  }
  for (let step = T - 1; step >= 0; step--) {
    const t = reverse ? T - 1 - step : step;
    const before = reverse ? t + 1 : t;
    for (let b = 0; b < B; b++) {
      if (!(t < (lengths?.at(b) ?? T))) {
        for (let k = 0; k < H; k++) {
          for (let gate = 0; gate < 4; gate++) dGates.set(0, t, b, gate * H + k);
          for (let gate = 0; gate < 4; gate++) dGateValues?.set(0, t, b, gate * H + k);
          dHiddenTotal?.set(0, t, b, k);
          dCellTotal?.set(0, t, b, k);
        }
        continue; // the state was kept: its gradient passes
      }
      for (let k = 0; k < H; k++) {
        const gate = (index: number): number => gates.at(t, b, index * H + k);
        const [i, f, g, o] = [gate(0), gate(1), gate(2), gate(3)];
        const dh = (dHidden?.at(t, b, k) ?? 0) + dH0.at(b, k);
        const dc = dh * o * (1 - tanhCell.at(t, b, k) ** 2) + dC0.at(b, k); // of: h = o·tanh(c)
        const values = [
          dc * g, // di, of: c = i·g + f·c₋₁
          dc * cell.at(before, b, k), // df, of: c = i·g + f·c₋₁
          dc * i, // dg, of: c = i·g + f·c₋₁
          dh * tanhCell.at(t, b, k), // do, of: h = o·tanh(c)
        ];
        const slopes = [i - i * i, f - f * f, 1 - g * g, o - o * o]; // of: i, f, o = σ(pre) and g = tanh(pre)
        for (const [index, value] of values.entries()) {
          dGates.set(value * (slopes[index] as number), t, b, index * H + k);
          dGateValues?.set(value, t, b, index * H + k);
        }
        dHiddenTotal?.set(dh, t, b, k);
        dCellTotal?.set(dc, t, b, k);
        dC0.set(dc * f, b, k); // of: c = i·g + f·c₋₁
      }
      for (let k = 0; k < H; k++) {
        let sum = 0;
        for (let j = 0; j < 4 * H; j++) sum += dGates.at(t, b, j) * weightHh.at(j, k);
        dH0.set(sum, b, k); // of: pre = x + W_hh·h₋₁
      }
    }
  }
};
