/** What the example of remembering prints, and what of it does not depend on luck. */
import type { ExecutionContext } from 'ava';
import { numbers } from './run.js';

/** Three seeds of a variant: in how many percent each was right, and how much of the gradient was left before training. */
export interface Row {
  readonly right: readonly number[];
  readonly before: number;
}

/** The rows of an output, by variant and length. */
export function rowsOf(output: string): (variant: string, T: number) => Row {
  return (variant, T) => {
    const printed = numbers(output, `${variant.padEnd(15)} ${String(T).padStart(4)} `);
    return { right: printed.slice(0, 3), before: printed[6] as number };
  };
}

/** What does not depend on luck: where all of the gradient arrives, all seeds learn; where none does, an LSTM does not. */
export function checkShort(t: ExecutionContext, row: (variant: string, T: number) => Row): void {
  const learnt = ({ right }: Row): number => right.filter((percent) => percent >= 99).length;
  for (const variant of ['RNN', 'LSTM', 'LSTM, gates set', 'GRU']) t.is(learnt(row(variant, 10)), 3, `${variant} 10`);
  t.is(learnt(row('LSTM, gates set', 20)), 3);
  // The gradient left after 10 more steps back is smaller by about the tenth power of what a step leaves.
  for (const variant of ['RNN', 'LSTM', 'GRU']) t.true(row(variant, 20).before < 0.05 * row(variant, 10).before);
  t.true(row('LSTM, gates set', 20).before > 0.3 * row('LSTM, gates set', 10).before);
}
