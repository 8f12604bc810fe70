/**
 * One LSTM layer in one direction over a whole sequence (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).
 *
 *     pre_t = W_ih x_t + b_ih + W_hh h_{t−1} + b_hh          gate order i, f, g, o as PyTorch stores it
 *     i, f, o = σ(pre), g = tanh(pre)
 *     c_t = f ⊙ c_{t−1} + i ⊙ g
 *     h_t = o ⊙ tanh(c_t)
 *
 * Backward, from dh_t (what arrives at h_t from above) and the sums carried from step t + 1:
 *
 *     dh_t  += W_hhᵀ dpre_{t+1}
 *     dc_t   = dh_t ⊙ o ⊙ (1 − tanh² c_t) + dc_{t+1} ⊙ f_{t+1}
 *     dpre_t = (dc_t ⊙ g ⊙ i(1−i), dc_t ⊙ c_{t−1} ⊙ f(1−f), dc_t ⊙ i ⊙ (1−g²), dh_t ⊙ tanh c_t ⊙ o(1−o))
 *     dW_hh  = Σ_t dpre_t h_{t−1}ᵀ, one product over all steps; dW_ih, db and dx come from the projection W_ih x + b
 *
 * The recurrence is one instruction pair; the projection is an ordinary linear layer in front of it.
 */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { computed, passOn, reshape } from './copy.js';
import { add } from './elementwise.js';
import { linear, productOf } from './matmul.js';
import { maskSteps } from './sequence.js';

export interface LstmWeights {
  /** [4H, I] */
  readonly inputWeight: Tensor;
  /** [4H, H] */
  readonly hiddenWeight: Tensor;
  /** [4H] */
  readonly inputBias?: Tensor | undefined;
  /** [4H] */
  readonly hiddenBias?: Tensor | undefined;
}

export interface LstmOptions {
  /** h₀ [B, H]; zero when absent. */
  readonly h0?: Tensor | undefined;
  /** c₀ [B, H]; zero when absent. */
  readonly c0?: Tensor | undefined;
  /** Steps of each row, [B] i32; all T when absent. */
  readonly lengths?: Tensor | undefined;
  /** Run from each row's last step to its first. */
  readonly reverse?: boolean;
}

export interface LstmOutputs {
  /** h_t, [T, B, H]; 0 at padded steps. */
  readonly output: Tensor;
  /** The state after each row's last step, [B, H]. */
  readonly hLast: Tensor;
  readonly cLast: Tensor;
  /** h_t and c_t as the recurrence holds them, [T, B, H]: padded steps repeat the state. */
  readonly hidden: Tensor;
  readonly cell: Tensor;
  /** i, f, g, o after their activations, [T, B, 4H]; undefined at padded steps. */
  readonly gates: Tensor;
}

/**
 * Runs an LSTM layer over x [T, B, I]. A loss may be computed from `output`, `hidden`, `hLast` and `cLast`; `cell` and `gates` can be read,
 * and differentiated with respect to, but nothing can be computed from them that gradients flow back through.
 * @throws ShapeError if a weight or state does not fit.
 */
export function lstm(x: Tensor, weights: LstmWeights, options: LstmOptions = {}): LstmOutputs {
  const { inputWeight, hiddenWeight, inputBias, hiddenBias } = weights;
  const { I } = matchShapes('lstm', { x: [x, ['T', 'B', 'I']] });
  const { H } = matchShapes('lstm', { hiddenWeight: [hiddenWeight, ['4H', 'H']] });
  matchShapes('lstm', {
    hiddenWeight: [hiddenWeight, [4 * H, H]],
    inputWeight: [inputWeight, [4 * H, I]],
    inputBias: [inputBias, [4 * H]],
    hiddenBias: [hiddenBias, [4 * H]],
  });
  const bias = inputBias && hiddenBias ? add(inputBias, hiddenBias) : (inputBias ?? hiddenBias);
  return recurrence(linear(x, inputWeight, bias), hiddenWeight, options);
}

/** The recurrence over projected inputs xGates [T, B, 4H]. */
function recurrence(xGates: Tensor, weightHh: Tensor, { h0, c0, lengths, reverse = false }: LstmOptions): LstmOutputs {
  const { T, B, H } = matchShapes('lstm', {
    xGates: [xGates, ['T', 'B', '4H']],
    hiddenWeight: [weightHh, ['4H', 'H']],
  });
  matchShapes('lstm', { h0: [h0, [B, H]], c0: [c0, [B, H]], lengths: [lengths, [B]] });
  const dims = { T, B, H, reverse: Number(reverse) };
  const states = { shape: [T + 1, B, H] };
  // State 0 is before the first step of the forward direction; step t of the reverse direction goes from state t + 1 to state t.
  const steps = { offset: reverse ? 0 : B * H, shape: [T, B, H] };
  const before = { offset: reverse ? B * H : 0, shape: [T, B, H] };
  const last = { offset: reverse ? 0 : T * B * H, shape: [B, H] };

  const { hidden, cell, gates, hLast, cLast } = xGates.graph.node({
    op: 'lstm',
    inputs: { xGates, weightHh, h0, c0 },
    outputs: { states, cells: states, gates: { shape: [T, B, 4 * H] }, tanhCell: { shape: [T, B, H] } },
    views: (out) => ({
      hidden: { of: out.states, ...steps },
      cell: { of: out.cells, ...steps },
      previous: { of: out.states, ...before },
      hLast: { of: out.states, ...last },
      cLast: { of: out.cells, ...last },
    }),
    calls: ({ states: hidden, cells: cell, gates, tanhCell }) => [
      call('lstmForward', { xGates, weightHh, h0, c0, lengths, hidden, cell, gates, tanhCell }, dims),
    ],
    gradient: (
      { hidden: dHidden, hLast: dHLast, cLast: dCLast, ...inner },
      { cells: cell, gates, tanhCell, previous },
    ) => {
      const [unsupported] = Object.keys(inner);
      if (unsupported !== undefined)
        throw new Error(`lstm: Expected gradients of output, hLast or cLast but one of ${unsupported} came`);
      const backward = xGates.graph.node({
        op: 'lstmBackward',
        inputs: { dHidden, dHLast, dCLast, weightHh, gates, cell, tanhCell },
        outputs: {
          dGates: { shape: gates.shape },
          dH0: { shape: [B, H] },
          dC0: { shape: [B, H] },
          dHiddenTotal: { shape: [T, B, H] },
          dCellTotal: { shape: [T, B, H] },
          dGateValues: { shape: gates.shape },
        },
        calls: (out) => [
          call('lstmBackward', { dHidden, dHLast, dCLast, weightHh, gates, cell, tanhCell, lengths, ...out }, dims),
        ],
      });
      const { dGates, dH0, dC0 } = backward;
      const dPre = reshape(dGates, [T * B, 4 * H]);
      const hPrevious = reshape(previous, [T * B, H]);
      return {
        to: {
          xGates: passOn(dGates),
          weightHh: (sum) => productOf(dPre, hPrevious, { transposeA: true }, sum),
          h0: computed(() => dH0),
          c0: computed(() => dC0),
        },
        total: { hidden: backward.dHiddenTotal, cell: backward.dCellTotal, gates: backward.dGateValues },
      };
    },
  });
  return { output: lengths === undefined ? hidden : maskSteps(hidden, lengths), hLast, cLast, hidden, cell, gates };
}
