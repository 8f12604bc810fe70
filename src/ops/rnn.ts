/**
 * One vanilla recurrent layer in one direction over a whole sequence (Elman 1990).
 *
 *     h_t = f(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh)          f = tanh, or relu
 *
 * Backward, from dh_t (what arrives at h_t from above):
 *
 *     dh_t  += W_hhᵀ dpre_{t+1}
 *     dpre_t = dh_t ⊙ (1 − h_t²), or dh_t where h_t > 0 and else 0
 *     dW_hh  = Σ_t dpre_t h_{t−1}ᵀ, one product over all steps; dW_ih, db and dx come from the projection W_ih x + b
 */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { computed, passOn, reshape } from './copy.js';
import { add } from './elementwise.js';
import type { Lookup } from './embedding.js';
import { linear, productOf } from './matmul.js';
import {
  checkSequence,
  maskedBy,
  refuseGradients,
  type SequenceOptions,
  statesFound,
  stateViews,
} from './recurrence.js';

export interface RnnWeights {
  /** [H, I] */
  readonly inputWeight: Tensor;
  /** [H, H] */
  readonly hiddenWeight: Tensor;
  /** [H] */
  readonly inputBias?: Tensor | undefined;
  /** [H] */
  readonly hiddenBias?: Tensor | undefined;
}

export interface RnnOptions extends SequenceOptions {
  /** Default tanh. */
  readonly nonlinearity?: 'tanh' | 'relu' | undefined;
  /** h₀ [B, H]; zero when absent. */
  readonly h0?: Tensor | undefined;
}

export interface RnnOutputs {
  /** h_t, [T, B, H]; 0 at padded steps. */
  readonly output: Tensor;
  /** The state after each row's last step, [B, H]. */
  readonly hLast: Tensor;
  /** h_t as the recurrence holds it, [T, B, H]: padded steps repeat the state. */
  readonly hidden: Tensor;
}

/**
 * Runs a vanilla recurrent layer over x [T, B, I].
 * @throws ShapeError if a weight or state does not fit.
 */
export function rnn(x: Tensor | Lookup, weights: RnnWeights, options: RnnOptions = {}): RnnOutputs {
  const { inputWeight, hiddenWeight, inputBias, hiddenBias } = weights;
  const { h0, lengths, resets, reverse = false, nonlinearity = 'tanh' } = options;
  const { T, B, I } = matchShapes('rnn', { x: [x, ['T', 'B', 'I']] });
  const { H } = matchShapes('rnn', { hiddenWeight: [hiddenWeight, ['H', 'H']] });
  matchShapes('rnn', {
    inputWeight: [inputWeight, [H, I]],
    inputBias: [inputBias, [H]],
    hiddenBias: [hiddenBias, [H]],
    h0: [h0, [B, H]],
  });
  checkSequence('rnn', T, B, options);
  const bias = inputBias && hiddenBias ? add(inputBias, hiddenBias) : (inputBias ?? hiddenBias);
  const xGates = linear(x, inputWeight, bias);
  const dims = { T, B, H, reverse: Number(reverse), relu: Number(nonlinearity === 'relu') };
  const { hidden, hLast } = x.graph.node({
    op: 'rnn',
    inputs: { xGates, weightHh: hiddenWeight, h0 },
    outputs: { states: { shape: [T + 1, B, H] } },
    views: ({ states }) => {
      const { after, before, last } = stateViews(states, reverse);
      return { hidden: after, previous: before, hLast: last };
    },
    calls: ({ states }) => [
      call('rnnForward', { xGates, weightHh: hiddenWeight, h0, lengths, resets, hidden: states }, dims),
    ],
    gradient: ({ hidden: dHidden, hLast: dHLast, ...others }, { states, previous }) => {
      refuseGradients('rnn', others, 'output or hLast');
      const operands = { dHidden, dHLast, weightHh: hiddenWeight, hidden: states };
      const { dGates, dH0, dHiddenTotal } = x.graph.node({
        op: 'rnnBackward',
        inputs: operands,
        outputs: { dGates: { shape: [T, B, H] }, dH0: { shape: [B, H] }, dHiddenTotal: { shape: [T, B, H] } },
        calls: (out) => [call('rnnBackward', { ...operands, lengths, resets, ...out }, dims)],
      });
      const dPre = reshape(dGates, [T * B, H]);
      return {
        to: {
          xGates: passOn(dGates),
          weightHh: (sum) => productOf(dPre, statesFound(previous, options), { transposeA: true }, sum),
          h0: computed(() => dH0),
        },
        total: { hidden: dHiddenTotal },
      };
    },
  });
  return { output: maskedBy(hidden, options), hLast, hidden };
}
