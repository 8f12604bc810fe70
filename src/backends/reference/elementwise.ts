/** Functions of one or two elements, each with its gradient: dx = dy · ∂y/∂x, written in terms of y where that is shorter. */
import type { Definition } from './tensor.js';

export const add: Definition<'add'> = ({ operands: { a, b, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(a.at(i) + b.at(i), i);
};

export const mul: Definition<'mul'> = ({ operands: { a, b, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(a.at(i) * b.at(i), i);
};

export const div: Definition<'div'> = ({ operands: { a, b, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(a.at(i) / b.at(i), i);
};

export const sqrt: Definition<'sqrt'> = ({ operands: { x, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(Math.sqrt(x.at(i)), i);
};

export const scale: Definition<'scale'> = ({ operands: { x, y }, dims: { n }, scalars: { factor } }) => {
  for (let i = 0; i < n; i++) y.set(factor * x.at(i), i);
};

export const scaleBy: Definition<'scaleBy'> = ({ operands: { x, y, factor }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(factor.at(0) * x.at(i), i);
};

/** σ(x) = 1 / (1 + exp(−x)). exp(−x) may overflow: 1 / Infinity is the right limit. */
export const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

export const sigmoid: Definition<'sigmoid'> = ({ operands: { x, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(logistic(x.at(i)), i);
};

/** y = σ(x):  ∂y/∂x = y · (1 − y) = y − y². */
export const sigmoidBackward: Definition<'sigmoidBackward'> = ({ operands: { y, dy, dx }, dims: { n } }) => {
  for (let i = 0; i < n; i++) dx.set(dy.at(i) * (y.at(i) - y.at(i) ** 2), i);
};

export const tanh: Definition<'tanh'> = ({ operands: { x, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(Math.tanh(x.at(i)), i);
};

/** y = tanh(x):  ∂y/∂x = 1 − y². */
export const tanhBackward: Definition<'tanhBackward'> = ({ operands: { y, dy, dx }, dims: { n } }) => {
  for (let i = 0; i < n; i++) dx.set(dy.at(i) * (1 - y.at(i) ** 2), i);
};

/** y = max(x, 0). Math.max also keeps NaN. */
export const relu: Definition<'relu'> = ({ operands: { x, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(Math.max(x.at(i), 0), i);
};

/** y = max(x, 0):  ∂y/∂x = 1 where y > 0, else 0 (also at x = 0, where there is no derivative). */
export const reluBackward: Definition<'reluBackward'> = ({ operands: { y, dy, dx }, dims: { n } }) => {
  for (let i = 0; i < n; i++) dx.set(y.at(i) > 0 ? dy.at(i) : 0, i);
};
