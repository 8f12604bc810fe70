/**
 * Layer normalisation (Ba, Kiros & Hinton 2016):
 *
 *     normal = (x − mean) / √(variance + ε)            mean and variance (over C, not C − 1) of each row
 *     y = gain ⊙ normal + bias
 *
 * Backward, from g = gain ⊙ dy and with all sums over the C elements of a row:
 *
 *     dx    = (g − Σ g / C − normal ⊙ Σ (g ⊙ normal) / C) / √(variance + ε)
 *     dgain = Σ over rows of dy ⊙ normal
 *     dbias = Σ over rows of dy
 */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { passOn } from './copy.js';

export interface LayerNormWeights {
  /** [C]; 1 when absent. */
  readonly gain?: Tensor | undefined;
  /** [C]; 0 when absent. */
  readonly bias?: Tensor | undefined;
}

/** Normalises every row of x [R, C]. @throws ShapeError */
export function layerNorm(x: Tensor, { gain, bias }: LayerNormWeights = {}, epsilon = 1e-5): Tensor {
  const dims = matchShapes('layerNorm', { x: [x, ['R', 'C']], gain: [gain, ['C']], bias: [bias, ['C']] });
  const { R, C } = dims;
  return x.graph.node({
    op: 'layerNorm',
    inputs: { x, gain, bias },
    outputs: { y: { shape: x.shape }, mean: { shape: [R] }, inverseDeviation: { shape: [R] } },
    calls: (out) => [call('layerNorm', { x, gain, bias, ...out }, dims, { epsilon })],
    gradient: ({ y: dy }, { mean, inverseDeviation }) => {
      if (dy === undefined) return { to: {} };
      const operands = { x, gain, dy, mean, inverseDeviation };
      const { dx, dGain, dBias } = x.graph.node({
        op: 'layerNormBackward',
        inputs: operands,
        outputs: { dx: { shape: x.shape }, dGain: { shape: [C] }, dBias: { shape: [C] } },
        calls: (out) => [call('layerNormBackward', { ...operands, ...out }, dims)],
      });
      return { to: { x: passOn(dx), gain: passOn(dGain), bias: passOn(dBias) } };
    },
  }).y;
}
