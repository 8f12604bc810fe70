/**
 * One GRU layer in one direction over a whole sequence (Cho et al. 2014). There are two conventions for the reset gate.
 *
 * Behind the recurrent product (PyTorch; Keras `reset_after=True`; ONNX `linear_before_reset=1`), the default:
 *
 *     r, z = σ(W_i{r,z} x_t + b_i{r,z} + W_h{r,z} h_{t−1} + b_h{r,z})          gate order r, z, n as PyTorch stores it
 *     n    = tanh(W_in x_t + b_in + r ⊙ (W_hn h_{t−1} + b_hn))
 *     h_t  = (1 − z) ⊙ n + z ⊙ h_{t−1}
 *
 * In front of it, with `resetBefore` (Cho et al. 2014 as printed; Keras `reset_after=False`; ONNX `linear_before_reset=0`):
 *
 *     n    = tanh(W_in x_t + b_in + W_hn (r ⊙ h_{t−1}) + b_hn)
 *
 * Backward of the default, from dh_t (what arrives at h_t from above) and the sums carried from step t + 1:
 *
 *     dh_t  += dh_{t+1} ⊙ z_{t+1} + W_hhᵀ dq_{t+1}
 *     dn = dh ⊙ (1 − z), dz = dh ⊙ (h_{t−1} − n), dpre_n = dn ⊙ (1 − n²), dr = dpre_n ⊙ (W_hn h_{t−1} + b_hn)
 *     dpre_t = (dr ⊙ r(1−r), dz ⊙ z(1−z), dpre_n)          the gradient of W_ih x_t + b_ih
 *     dq_t   = (dr ⊙ r(1−r), dz ⊙ z(1−z), dpre_n ⊙ r)      the gradient of W_hh h_{t−1} + b_hh
 *     dW_hh  = Σ_t dq_t h_{t−1}ᵀ, db_hh = Σ_t dq_t; dW_ih, db_ih and dx come from the projection W_ih x + b_ih
 *
 * The default is one instruction pair. The other needs two products that wait for each other in every step; it is written as a
 * composition, step by step, and is slower.
 */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { gruCell } from './cells.js';
import { computed, full, passOn, reshape } from './copy.js';
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
import { columnSum } from './reduce.js';
import { unroll } from './unroll.js';

export interface GruWeights {
  /** [3H, I] */
  readonly inputWeight: Tensor;
  /** [3H, H] */
  readonly hiddenWeight: Tensor;
  /** [3H] */
  readonly inputBias?: Tensor | undefined;
  /** [3H] */
  readonly hiddenBias?: Tensor | undefined;
}

export interface GruOptions extends SequenceOptions {
  /** The reset gate acts before the recurrent product. Default false. */
  readonly resetBefore?: boolean | undefined;
  /** h₀ [B, H]; zero when absent. */
  readonly h0?: Tensor | undefined;
}

export interface GruOutputs {
  /** h_t, [T, B, H]; 0 at padded steps. */
  readonly output: Tensor;
  /** The state after each row's last step, [B, H]. */
  readonly hLast: Tensor;
  /** h_t as the recurrence holds it, [T, B, H]: padded steps repeat the state. */
  readonly hidden: Tensor;
  /** r, z, n after their activations, [T, B, 3H]; undefined at padded steps. Absent with `resetBefore`. */
  readonly gates: Tensor | undefined;
}

/**
 * Runs a GRU layer over x [T, B, I]. A loss may be computed from `output`, `hidden` and `hLast`; `gates` can be read, and differentiated with
 * respect to.
 * @throws ShapeError if a weight or state does not fit.
 */
export function gru(x: Tensor | Lookup, weights: GruWeights, options: GruOptions = {}): GruOutputs {
  const { inputWeight, hiddenWeight, inputBias, hiddenBias } = weights;
  const { T, B, I } = matchShapes('gru', { x: [x, ['T', 'B', 'I']] });
  const { H } = matchShapes('gru', { hiddenWeight: [hiddenWeight, ['3H', 'H']] });
  matchShapes('gru', {
    hiddenWeight: [hiddenWeight, [3 * H, H]],
    inputWeight: [inputWeight, [3 * H, I]],
    inputBias: [inputBias, [3 * H]],
    hiddenBias: [hiddenBias, [3 * H]],
    h0: [options.h0, [B, H]],
  });
  checkSequence('gru', T, B, options);
  const xGates = linear(x, inputWeight, inputBias);
  return (options.resetBefore === true ? stepByStep : recurrence)(xGates, hiddenWeight, hiddenBias, options);
}

/** The recurrence over projected inputs xGates [T, B, 3H]. */
function recurrence(xGates: Tensor, weightHh: Tensor, biasHh: Tensor | undefined, options: GruOptions): GruOutputs {
  const { h0, lengths, resets, reverse = false } = options;
  const [T, B] = xGates.shape as [number, number];
  const H = weightHh.shape[1] as number;
  const dims = { T, B, H, reverse: Number(reverse) };
  const { hidden, hLast, gates } = xGates.graph.node({
    op: 'gru',
    inputs: { xGates, weightHh, biasHh, h0 },
    outputs: { states: { shape: [T + 1, B, H] }, gates: { shape: [T, B, 3 * H] }, recurrentN: { shape: [T, B, H] } },
    views: ({ states }) => {
      const { after, before, last } = stateViews(states, reverse);
      return { hidden: after, previous: before, hLast: last };
    },
    calls: ({ states: hidden, gates, recurrentN }) => [
      call('gruForward', { xGates, weightHh, biasHh, h0, lengths, resets, hidden, gates, recurrentN }, dims),
    ],
    gradient: ({ hidden: dHidden, hLast: dHLast, ...others }, { states: hidden, gates, recurrentN, previous }) => {
      refuseGradients('gru', others, 'output or hLast');
      const operands = { dHidden, dHLast, weightHh, gates, recurrentN, hidden };
      const backward = xGates.graph.node({
        op: 'gruBackward',
        inputs: operands,
        outputs: {
          dGates: { shape: gates.shape },
          dRecurrent: { shape: gates.shape },
          dH0: { shape: [B, H] },
          dHiddenTotal: { shape: [T, B, H] },
          dGateValues: { shape: gates.shape },
        },
        calls: (out) => [call('gruBackward', { ...operands, lengths, resets, ...out }, dims)],
      });
      const dRecurrent = reshape(backward.dRecurrent, [T * B, 3 * H]);
      return {
        to: {
          xGates: passOn(backward.dGates),
          weightHh: (sum) => productOf(dRecurrent, statesFound(previous, options), { transposeA: true }, sum),
          biasHh: columnSum(dRecurrent),
          h0: computed(() => backward.dH0),
        },
        total: { hidden: backward.dHiddenTotal, gates: backward.dGateValues },
      };
    },
  });
  return { output: maskedBy(hidden, options), hLast, hidden, gates };
}

/** The other convention, from small ops. */
function stepByStep(
  xGates: Tensor,
  hiddenWeight: Tensor,
  hiddenBias: Tensor | undefined,
  { h0, ...options }: GruOptions,
): GruOutputs {
  const H = hiddenWeight.shape[1] as number;
  const cell = gruCell({ hiddenWeight, hiddenBias }, { resetBefore: true });
  const start = h0 ?? full(xGates.graph, [xGates.shape[1] as number, H], 0);
  const { output, hidden, last } = unroll(cell, xGates, [start], options);
  return { output, hidden, hLast: last[0] as Tensor, gates: undefined };
}
