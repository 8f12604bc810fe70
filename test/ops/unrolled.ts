/** An LSTM as a composition of small ops, one node after another: the oracle of the fused instruction. */
import type { Tensor } from '../../src/graph/tensor.js';
import { concat, full, reshape, slice } from '../../src/ops/copy.js';
import { add, mul, sigmoid, tanh } from '../../src/ops/elementwise.js';
import type { LstmWeights } from '../../src/ops/lstm.js';
import { linear } from '../../src/ops/matmul.js';

export interface UnrolledStep {
  readonly hidden: Tensor;
  readonly cell: Tensor;
  /** i, f, g, o after their activations, each [B, H]. */
  readonly gates: readonly Tensor[];
}

/** The steps in order of time, whichever direction they ran in. */
export function unrolledLstm(
  x: Tensor,
  { inputWeight, hiddenWeight, inputBias, hiddenBias }: LstmWeights,
  { h0, c0, reverse = false }: { h0?: Tensor | undefined; c0?: Tensor | undefined; reverse?: boolean } = {},
): { readonly steps: readonly UnrolledStep[]; readonly output: Tensor } {
  const [T = 0, B = 0, I = 0] = x.shape;
  const H = hiddenWeight.shape[1] as number;
  const steps: UnrolledStep[] = [];
  let [h, c] = [h0, c0].map((state) => state ?? full(x.graph, [B, H], 0)) as [Tensor, Tensor];
  for (let index = 0; index < T; index++) {
    const t = reverse ? T - 1 - index : index;
    const input = linear(reshape(slice(x, 0, t, t + 1), [B, I]), inputWeight, inputBias);
    const pre = add(input, linear(h, hiddenWeight, hiddenBias));
    const part = (gate: number): Tensor => slice(pre, 1, gate * H, (gate + 1) * H);
    const [i, f, g, o] = [sigmoid(part(0)), sigmoid(part(1)), tanh(part(2)), sigmoid(part(3))];
    const cell: Tensor = add(mul(f, c), mul(i, g));
    const hidden = mul(o, tanh(cell));
    steps.push({ hidden, cell, gates: [i, f, g, o] });
    [h, c] = [hidden, cell];
  }
  if (reverse) steps.reverse();
  return {
    steps,
    output: concat(
      steps.map(({ hidden }) => reshape(hidden, [1, B, H])),
      0,
    ),
  };
}
