/**
 * An LSTM of one example, written out independently of the instructions, whose values in the middle can be changed: the oracle
 * for the total derivatives that lstmBackward shows.
 */

export interface ScalarLstm {
  readonly reverse: boolean;
  /** For every step within the sequence, [4H]: i, f, g, o. */
  readonly xGates: readonly (readonly number[])[];
  /** [4H][H] */
  readonly weightHh: readonly (readonly number[])[];
  readonly h0: readonly number[];
  readonly c0: readonly number[];
  /** What the loss multiplies the hidden state of every step with, the final one, and the final cell. */
  readonly dHidden: readonly (readonly number[])[];
  readonly dHLast: readonly number[];
  readonly dCLast: readonly number[];
}

export type LstmValue = 'input_gate' | 'forget_gate' | 'candidate' | 'output_gate' | 'cell' | 'hidden';

/** Adds `by` to one value of unit k right after step t has computed it. */
export interface Perturbation {
  readonly value: LstmValue;
  readonly t: number;
  readonly k: number;
  readonly by: number;
}

const sigmoid = (x: number): number => 0.5 + 0.5 * Math.tanh(x / 2);
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Σ over steps of dHidden·h, plus dHLast·h and dCLast·c of the final state. */
export function unrolledLoss(lstm: ScalarLstm, perturbation: Perturbation): number {
  const { xGates, weightHh, dHidden, dHLast, dCLast } = lstm;
  const H = lstm.h0.length;
  let [h, c] = [lstm.h0, lstm.c0];
  let loss = 0;
  const steps = lstm.reverse ? [...xGates.keys()].reverse() : [...xGates.keys()];
  for (const t of steps) {
    const changed = (value: LstmValue, k: number, number: number): number =>
      perturbation.value === value && perturbation.t === t && perturbation.k === k ? number + perturbation.by : number;
    const before = h;
    const pre = (xGates[t] as readonly number[]).map((x, j) => x + dot(weightHh[j] as readonly number[], before));
    const part = (index: number, k: number): number => pre[index * H + k] as number;
    c = c.map((previous, k) => {
      const input = changed('input_gate', k, sigmoid(part(0, k)));
      const forget = changed('forget_gate', k, sigmoid(part(1, k)));
      const candidate = changed('candidate', k, Math.tanh(part(2, k)));
      return changed('cell', k, forget * previous + input * candidate);
    });
    h = c.map((cell, k) => changed('hidden', k, changed('output_gate', k, sigmoid(part(3, k))) * Math.tanh(cell)));
    loss += dot(dHidden[t] as readonly number[], h);
  }
  return loss + dot(dHLast, h) + dot(dCLast, c);
}
