/**
 * A projection to a large vocabulary and its cross-entropy, some rows at a time: the logits of all rows are never there at once.
 *
 *     logits = x · Wᵀ + b, loss = Σᵢ −log softmax(logitsᵢ)[labelᵢ] / denominator
 *     dx = dLogits · W, dW = dLogitsᵀ · x, db = Σ over rows of dLogits, with dLogits of cross-entropy.ts
 *
 * The gradients of some rows are computed right after their loss, while their logits are there; without a reader they are left out.
 */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { computed, concat, slice } from './copy.js';
import { type CrossEntropyOptions, softmaxCrossEntropy } from './cross-entropy.js';
import { scaleBy } from './elementwise.js';
import { linear, matmul, productOf } from './matmul.js';
import { columnSum } from './reduce.js';

/** Rows at a time. A product sums in blocks of so many, so dW has the same bits as if it were one product. */
const ROWS = 256;

export interface LinearCrossEntropyWeights {
  /** [V, C] */
  readonly weight: Tensor;
  /** [V] */
  readonly bias?: Tensor | undefined;
}

/**
 * The loss [1] of the rows x [N, C] against labels [N] (i32; −100 is ignored), divided by `denominator` [1].
 * @throws ShapeError
 */
export function linearCrossEntropy(
  x: Tensor,
  { weight, bias }: LinearCrossEntropyWeights,
  labels: Tensor,
  denominator: Tensor,
  options?: CrossEntropyOptions,
): Tensor {
  const { N } = matchShapes('linearCrossEntropy', {
    x: [x, ['N', 'C']],
    weight: [weight, ['V', 'C']],
    bias: [bias, ['V']],
    labels: [labels, ['N']],
  });
  const rowLosses: Tensor[] = [];
  const dRows: Tensor[] = [];
  let dWeight: Tensor | undefined;
  let dBias: Tensor | undefined;
  for (let from = 0; from === 0 || from < N; from += ROWS) {
    const to = Math.min(from + ROWS, N);
    const rows = slice(x, 0, from, to);
    const logits = linear(rows, weight, bias);
    const { rowLoss, dLogits } = softmaxCrossEntropy(logits, slice(labels, 0, from, to), denominator, options);
    rowLosses.push(rowLoss);
    dRows.push(matmul(dLogits, weight));
    dWeight = productOf(dLogits, rows, { transposeA: true }, dWeight);
    if (bias !== undefined) dBias = columnSum(dLogits)(dBias);
  }
  const rowLoss = joined(rowLosses);
  return x.graph.node({
    op: 'linearCrossEntropy',
    inputs: { x, weight, bias },
    outputs: { loss: { shape: [1] } },
    calls: ({ loss }) => [call('sum', { x: rowLoss, y: loss }, { n: N })],
    gradient: ({ loss: dLoss }) => {
      const scaled = (gradient: () => Tensor | undefined) =>
        dLoss && computed(() => scaleBy(gradient() as Tensor, dLoss));
      return { to: { x: scaled(() => joined(dRows)), weight: scaled(() => dWeight), bias: scaled(() => dBias) } };
    },
  }).loss;
}

const joined = (parts: readonly Tensor[]): Tensor => (parts.length === 1 ? (parts[0] as Tensor) : concat(parts, 0));
