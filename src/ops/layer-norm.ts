/**
 * Layer normalisation (Ba, Kiros & Hinton 2016), as a composition:
 *
 *     y = gain ⊙ (x − mean) / √(variance + ε) + bias          mean and variance (over C, not C − 1) of each row
 */
import { matchShapes } from '../graph/errors.js';
import type { Tensor } from '../graph/tensor.js';
import { broadcastColumns, broadcastRows, sumColumns } from './broadcast.js';
import { full } from './copy.js';
import { add, divide, mul, scale, sqrt, subtract } from './elementwise.js';

export interface LayerNormWeights {
  /** [C]; 1 when absent. */
  readonly gain?: Tensor | undefined;
  /** [C]; 0 when absent. */
  readonly bias?: Tensor | undefined;
}

/** Normalises every row of x [R, C]. @throws ShapeError */
export function layerNorm(x: Tensor, { gain, bias }: LayerNormWeights = {}, epsilon = 1e-5): Tensor {
  const { R, C } = matchShapes('layerNorm', { x: [x, ['R', 'C']], gain: [gain, ['C']], bias: [bias, ['C']] });
  const mean = scale(sumColumns(x), 1 / C);
  const centred = subtract(x, broadcastColumns(mean, C));
  const variance = scale(sumColumns(mul(centred, centred)), 1 / C);
  const deviation = sqrt(add(variance, full(x.graph, [R], epsilon)));
  const normal = divide(centred, broadcastColumns(deviation, C));
  const scaled = gain === undefined ? normal : mul(normal, broadcastRows(gain, R));
  return bias === undefined ? scaled : add(scaled, broadcastRows(bias, R));
}
