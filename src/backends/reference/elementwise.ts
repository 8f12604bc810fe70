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

/** max(x, 0). Math.max also keeps NaN. */
export const rectified = (x: number): number => Math.max(x, 0);

export const relu: Definition<'relu'> = ({ operands: { x, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(rectified(x.at(i)), i);
};

/** y = max(x, 0):  ∂y/∂x = 1 where y > 0, else 0 (also at x = 0, where there is no derivative). */
export const reluBackward: Definition<'reluBackward'> = ({ operands: { y, dy, dx }, dims: { n } }) => {
  for (let i = 0; i < n; i++) dx.set(y.at(i) > 0 ? dy.at(i) : 0, i);
};

const SQRT_2PI = Math.sqrt(2 * Math.PI);

/** φ(x) = exp(−x²/2) / √(2π), the density of a normal deviate. */
export const density = (x: number): number => Math.exp(-x * x * 0.5) / SQRT_2PI;

/**
 * Φ(−a), the probability of a normal deviate above a ≥ 0: ½ − φ(a)·(a + a³/3 + a⁵/(3·5) + …), and where that would cancel the continued
 * fraction φ(a) / (a + 1/(a + 2/(a + 3/(a + …)))) (Abramowitz & Stegun 1964, 26.2.11 and 26.2.14).
 */
export function upperTail(a: number): number {
  if (a > 2) {
    let below = a;
    for (let k = 200; k > 0; k--) below = a + k / below;
    return density(a) / below;
  }
  let [sum, term] = [0, a];
  for (let k = 3; k < 100; k += 2) {
    sum += term;
    term *= (a * a) / k;
  }
  return 0.5 - density(a) * sum;
}

/** Φ(x), the probability of a normal deviate below x. */
const cumulative = (x: number): number => (x > 0 ? 1 - upperTail(x) : upperTail(-x));

/** x · Φ(x). What is beyond 40 deviations has probability 0: so −∞ gives 0. */
export const geluOf = (x: number): number => Math.max(x, -40) * cumulative(x);

export const gelu: Definition<'gelu'> = ({ operands: { x, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(geluOf(x.at(i)), i);
};

/** y = x·Φ(x):  ∂y/∂x = Φ(x) + x·φ(x). */
export const geluBackward: Definition<'geluBackward'> = ({ operands: { x, dy, dx }, dims: { n } }) => {
  const slope = (v: number): number => cumulative(v) + within(v, 40) * density(v);
  for (let i = 0; i < n; i++) dx.set(dy.at(i) * slope(x.at(i)), i);
};

/** v, or the nearest number of −most … most; NaN stays NaN. */
const within = (v: number, most: number): number => Math.min(Math.max(v, -most), most);

const ROOT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/** 2u, u = √(2/π)·(x + 0.044715·x³): (1 + tanh u) / 2 = σ(2u), which does not cancel where u is far below 0. */
const twiceU = (x: number): number => 2 * ROOT_2_OVER_PI * (x + CUBIC * x ** 3);

/** x · σ(2u). */
export const geluTanhOf = (x: number): number => Math.max(x, -40) * logistic(twiceU(x));

export const geluTanh: Definition<'geluTanh'> = ({ operands: { x, y }, dims: { n } }) => {
  for (let i = 0; i < n; i++) y.set(geluTanhOf(x.at(i)), i);
};

/** y = x·σ(2u):  ∂y/∂x = σ(2u) + x·σ(2u)·σ(−2u)·∂2u/∂x,  ∂2u/∂x = 2·√(2/π)·(1 + 3·0.044715·x²). */
export const geluTanhBackward: Definition<'geluTanhBackward'> = ({ operands: { x, dy, dx }, dims: { n } }) => {
  const slope = (given: number): number => {
    const v = within(given, 40);
    const s = logistic(twiceU(v));
    return s + v * s * logistic(-twiceU(v)) * 2 * ROOT_2_OVER_PI * (1 + 3 * CUBIC * v * v);
  };
  for (let i = 0; i < n; i++) dx.set(dy.at(i) * slope(x.at(i)), i);
};
