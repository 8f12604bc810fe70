/** Sums. */
import { matchShapes } from '../graph/errors.js';
import { call, type Sink } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { computed, spread } from './copy.js';

/** y = Σ x, of shape [1]. Gradient: dx = dy for every element. */
export function sum(x: Tensor): Tensor {
  return x.graph.node({
    op: 'sum',
    inputs: { x },
    outputs: { y: { shape: [1] } },
    calls: ({ y }) => [call('sum', { x, y }, { n: x.elements })],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => spread(dy, x.shape)) } }),
  }).y;
}

/** y = Σ x², of shape [1]. Not differentiated: the gradient norm is computed after the gradients. */
export function squaredNorm(x: Tensor): Tensor {
  return x.graph.node({
    op: 'squaredNorm',
    inputs: { x },
    outputs: { y: { shape: [1] } },
    calls: ({ y }) => [call('squaredNorm', { x, y }, { n: x.elements })],
  }).y;
}

/** A sink for the gradient of a row that was added to every row of [R, C]: the sum of the columns of `dy`. */
export function columnSum(dy: Tensor): Sink {
  return (sum) => {
    const { R, C } = matchShapes('columnSum', { dy: [dy, ['R', 'C']] });
    return dy.graph.node({
      op: 'columnSum',
      inputs: { dy },
      outputs: { y: { shape: [C], initial: sum } },
      calls: ({ y }) => [call(sum === undefined ? 'columnSum' : 'columnSumAdd', { x: dy, y }, { R, C })],
    }).y;
  };
}
