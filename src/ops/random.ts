/** Dropout and random tensors, all by Philox4x32-10 (Salmon et al. 2011): the same on every backend, whatever runs first. */
import { matchShapes } from '../graph/errors.js';
import { call, type Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { randomWords } from '../program/scalars.js';
import { computed, full } from './copy.js';

/**
 * Inverted dropout (Srivastava et al. 2014): elements are 0 with probability `rate`, the others x / (1 − rate).
 * Gradient: dx = dropout of dy with the same mask, drawn again rather than kept.
 * @param random the key and step, [3] i32
 * @param stream a number that no other random tensor of the model uses
 */
export function dropout(x: Tensor, rate: number, random: Tensor, stream: number): Tensor {
  if (rate === 0) return x;
  matchShapes('dropout', { random: [random, [randomWords.length]] });
  return x.graph.node({
    op: 'dropout',
    inputs: { x },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [
      call('dropout', { x, y, random }, { n: x.elements, stream }, { rate, keepScale: 1 / (1 - rate) }),
    ],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => dropout(dy, rate, random, stream)) } }),
  }).y;
}

/** A tensor of ones, with zeros where dropout of the same rate and stream would drop. */
export function keepMask(graph: Graph, shape: readonly number[], rate: number, random: Tensor, stream: number): Tensor {
  const x = full(graph, shape, 1);
  return graph.node({
    op: 'keepMask',
    inputs: { x, random },
    outputs: { y: { shape } },
    calls: ({ y }) => [call('dropout', { x, y, random }, { n: x.elements, stream }, { rate, keepScale: 1 })],
  }).y;
}

/** A tensor of numbers uniform in [low, high). */
export function uniform(
  graph: Graph,
  shape: readonly number[],
  [low, high]: readonly [number, number],
  random: Tensor,
  stream: number,
): Tensor {
  return graph.node({
    op: 'uniform',
    inputs: { random },
    outputs: { y: { shape } },
    calls: ({ y }) => [call('philoxUniform', { random, y }, { n: y.elements, stream }, { low, range: high - low })],
  }).y;
}

/** A tensor of normal numbers. */
export function normal(
  graph: Graph,
  shape: readonly number[],
  mean: number,
  deviation: number,
  random: Tensor,
  stream: number,
): Tensor {
  return graph.node({
    op: 'normal',
    inputs: { random },
    outputs: { y: { shape } },
    calls: ({ y }) => [call('philoxNormal', { random, y }, { n: y.elements, stream }, { mean, deviation })],
  }).y;
}
