/**
 * Cells for {@link unroll}, from small ops: the recurrences of rnn.ts, gru.ts and lstm.ts one step at a time, and their rarer relatives. Each
 * takes its input projected already, x_t = W_ih input_t + b_ih: all steps at once is one product.
 */
import { ShapeError } from '../graph/errors.js';
import type { Tensor } from '../graph/tensor.js';
import { broadcastRows } from './broadcast.js';
import { reshape, slice } from './copy.js';
import { add, mul, relu, scale, sigmoid, subtract, tanh } from './elementwise.js';
import { type LayerNormWeights, layerNorm } from './layer-norm.js';
import { linear } from './matmul.js';
import { keepMask } from './random.js';
import type { Cell } from './unroll.js';

export interface CellWeights {
  /** W_hh, as the fused form has it. */
  readonly hiddenWeight: Tensor;
  readonly hiddenBias?: Tensor | undefined;
}

/** Part `index` of `size` columns. */
const part = (x: Tensor, index: number, size: number): Tensor => slice(x, 1, index * size, (index + 1) * size);

/** Offers values for inspection under their names, and gives them back. */
function shown<N extends string>(values: Readonly<Record<N, Tensor>>): Readonly<Record<N, Tensor>> {
  for (const [name, value] of Object.entries<Tensor>(values)) value.graph.probe(name, value);
  return values;
}

/** The states a cell is given; a cell with another number of them is a mistake of the caller. */
function take(op: string, state: readonly Tensor[], names: readonly string[]): Tensor[] {
  if (state.length !== names.length) throw new ShapeError(op, 'state', names.join(', '), `${state.length} tensors`);
  return [...state];
}

/** h = f(x + W_hh h₋₁ + b_hh). State: h. */
export const rnnCell =
  ({ hiddenWeight, hiddenBias }: CellWeights, nonlinearity: 'tanh' | 'relu' = 'tanh'): Cell =>
  (x, state) => {
    const [h] = take('rnnCell', state, ['h']) as [Tensor];
    const pre = add(x, linear(h, hiddenWeight, hiddenBias));
    return [shown({ hidden: nonlinearity === 'relu' ? relu(pre) : tanh(pre) }).hidden];
  };

/** The GRU in either convention of gru.ts. State: h. */
export const gruCell =
  ({ hiddenWeight, hiddenBias }: CellWeights, { resetBefore = false }: { readonly resetBefore?: boolean } = {}): Cell =>
  (x, state) => {
    const [h] = take('gruCell', state, ['h']) as [Tensor];
    const H = hiddenWeight.shape[1] as number;
    const recurrent = (of: Tensor, from: number, to: number): Tensor =>
      linear(of, slice(hiddenWeight, 0, from * H, to * H), hiddenBias && slice(hiddenBias, 0, from * H, to * H));
    const pre = sigmoid(add(slice(x, 1, 0, 2 * H), recurrent(h, 0, 2)));
    const [r, z] = [part(pre, 0, H), part(pre, 1, H)];
    const q = resetBefore ? recurrent(mul(r, h), 2, 3) : mul(r, recurrent(h, 2, 3));
    const n = tanh(add(part(x, 2, H), q));
    return [shown({ reset_gate: r, update_gate: z, candidate: n, hidden: add(n, mul(z, subtract(h, n))) }).hidden];
  };

export interface LstmCellWeights extends CellWeights {
  /** W_hr [P, H] */
  readonly projection?: Tensor | undefined;
  /** Connections from the cell to its gates (Gers, Schmidhuber & Schraudolph 2002), each [H]: i and f see c₋₁, o sees c. */
  readonly peepholes?: { readonly input: Tensor; readonly forget: Tensor; readonly output: Tensor } | undefined;
  /** Layer normalisation (Ba, Kiros & Hinton 2016, equations 20–22) of W_hh h₋₁ [4H] and of c [H]; that of the input is the caller's. */
  readonly norms?: { readonly hidden: LayerNormWeights; readonly cell: LayerNormWeights } | undefined;
}

/** The LSTM of lstm.ts; with peepholes, and with layer normalisation. State: h, c. */
export const lstmCell =
  ({ hiddenWeight, hiddenBias, projection, peepholes, norms }: LstmCellWeights): Cell =>
  (x, state) => {
    const [h, c] = take('lstmCell', state, ['h', 'c']) as [Tensor, Tensor];
    const H = c.shape[1] as number;
    const product = linear(h, hiddenWeight, norms === undefined ? hiddenBias : undefined);
    const recurrent = norms === undefined ? product : addRow(layerNorm(product, norms.hidden), hiddenBias);
    const pre = add(x, recurrent);
    const see = (gate: Tensor, cell: Tensor, weight: Tensor | undefined): Tensor =>
      weight === undefined ? gate : add(gate, mul(cell, broadcastRows(weight, cell.shape[0] as number)));
    const i = sigmoid(see(part(pre, 0, H), c, peepholes?.input));
    const f = sigmoid(see(part(pre, 1, H), c, peepholes?.forget));
    const g = tanh(part(pre, 2, H));
    const cell = add(mul(f, c), mul(i, g));
    const o = sigmoid(see(part(pre, 3, H), cell, peepholes?.output));
    const m = mul(o, tanh(norms === undefined ? cell : layerNorm(cell, norms.cell)));
    const hidden = projection === undefined ? m : linear(m, projection);
    shown({ input_gate: i, forget_gate: f, candidate: g, output_gate: o, cell, hidden });
    return [hidden, cell];
  };

const addRow = (x: Tensor, row: Tensor | undefined): Tensor =>
  row === undefined ? x : add(x, broadcastRows(row, x.shape[0] as number));

export interface Zoneout {
  /** Probability that a unit keeps its old value, for each of the cell's states. */
  readonly rates: readonly number[];
  /** The Philox key and step in training; absent in prediction, where the expectation takes the place of the draw. */
  readonly random?: Tensor | undefined;
  /** A number for each state that no other random tensor of the model uses. */
  readonly streams: readonly number[];
}

/**
 * Zoneout (Krueger et al. 2017): s_t = d ⊙ s_{t−1} + (1 − d) ⊙ s̃_t, d drawn anew for every step, row and unit; in prediction d is its rate.
 * @param steps T, the steps the recurrence has: the draws of all of them are one tensor.
 */
export function zoneout(cell: Cell, steps: number, { rates, random, streams }: Zoneout): Cell {
  const kept = new Map<number, Tensor>();
  /** 1 where the new value is taken, [T, B · W]. */
  const draws = (index: number, rate: number, like: Tensor): Tensor => {
    let draw = kept.get(index);
    if (draw === undefined) {
      draw = keepMask(like.graph, [steps, like.elements], rate, random as Tensor, streams[index] as number);
      kept.set(index, draw);
    }
    return draw;
  };
  return (x, state, t) =>
    cell(x, state, t).map((made, index) => {
      const old = state[index] as Tensor;
      const rate = rates[index] ?? 0;
      if (rate === 0) return made;
      const change = subtract(made, old);
      if (random === undefined) return add(old, scale(change, 1 - rate));
      const taken = slice(draws(index, rate, made), 0, t, t + 1);
      return add(old, mul(change, reshape(taken, made.shape)));
    });
}
