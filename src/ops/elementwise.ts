/** Elementwise ops. Each gradient is the chain rule for one element. */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { computed, full, passOn } from './copy.js';
import { sum } from './reduce.js';

/** y = a + b. Gradient: da = dy, db = dy. */
export function add(a: Tensor, b: Tensor): Tensor {
  matchShapes('add', { b: [b, a.shape] });
  return a.graph.node({
    op: 'add',
    inputs: { a, b },
    outputs: { y: { shape: a.shape } },
    calls: ({ y }) => [call('add', { a, b, y }, { n: y.elements })],
    gradient: ({ y: dy }) => ({ to: { a: dy && passOn(dy), b: dy && passOn(dy) } }),
  }).y;
}

/** y = a · b, elementwise. Gradient: da = dy · b, db = dy · a. */
export function mul(a: Tensor, b: Tensor): Tensor {
  matchShapes('mul', { b: [b, a.shape] });
  return a.graph.node({
    op: 'mul',
    inputs: { a, b },
    outputs: { y: { shape: a.shape } },
    calls: ({ y }) => [call('mul', { a, b, y }, { n: y.elements })],
    gradient: ({ y: dy }) => ({ to: { a: dy && computed(() => mul(dy, b)), b: dy && computed(() => mul(dy, a)) } }),
  }).y;
}

/** y = a − b. Gradient: da = dy, db = −dy. */
export const subtract = (a: Tensor, b: Tensor): Tensor => add(a, scale(b, -1));

/** y = a / b, elementwise. Gradient: da = dy / b, db = −dy · y / b. */
export function divide(a: Tensor, b: Tensor): Tensor {
  matchShapes('divide', { b: [b, a.shape] });
  return a.graph.node({
    op: 'divide',
    inputs: { a, b },
    outputs: { y: { shape: a.shape } },
    calls: ({ y }) => [call('div', { a, b, y }, { n: y.elements })],
    gradient: ({ y: dy }, { y }) => ({
      to: {
        a: dy && computed(() => divide(dy, b)),
        b: dy && computed(() => scale(divide(mul(dy, y), b), -1)),
      },
    }),
  }).y;
}

/** y = x / divisor for a divisor [1]. Gradient: dx = dy / divisor, ddivisor = −Σ dy · x / divisor². */
export const divideBy = (x: Tensor, divisor: Tensor): Tensor => scaleBy(x, divide(full(x.graph, [1], 1), divisor));

/** y = √x. Gradient: dx = dy / 2y. */
export function sqrt(x: Tensor): Tensor {
  return x.graph.node({
    op: 'sqrt',
    inputs: { x },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [call('sqrt', { x, y }, { n: y.elements })],
    gradient: ({ y: dy }, { y }) => ({ to: { x: dy && computed(() => scale(divide(dy, y), 0.5)) } }),
  }).y;
}

/** y = factor · x for a constant factor. Gradient: dx = factor · dy. */
export function scale(x: Tensor, factor: number): Tensor {
  return x.graph.node({
    op: 'scale',
    inputs: { x },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [call('scale', { x, y }, { n: y.elements }, { factor })],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => scale(dy, factor)) } }),
  }).y;
}

/**
 * y = factor · x for a factor [1] that is computed; x itself where the factor is known to be 1.
 * Gradient: dx = factor · dy, dfactor = Σ dy · x.
 */
export function scaleBy(x: Tensor, factor: Tensor): Tensor {
  matchShapes('scaleBy', { factor: [factor, [1]] });
  if (factor.constant === 1) return x;
  return x.graph.node({
    op: 'scaleBy',
    inputs: { x, factor },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [call('scaleBy', { x, factor, y }, { n: y.elements })],
    gradient: ({ y: dy }) => ({
      to: { x: dy && computed(() => scaleBy(dy, factor)), factor: dy && computed(() => sum(mul(dy, x))) },
    }),
  }).y;
}

/** An activation whose derivative is a function of its value: dx = dy · f′(y). */
function activation(name: 'sigmoid' | 'tanh' | 'relu', x: Tensor): Tensor {
  return x.graph.node({
    op: name,
    inputs: { x },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [call(name, { x, y }, { n: x.elements })],
    gradient: ({ y: dy }, { y }) => ({ to: { x: dy && computed(() => activationBackward(name, y, dy)) } }),
  }).y;
}

const activationBackward = (name: 'sigmoid' | 'tanh' | 'relu', y: Tensor, dy: Tensor): Tensor =>
  y.graph.node({
    op: `${name}Backward`,
    inputs: { y, dy },
    outputs: { dx: { shape: y.shape } },
    calls: ({ dx }) => [call(`${name}Backward`, { y, dy, dx }, { n: y.elements })],
  }).dx;

/** y = 1 / (1 + e⁻ˣ). Gradient: dx = dy · y · (1 − y). */
export const sigmoid = (x: Tensor): Tensor => activation('sigmoid', x);

/** y = tanh x. Gradient: dx = dy · (1 − y²). */
export const tanh = (x: Tensor): Tensor => activation('tanh', x);

/** y = max(x, 0). Gradient: dx = dy where y > 0, else 0. */
export const relu = (x: Tensor): Tensor => activation('relu', x);

/** An activation whose derivative is a function of its argument: dx = dy · f′(x). */
function activationOfInput(name: 'gelu' | 'geluTanh', x: Tensor): Tensor {
  const backward = (dy: Tensor): Tensor =>
    x.graph.node({
      op: `${name}Backward`,
      inputs: { x, dy },
      outputs: { dx: { shape: x.shape } },
      calls: ({ dx }) => [call(`${name}Backward`, { x, dy, dx }, { n: x.elements })],
    }).dx;
  return x.graph.node({
    op: name,
    inputs: { x },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [call(name, { x, y }, { n: x.elements })],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => backward(dy)) } }),
  }).y;
}

/** y = x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2: the GELU of Hendrycks & Gimpel 2016. Gradient: dx = dy · (Φ(x) + x · φ(x)). */
export const gelu = (x: Tensor): Tensor => activationOfInput('gelu', x);

/** y = x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) / 2: the approximation they give, `gelu_new` of Hugging Face. */
export const geluTanh = (x: Tensor): Tensor => activationOfInput('geluTanh', x);
