/** Sums: of columns (the gradient of a bias), of everything, of squares (the gradient norm). */
import type { Definition, Tensor } from './tensor.js';

function sumOfColumn(x: Tensor, column: number, R: number): number {
  let sum = 0;
  for (let row = 0; row < R; row++) sum += x.at(row, column);
  return sum;
}

export const columnSum: Definition<'columnSum'> = ({ operands: { x, y }, dims: { R, C } }) => {
  for (let column = 0; column < C; column++) y.set(sumOfColumn(x, column, R), column);
};

export const columnSumAdd: Definition<'columnSumAdd'> = ({ operands: { x, y }, dims: { R, C } }) => {
  for (let column = 0; column < C; column++) y.add(sumOfColumn(x, column, R), column);
};

export const sum: Definition<'sum'> = ({ operands: { x, y }, dims: { n } }) => {
  let total = 0;
  for (let i = 0; i < n; i++) total += x.at(i);
  y.set(total, 0);
};

export const squaredNorm: Definition<'squaredNorm'> = ({ operands: { x, y }, dims: { n } }) => {
  let total = 0;
  for (let i = 0; i < n; i++) total += x.at(i) ** 2;
  y.set(total, 0);
};
