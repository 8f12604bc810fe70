/**
 * Softmax and cross-entropy in one, per row x of logits with label y:
 *
 *     p = softmax(x) = exp(x − m) / s,   m = max x,   s = Σ exp(x − m)
 *     loss = −log p[y] = log s − (x[y] − m)
 *     dx[j] = p[j] − [j = y]
 *
 * both times w = 1 / denominator. The maximum is subtracted so that exp cannot overflow; it cancels in p.
 *
 * Label smoothing ε (Szegedy et al. 2016) puts target[j] = (1 − ε)·[j = y] + ε / V in place of [j = y]:
 *
 *     loss = −Σ target·log p = log s − (1 − ε)·(x[y] − m) − ε·mean(x − m)
 *     dx[j] = p[j] − target[j]
 */
import type { Definition, Tensor } from './tensor.js';

/** The label that marks a row without one, as in PyTorch. */
const IGNORED = -100;

function setRow(tensor: Tensor | undefined, row: number, V: number, value: (column: number) => number): void {
  for (let column = 0; column < V; column++) tensor?.set(value(column), row, column);
}

export const softmaxCrossEntropy: Definition<'softmaxCrossEntropy'> = ({
  operands: { logits, labels, denominator, rowLoss, dLogits },
  dims: { N, V },
  scalars: { smoothing },
}) => {
  const w = 1 / denominator.at(0);
  for (let row = 0; row < N; row++) {
    const label = labels.at(row);
    if (label === IGNORED || !(label >= 0 && label < V)) {
      const result = label === IGNORED ? 0 : Number.NaN;
      rowLoss.set(result, row);
      setRow(dLogits, row, V, () => result);
      continue;
    }
    let m = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < V; j++) m = Math.max(m, logits.at(row, j));
    let s = 0;
    let mean = 0;
    for (let j = 0; j < V; j++) s += Math.exp(logits.at(row, j) - m);
    for (let j = 0; smoothing !== 0 && j < V; j++) mean += (logits.at(row, j) - m) / V;
    rowLoss.set((Math.log(s) - (1 - smoothing) * (logits.at(row, label) - m) - smoothing * mean) * w, row);
    const target = (j: number): number => (j === label ? 1 - smoothing : 0) + smoothing / V;
    setRow(dLogits, row, V, (j) => (Math.exp(logits.at(row, j) - m) / s - target(j)) * w); // of: loss
  }
};
