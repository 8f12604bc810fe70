/**
 * What the recurrences have in common. A recurrence keeps T + 1 states [T + 1, B, W]: state 0 lies before the first step of the
 * forward direction, and step t of the reverse direction goes from state t + 1 to state t.
 */
import { matchShapes, ShapeError } from '../graph/errors.js';
import type { ViewSpec } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { concat, reshape, slice } from './copy.js';
import { maskSteps, selectRows } from './sequence.js';

/** How the rows of a batch go through a recurrence. */
export interface SequenceOptions {
  /** Steps of each row, [B] i32; all T when absent. */
  readonly lengths?: Tensor | undefined;
  /**
   * [T, B] i32: where it is not 0, row b starts anew with step t: neither state nor gradient passes between steps t − 1 and t. At t = 0
   * that cuts off the initial state (in reverse it says nothing there).
   */
  readonly resets?: Tensor | undefined;
  /** Run from each row's last step to its first. */
  readonly reverse?: boolean;
}

/** Checks lengths and resets against T steps of B rows. @throws ShapeError */
export function checkSequence(op: string, T: number, B: number, { lengths, resets }: SequenceOptions): void {
  matchShapes(op, { lengths: [lengths, [B]], resets: [resets, [T, B]] });
  for (const [name, tensor] of Object.entries({ lengths, resets })) {
    if (tensor !== undefined && tensor.type !== 'i32') throw new ShapeError(op, name, 'of type i32', tensor);
  }
}

/** Views of T + 1 states: those after each step, those before each step, and the one after each row's last step. */
export function stateViews(states: Tensor, reverse: boolean): Record<'after' | 'before' | 'last', ViewSpec> {
  const [rows = 1, B = 0, width = 0] = states.shape;
  const steps = [rows - 1, B, width];
  const [early, late] = [0, B * width];
  return {
    after: { of: states, offset: reverse ? early : late, shape: steps },
    before: { of: states, offset: reverse ? late : early, shape: steps },
    last: { of: states, offset: reverse ? 0 : (rows - 1) * B * width, shape: [B, width] },
  };
}

/** The states that the steps found, [T · B, W]: `before` as {@link stateViews} has it, 0 where a row started anew. */
export function statesFound(before: Tensor, { resets, reverse = false }: SequenceOptions): Tensor {
  const [T = 0, B = 0, width = 0] = before.shape;
  const rows = (from: number, to: number): Tensor => reshape(slice(before, 0, from, to), [(to - from) * B, width]);
  if (resets === undefined || T === 0) return rows(0, T);
  const flags = (from: number, to: number): Tensor => reshape(slice(resets, 0, from, to), [(to - from) * B]);
  if (!reverse) return selectRows(flags(0, T), undefined, rows(0, T));
  if (T === 1) return rows(0, 1);
  // Step t found what passes between t and t + 1; the last one found the initial state.
  return concat([selectRows(flags(1, T), undefined, rows(0, T - 1)), rows(T - 1, T)], 0);
}

/** What a layer hands on: the hidden states, 0 behind a row's end. */
export const maskedBy = (hidden: Tensor, { lengths }: SequenceOptions): Tensor =>
  lengths === undefined ? hidden : maskSteps(hidden, lengths);

/** Nothing that gradients would have to flow back through may be computed from the other values of a recurrence. */
export function refuseGradients(op: string, others: Readonly<Record<string, unknown>>, allowed: string): void {
  const [unsupported] = Object.keys(others);
  if (unsupported !== undefined)
    throw new Error(`${op}: Expected gradients of ${allowed} but one of ${unsupported} came`);
}
