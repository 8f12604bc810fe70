/**
 * Softmax and cross-entropy in one (Goodfellow et al. 2016, section 6.2.2.3).
 *
 *     loss = Σᵢ −log softmax(xᵢ)[labelᵢ] / denominator
 *     dxᵢ  = (softmax(xᵢ) − onehot(labelᵢ)) / denominator
 *
 * The gradient is one more pass over values that the loss needs anyway, so one instruction computes both.
 */
import { matchShapes, ShapeError } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { computed } from './copy.js';
import { scaleBy } from './elementwise.js';

/** The label of a position that does not count. */
export const IGNORED_LABEL = -100;

export interface CrossEntropyOptions {
  /** ε: the target is 1 − ε at the label plus ε / V everywhere (Szegedy et al. 2016). Default 0. */
  readonly labelSmoothing?: number;
}

/** The loss of each row of logits [N, V], and the gradient of their sum, both divided by `denominator`. Not differentiated. */
export function softmaxCrossEntropy(
  logits: Tensor,
  labels: Tensor,
  denominator: Tensor,
  { labelSmoothing = 0 }: CrossEntropyOptions = {},
): { readonly rowLoss: Tensor; readonly dLogits: Tensor } {
  const { N, V } = matchShapes('crossEntropy', {
    logits: [logits, ['N', 'V']],
    labels: [labels, ['N']],
    denominator: [denominator, [1]],
  });
  if (labels.type !== 'i32') throw new ShapeError('crossEntropy', 'labels', 'of type i32', labels);
  return logits.graph.node({
    op: 'softmaxCrossEntropy',
    inputs: {},
    outputs: { rowLoss: { shape: [N] }, dLogits: { shape: [N, V] } },
    calls: ({ rowLoss, dLogits }) => [
      call(
        'softmaxCrossEntropy',
        { logits, labels, denominator, rowLoss, dLogits },
        { N, V },
        { smoothing: labelSmoothing },
      ),
    ],
  });
}

/**
 * The loss [1] of logits [N, V] against labels [N] (i32; −100 is ignored), divided by `denominator` [1]: the number of labels that
 * count, for a mean.
 * @throws ShapeError
 */
export function crossEntropy(
  logits: Tensor,
  labels: Tensor,
  denominator: Tensor,
  options?: CrossEntropyOptions,
): Tensor {
  const { rowLoss, dLogits } = softmaxCrossEntropy(logits, labels, denominator, options);
  return logits.graph.node({
    op: 'crossEntropy',
    inputs: { logits },
    outputs: { loss: { shape: [1] } },
    calls: ({ loss }) => [call('sum', { x: rowLoss, y: loss }, { n: rowLoss.elements })],
    gradient: ({ loss: dLoss }) => ({ to: { logits: dLoss && computed(() => scaleBy(dLogits, dLoss)) } }),
  }).loss;
}
