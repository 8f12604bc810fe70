/** Sequences of unequal length, time-major [T, B, C]. */
import type { Definition, Tensor } from './tensor.js';

/** y[t][b] = x[t][b] within the sequence, 0 behind its end. It is its own gradient: dx = maskSteps(dy). */
export const maskSteps: Definition<'maskSteps'> = ({ operands: { x, lengths, y }, dims: { T, B, C } }) => {
  for (let t = 0; t < T; t++) {
    for (let b = 0; b < B; b++) {
      const inside = t < lengths.at(b);
      for (let c = 0; c < C; c++) y.set(inside ? x.at(t, b, c) : 0, t, b, c);
    }
  }
};

export const liveSteps: Definition<'liveSteps'> = ({ operands: { lengths, y }, dims: { T, B } }) => {
  for (let t = 0; t < T; t++) {
    for (let b = 0; b < B; b++) y.set(t < lengths.at(b) ? 1 : 0, t, b);
  }
};

/** y[r] = a[r] or b[r]. Its gradients are selections too: da = dy where the flag is set, db = dy where it is not. */
export const selectRows: Definition<'selectRows'> = ({ operands: { flags, a, b, y }, dims: { R, C } }) => {
  for (let r = 0; r < R; r++) {
    const chosen = flags.at(r) !== 0 ? a : b;
    for (let c = 0; c < C; c++) y.set(chosen?.at(r, c) ?? 0, r, c);
  }
};

const lengthOf = (lengths: Tensor | undefined, b: number, T: number): number =>
  lengths === undefined ? T : Math.max(0, Math.min(T, lengths.at(b)));

/** y[b] = max over the steps of row b. Math.max also keeps NaN. */
export const maxSteps: Definition<'maxSteps'> = ({ operands: { x, lengths, y }, dims: { T, B, C } }) => {
  for (let b = 0; b < B; b++) {
    const length = lengthOf(lengths, b, T);
    for (let c = 0; c < C; c++) {
      let most = length === 0 ? 0 : x.at(0, b, c);
      for (let t = 1; t < length; t++) most = Math.max(most, x.at(t, b, c));
      y.set(most, b, c);
    }
  }
};

/** The gradient goes to the first step that has the maximum. */
export const maxStepsBackward: Definition<'maxStepsBackward'> = ({
  operands: { x, lengths, y, dy, dx },
  dims: { T, B, C },
}) => {
  for (let b = 0; b < B; b++) {
    const length = lengthOf(lengths, b, T);
    for (let c = 0; c < C; c++) {
      let found = false;
      for (let t = 0; t < T; t++) {
        const isFirst: boolean = !found && t < length && x.at(t, b, c) === y.at(b, c);
        dx.set(isFirst ? dy.at(b, c) : 0, t, b, c); // of: y = max x
        found ||= isFirst;
      }
    }
  }
};
