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
import {
  begin,
  beginBackward,
  clearStep,
  keep,
  previous,
  recurrent,
  recurrentBackward,
  type Step,
  stepsOf,
} from './recurrence.js';
import type { Definition, Tensor } from './tensor.js';

/** What the gates and the cell of a step are computed from and go to. */
interface CellForward {
  readonly xGates: Tensor;
  readonly weightHh: Tensor;
  readonly hidden: Tensor;
  readonly cell: Tensor;
  readonly gates: Tensor;
  readonly tanhCell: Tensor;
}

/** Unit k of a step up to o·tanh(c), which it returns; `width` is that of the hidden state. */
export function cellForward(operands: CellForward, step: Step, k: number, H: number, width: number): number {
  const { xGates, weightHh, hidden, cell, gates, tanhCell } = operands;
  const { t, b, after } = step;
  const pre = (gate: number): number =>
    xGates.at(t, b, gate * H + k) + recurrent(weightHh, hidden, step, gate * H + k, width);
  const i = logistic(pre(0));
  const f = logistic(pre(1));
  const g = Math.tanh(pre(2));
  const o = logistic(pre(3));
  const c = i * g + f * previous(cell, step, k);
  for (const [gate, value] of [i, f, g, o].entries()) gates.set(value, t, b, gate * H + k);
  cell.set(c, after, b, k);
  tanhCell.set(Math.tanh(c), t, b, k);
  return o * Math.tanh(c);
}

interface CellBackward {
  readonly gates: Tensor;
  readonly cell: Tensor;
  readonly tanhCell: Tensor;
  readonly dGates: Tensor;
  readonly dC0: Tensor;
  readonly dCellTotal?: Tensor | undefined;
  readonly dGateValues?: Tensor | undefined;
}

/** Unit k of a step back from dh, the gradient of o·tanh(c); dC0 carries dc₊₁·f₊₁. */
export function cellBackward(operands: CellBackward, step: Step, k: number, H: number, dh: number): void {
  const { gates, cell, tanhCell, dGates, dC0, dCellTotal, dGateValues } = operands;
  const { t, b } = step;
  const gate = (index: number): number => gates.at(t, b, index * H + k);
  const [i, f, g, o] = [gate(0), gate(1), gate(2), gate(3)];
  const dc = dh * o * (1 - tanhCell.at(t, b, k) ** 2) + dC0.at(b, k); // of: h = o·tanh(c)
  const values = [
    dc * g, // di, of: c = i·g + f·c₋₁
    dc * previous(cell, step, k), // df, of: c = i·g + f·c₋₁
    dc * i, // dg, of: c = i·g + f·c₋₁
    dh * tanhCell.at(t, b, k), // do, of: h = o·tanh(c)
  ];
  const slopes = [i - i * i, f - f * f, 1 - g * g, o - o * o]; // of: i, f, o = σ(pre) and g = tanh(pre)
  for (const [index, value] of values.entries()) {
    dGates.set(value * (slopes[index] as number), t, b, index * H + k);
    dGateValues?.set(value, t, b, index * H + k);
  }
  dCellTotal?.set(dc, t, b, k);
  dC0.set(step.cut ? 0 : dc * f, b, k); // of: c = i·g + f·c₋₁
}

export const lstmForward: Definition<'lstmForward'> = ({ operands, dims }) => {
  const { h0, c0, lengths, resets, hidden, cell } = operands;
  const { H } = dims;
  begin(hidden, h0, dims, H);
  begin(cell, c0, dims, H);
  for (const step of stepsOf(dims, lengths, resets)) {
    if (!step.live) {
      keep(hidden, step, H);
      keep(cell, step, H);
      continue;
    }
    for (let k = 0; k < H; k++) hidden.set(cellForward(operands, step, k, H, H), step.after, step.b, k);
  }
};

export const lstmBackward: Definition<'lstmBackward'> = ({ operands, dims }) => {
  const { dHidden, dHLast, dCLast, weightHh, lengths, resets, dGates, dH0, dC0 } = operands;
  const { dHiddenTotal, dCellTotal, dGateValues } = operands;
  const { B, H } = dims;
  beginBackward(dH0, dHLast, B, H); // dH0 carries W_hhᵀ·dpre₊₁
  beginBackward(dC0, dCLast, B, H);
  for (const step of stepsOf(dims, lengths, resets).reverse()) {
    const { t, b } = step;
    if (!step.live) {
      clearStep(step, [
        [dGates, 4 * H],
        [dGateValues, 4 * H],
        [dHiddenTotal, H],
        [dCellTotal, H],
      ]);
      continue; // the state was kept: its gradient passes
    }
    for (let k = 0; k < H; k++) {
      const dh = (dHidden?.at(t, b, k) ?? 0) + dH0.at(b, k);
      dHiddenTotal?.set(dh, t, b, k);
      cellBackward(operands, step, k, H, dh);
    }
    for (let k = 0; k < H; k++) dH0.set(recurrentBackward(weightHh, dGates, step, k, 4 * H), b, k); // of: W_hh·h₋₁
  }
};
