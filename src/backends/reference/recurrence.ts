/**
 * What all recurrences share: the order of steps, rows that have ended, rows that start anew, and the recurrent product.
 *
 * A state tensor holds T + 1 states. Step t goes from state t to state t + 1, in reverse from t + 1 to t. A row that has ended keeps its
 * state. Where a row starts anew, the state before the step counts as 0, and no gradient goes back through it.
 */
import type { Tensor } from './tensor.js';

interface Dims {
  readonly T: number;
  readonly B: number;
  readonly reverse: number;
}

/** One step of one row. */
export interface Step {
  readonly t: number;
  readonly b: number;
  /** Indexes of the states before and after it. */
  readonly before: number;
  readonly after: number;
  /** Whether the row has this step at all. */
  readonly live: boolean;
  /** Whether the state before it counts as 0. */
  readonly cut: boolean;
}

/** All steps in the order in which the recurrence takes them. Backward goes through them from the last to the first. */
export function stepsOf({ T, B, reverse }: Dims, lengths: Tensor | undefined, resets: Tensor | undefined): Step[] {
  const steps: Step[] = [];
  for (let step = 0; step < T; step++) {
    const t = reverse ? T - 1 - step : step;
    const [before, after] = reverse ? [t + 1, t] : [t, t + 1];
    for (let b = 0; b < B; b++) {
      // The state before step t passes between t − 1 and t, in reverse between t and t + 1.
      const cut = before < T && (resets?.at(before, b) ?? 0) !== 0;
      steps.push({ t, b, before, after, live: t < (lengths?.at(b) ?? T), cut });
    }
  }
  return steps;
}

/** The state that the first step finds. */
export function begin(states: Tensor, initial: Tensor | undefined, { T, B, reverse }: Dims, width: number): void {
  for (let b = 0; b < B; b++) {
    for (let k = 0; k < width; k++) states.set(initial?.at(b, k) ?? 0, reverse ? T : 0, b, k);
  }
}

/** h₋₁[k]: the state before a step. */
export const previous = (states: Tensor, { before, b, cut }: Step, k: number): number =>
  cut ? 0 : states.at(before, b, k);

/** A row that has ended keeps its state. */
export function keep(states: Tensor, { before, after, b }: Step, width: number): void {
  for (let k = 0; k < width; k++) states.set(states.at(before, b, k), after, b, k);
}

/** Row j of the recurrent product of one row: Σ over k of h₋₁[k] · weight[j][k]. */
export function recurrent(weight: Tensor, hidden: Tensor, step: Step, j: number, width: number): number {
  if (step.cut) return 0;
  let sum = 0;
  for (let k = 0; k < width; k++) sum += hidden.at(step.before, step.b, k) * weight.at(j, k);
  return sum;
}

/** The gradient of h₋₁[k] that the recurrent product gives: Σ over j of dGates[j] · weight[j][k]. */
export function recurrentBackward(weight: Tensor, dGates: Tensor, { t, b, cut }: Step, k: number, J: number): number {
  if (cut) return 0;
  let sum = 0;
  for (let j = 0; j < J; j++) sum += dGates.at(t, b, j) * weight.at(j, k); // of: recurrent
  return sum;
}

/** What backward carries from step to step starts as the gradient of the final state. */
export function beginBackward(carried: Tensor, dLast: Tensor | undefined, B: number, width: number): void {
  for (let b = 0; b < B; b++) {
    for (let k = 0; k < width; k++) carried.set(dLast?.at(b, k) ?? 0, b, k);
  }
}

/** A step that a row does not have gives no gradient. */
export function clearStep({ t, b }: Step, widths: readonly (readonly [Tensor | undefined, number])[]): void {
  for (const [tensor, width] of widths) {
    for (let k = 0; k < width; k++) tensor?.set(0, t, b, k);
  }
}
