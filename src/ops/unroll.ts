/**
 * Recurrences step by step, from any ops: the way to write a cell of one's own. It trains on every backend, and backpropagation
 * through time is the ordinary sweep over its nodes.
 */
import { matchShapes } from '../graph/errors.js';
import type { Tensor } from '../graph/tensor.js';
import { concat, full, reshape, slice } from './copy.js';
import { checkSequence, maskedBy, type SequenceOptions } from './recurrence.js';
import { liveSteps, selectRows } from './sequence.js';

/**
 * One step: from the input x [B, I] and the state before it, tensors [B, ·], to the state after it, as many of the same shapes. The first
 * of them is what the recurrence hands on. `t` is the position in the sequence.
 */
export type Cell = (x: Tensor, state: readonly Tensor[], t: number) => readonly Tensor[];

export interface Unrolled {
  /** The first state after each step, [T, B, ·]; 0 at padded steps. */
  readonly output: Tensor;
  /** The same as the recurrence holds it: padded steps repeat the state. */
  readonly hidden: Tensor;
  /** The state after each row's last step. */
  readonly last: readonly Tensor[];
  /** The state after each step, in the order of time. */
  readonly states: readonly (readonly Tensor[])[];
}

/**
 * Runs a cell over x [T, B, I] from an initial state, tensors [B, ·].
 * @throws ShapeError if lengths, resets or what the cell returns do not fit.
 */
export function unroll(
  cell: Cell,
  x: Tensor,
  initial: readonly [Tensor, ...Tensor[]],
  options: SequenceOptions = {},
): Unrolled {
  const { T, B, I } = matchShapes('unroll', { x: [x, ['T', 'B', 'I']] });
  for (const [index, tensor] of initial.entries())
    matchShapes('unroll', { [`initial[${index}]`]: [tensor, [B, 'size']] });
  checkSequence('unroll', T, B, options);
  const { lengths, resets, reverse = false } = options;
  const live = lengths && liveSteps(lengths, T);
  const flagsAt = (flags: Tensor, t: number): Tensor => reshape(slice(flags, 0, t, t + 1), [B]);
  const states: (readonly Tensor[])[] = [];
  let state: readonly Tensor[] = initial;
  for (let step = 0; step < T; step++) {
    const t = reverse ? T - 1 - step : step;
    // What passes into step t passes between t − 1 and t, in reverse between t and t + 1.
    const boundary = reverse ? t + 1 : t;
    const old = state;
    const found =
      resets === undefined || boundary === T
        ? old
        : old.map((tensor) => selectRows(flagsAt(resets, boundary), undefined, tensor));
    const made = x.graph.within(`t${t}`, () => cell(reshape(slice(x, 0, t, t + 1), [B, I]), found, t));
    state = old.map((tensor, index) => {
      const value = made[index];
      matchShapes('unroll', { [`state[${index}] of the cell`]: [value ?? tensor, tensor.shape] });
      if (value === undefined || made.length !== old.length)
        throw new TypeError(`unroll: Expected ${old.length} states from the cell but received ${made.length}`);
      return live === undefined ? value : selectRows(flagsAt(live, t), value, tensor);
    });
    states[t] = state;
  }
  const [first] = initial;
  const size = first.shape[1] as number;
  const hidden =
    T === 0
      ? full(x.graph, [0, B, size], 0)
      : concat(
          states.map(([h = first]) => reshape(h, [1, B, size])),
          0,
        );
  return { output: maskedBy(hidden, options), hidden, last: state, states };
}
