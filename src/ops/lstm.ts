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

export interface LstmWeights {
  /** [4H, I] */
  readonly inputWeight: Tensor;
  /** [4H, H]; [4H, P] with a projection */
  readonly hiddenWeight: Tensor;
  /** W_hr [P, H]: what is handed on and fed back is W_hr·(o ⊙ tanh c), P wide (Sak, Senior & Beaufays 2014). */
  readonly projection?: Tensor | undefined;
  /** [4H] */
  readonly inputBias?: Tensor | undefined;
  /** [4H] */
  readonly hiddenBias?: Tensor | undefined;
}

export interface LstmOptions extends SequenceOptions {
  /** h₀ [B, H], or [B, P]; zero when absent. */
  readonly h0?: Tensor | undefined;
  /** c₀ [B, H]; zero when absent. */
  readonly c0?: Tensor | undefined;
}

export interface LstmOutputs {
  /** h_t, [T, B, H], or [T, B, P]; 0 at padded steps. */
  readonly output: Tensor;
  /** The state after each row's last step. */
  readonly hLast: Tensor;
  readonly cLast: Tensor;
  /** h_t and c_t as the recurrence holds them: padded steps repeat the state. */
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
export function lstm(x: Tensor | Lookup, weights: LstmWeights, options: LstmOptions = {}): LstmOutputs {
  const { inputWeight, hiddenWeight, projection, inputBias, hiddenBias } = weights;
  const { I } = matchShapes('lstm', { x: [x, ['T', 'B', 'I']] });
  const { W } = matchShapes('lstm', { hiddenWeight: [hiddenWeight, ['4H', 'W']] });
  const H = projection === undefined ? W : matchShapes('lstm', { projection: [projection, [W, 'H']] }).H;
  matchShapes('lstm', {
    hiddenWeight: [hiddenWeight, [4 * H, W]],
    inputWeight: [inputWeight, [4 * H, I]],
    inputBias: [inputBias, [4 * H]],
    hiddenBias: [hiddenBias, [4 * H]],
  });
  const bias = inputBias && hiddenBias ? add(inputBias, hiddenBias) : (inputBias ?? hiddenBias);
  const xGates = linear(x, inputWeight, bias);
  const [T, B] = x.shape as [number, number];
  checkSequence('lstm', T, B, options);
  matchShapes('lstm', { h0: [options.h0, [B, W]], c0: [options.c0, [B, H]] });
  return projection === undefined
    ? recurrence(xGates, hiddenWeight, options)
    : projectedRecurrence(xGates, hiddenWeight, projection, options);
}

/** The recurrence over projected inputs xGates [T, B, 4H]. */
function recurrence(xGates: Tensor, weightHh: Tensor, options: LstmOptions): LstmOutputs {
  const { h0, c0, lengths, resets, reverse = false } = options;
  const [T, B] = xGates.shape as [number, number];
  const H = weightHh.shape[1] as number;
  const dims = { T, B, H, reverse: Number(reverse) };
  const states = { shape: [T + 1, B, H] };
  const { hidden, cell, gates, hLast, cLast } = xGates.graph.node({
    op: 'lstm',
    inputs: { xGates, weightHh, h0, c0 },
    outputs: { states, cells: states, gates: { shape: [T, B, 4 * H] }, tanhCell: { shape: [T, B, H] } },
    views: (out) => {
      const [h, c] = [stateViews(out.states, reverse), stateViews(out.cells, reverse)];
      return { hidden: h.after, previous: h.before, hLast: h.last, cell: c.after, cLast: c.last };
    },
    calls: ({ states: hidden, cells: cell, gates, tanhCell }) => [
      call('lstmForward', { xGates, weightHh, h0, c0, lengths, resets, hidden, cell, gates, tanhCell }, dims),
    ],
    gradient: (
      { hidden: dHidden, hLast: dHLast, cLast: dCLast, ...others },
      { cells: cell, gates, tanhCell, previous },
    ) => {
      refuseGradients('lstm', others, 'output, hLast or cLast');
      const operands = { dHidden, dHLast, dCLast, weightHh, gates, cell, tanhCell };
      const backward = xGates.graph.node({
        op: 'lstmBackward',
        inputs: operands,
        outputs: {
          dGates: { shape: gates.shape },
          dH0: { shape: [B, H] },
          dC0: { shape: [B, H] },
          dHiddenTotal: { shape: [T, B, H] },
          dCellTotal: { shape: [T, B, H] },
          dGateValues: { shape: gates.shape },
        },
        calls: (out) => [call('lstmBackward', { ...operands, lengths, resets, ...out }, dims)],
      });
      const { dGates, dH0, dC0 } = backward;
      const dPre = reshape(dGates, [T * B, 4 * H]);
      return {
        to: {
          xGates: passOn(dGates),
          weightHh: (sum) => productOf(dPre, statesFound(previous, options), { transposeA: true }, sum),
          h0: computed(() => dH0),
          c0: computed(() => dC0),
        },
        total: { hidden: backward.dHiddenTotal, cell: backward.dCellTotal, gates: backward.dGateValues },
      };
    },
  });
  return { output: maskedBy(hidden, options), hLast, cLast, hidden, cell, gates };
}

/** The recurrence with h = W_hr m, m = o ⊙ tanh c. Besides the gradients above: dm_t = W_hrᵀ dh_t, dW_hr = Σ_t dh_t m_tᵀ. */
function projectedRecurrence(xGates: Tensor, weightHh: Tensor, weightHr: Tensor, options: LstmOptions): LstmOutputs {
  const { h0, c0, lengths, resets, reverse = false } = options;
  const [T, B] = xGates.shape as [number, number];
  const [P, H] = weightHr.shape as [number, number];
  const dims = { T, B, H, P, reverse: Number(reverse) };
  const units = { shape: [T, B, H] };
  const { hidden, cell, gates, hLast, cLast } = xGates.graph.node({
    op: 'projectedLstm',
    inputs: { xGates, weightHh, weightHr, h0, c0 },
    outputs: {
      states: { shape: [T + 1, B, P] },
      cells: { shape: [T + 1, B, H] },
      gates: { shape: [T, B, 4 * H] },
      tanhCell: units,
      unprojected: units,
    },
    views: (out) => {
      const [h, c] = [stateViews(out.states, reverse), stateViews(out.cells, reverse)];
      return { hidden: h.after, previous: h.before, hLast: h.last, cell: c.after, cLast: c.last };
    },
    calls: ({ states: hidden, cells: cell, gates, tanhCell, unprojected }) => [
      call(
        'projectedLstmForward',
        { xGates, weightHh, weightHr, h0, c0, lengths, resets, hidden, cell, gates, tanhCell, unprojected },
        dims,
      ),
    ],
    gradient: (
      { hidden: dHidden, hLast: dHLast, cLast: dCLast, ...others },
      { cells: cell, gates, tanhCell, unprojected, previous },
    ) => {
      refuseGradients('lstm', others, 'output, hLast or cLast');
      const operands = { dHidden, dHLast, dCLast, weightHh, weightHr, gates, cell, tanhCell };
      const backward = xGates.graph.node({
        op: 'projectedLstmBackward',
        inputs: operands,
        outputs: {
          dGates: { shape: gates.shape },
          dH0: { shape: [B, P] },
          dC0: { shape: [B, H] },
          dHiddenTotal: { shape: [T, B, P] },
          dCellTotal: units,
          dGateValues: { shape: gates.shape },
        },
        calls: (out) => [call('projectedLstmBackward', { ...operands, lengths, resets, ...out }, dims)],
      });
      const { dGates, dH0, dC0, dHiddenTotal } = backward;
      const dPre = reshape(dGates, [T * B, 4 * H]);
      return {
        to: {
          xGates: passOn(dGates),
          weightHh: (sum) => productOf(dPre, statesFound(previous, options), { transposeA: true }, sum),
          weightHr: (sum) =>
            productOf(reshape(dHiddenTotal, [T * B, P]), reshape(unprojected, [T * B, H]), { transposeA: true }, sum),
          h0: computed(() => dH0),
          c0: computed(() => dC0),
        },
        total: { hidden: dHiddenTotal, cell: backward.dCellTotal, gates: backward.dGateValues },
      };
    },
  });
  return { output: maskedBy(hidden, options), hLast, cLast, hidden, cell, gates };
}
