/** Moving elements: y = value, y = x, y += x, and y = x on a condition. */
import type { Definition } from './tensor.js';

export const fill: Definition<'fill'> = ({ operands: { y }, dims: { n }, scalars: { value } }) => {
  for (let i = 0; i < n; i++) y.set(value, i);
};

/** y[i][j][k][l] = x[i][j][k][l], each side with its own strides: a stride 0 of x repeats, swapped strides transpose. */
export const copy: Definition<'copy'> = ({ operands: { x, y }, dims: { n0, n1, n2, n3 } }) => {
  for (let i = 0; i < n0; i++) {
    for (let j = 0; j < n1; j++) {
      for (let k = 0; k < n2; k++) {
        for (let l = 0; l < n3; l++) y.set(x.at(i, j, k, l), i, j, k, l);
      }
    }
  }
};

/** y[i][j][k][l] += x[i][j][k][l]: the gradient of `copy`, with x and y exchanged. */
export const copyAdd: Definition<'copyAdd'> = ({ operands: { x, y }, dims: { n0, n1, n2, n3 } }) => {
  for (let i = 0; i < n0; i++) {
    for (let j = 0; j < n1; j++) {
      for (let k = 0; k < n2; k++) {
        for (let l = 0; l < n3; l++) y.add(x.at(i, j, k, l), i, j, k, l);
      }
    }
  }
};

/** Carried state is assigned this way: a step whose gradient is not finite leaves it as it was. */
export const copyIf: Definition<'copyIf'> = ({ operands: { flag, x, y }, dims: { n } }) => {
  if (flag.at(0) === 0) return;
  for (let i = 0; i < n; i++) y.set(x.at(i), i);
};
