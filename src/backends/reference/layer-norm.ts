/**
 * Layer normalisation (Ba, Kiros & Hinton 2016) of every row x of C elements:
 *
 *     mean = Σ x / C,   variance = Σ (x − mean)² / C,   inverseDeviation = 1 / √(variance + ε)
 *     normal = (x − mean) · inverseDeviation
 *     y = gain ⊙ normal + bias
 *
 * Mean and deviation depend on x too: what a row's gradient g = dy ⊙ gain has in common with 1 and with normal falls out,
 *
 *     dx = inverseDeviation · (g − Σ g / C − normal · Σ g·normal / C)
 *     dgain = Σ over rows of dy ⊙ normal,   dbias = Σ over rows of dy
 */
import type { Definition } from './tensor.js';

const sumOf = (n: number, term: (index: number) => number): number => {
  let sum = 0;
  for (let index = 0; index < n; index++) sum += term(index);
  return sum;
};

export const layerNorm: Definition<'layerNorm'> = ({ operands, dims: { R, C }, scalars: { epsilon } }) => {
  const { x, gain, bias, y, mean, inverseDeviation } = operands;
  for (let row = 0; row < R; row++) {
    const m = sumOf(C, (column) => x.at(row, column)) / C;
    const variance = sumOf(C, (column) => (x.at(row, column) - m) ** 2) / C;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    for (let column = 0; column < C; column++) {
      const normal = (x.at(row, column) - m) * inverse;
      y.set(normal * (gain?.at(column) ?? 1) + (bias?.at(column) ?? 0), row, column);
    }
    mean.set(m, row);
    inverseDeviation.set(inverse, row);
  }
};

export const layerNormBackward: Definition<'layerNormBackward'> = ({ operands, dims: { R, C } }) => {
  const { x, gain, dy, mean, inverseDeviation, dx, dGain, dBias } = operands;
  const normal = (row: number, column: number): number => (x.at(row, column) - mean.at(row)) * inverseDeviation.at(row);
  // Before dx, which may take the place of dy.
  for (let column = 0; column < C; column++) {
    const dGainOf = (row: number): number => dy.at(row, column) * normal(row, column);
    dGain?.set(sumOf(R, dGainOf), column); // of: y = gain·normal + bias
    dBias?.set(
      sumOf(R, (row) => dy.at(row, column)),
      column,
    );
  }
  for (let row = 0; row < R; row++) {
    const g = (column: number): number => dy.at(row, column) * (gain?.at(column) ?? 1); // of: y = gain·normal + bias
    const a = sumOf(C, g) / C; // of: mean
    const b = sumOf(C, (column) => g(column) * normal(row, column)) / C; // of: inverseDeviation
    for (let column = 0; column < C; column++) {
      dx.set(inverseDeviation.at(row) * (g(column) - a - normal(row, column) * b), row, column);
    }
  }
};
