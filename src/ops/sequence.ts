/** Sequences of unequal length in one time-major tensor. */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { computed } from './copy.js';

/** y[t][b] = x[t][b] where t < lengths[b], else 0, for x [T, B, C] and lengths [B] (i32). Gradient: dy, masked alike. */
export function maskSteps(x: Tensor, lengths: Tensor): Tensor {
  const { T, B, C } = matchShapes('maskSteps', { x: [x, ['T', 'B', 'C']], lengths: [lengths, ['B']] });
  return x.graph.node({
    op: 'maskSteps',
    inputs: { x },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [call('maskSteps', { x, lengths, y }, { T, B, C })],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => maskSteps(dy, lengths)) } }),
  }).y;
}
