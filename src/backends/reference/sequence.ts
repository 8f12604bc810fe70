/** Sequences of unequal length, time-major [T, B, C]. */
import type { Definition } from './tensor.js';

/** y[t][b] = x[t][b] within the sequence, 0 behind its end. It is its own gradient: dx = maskSteps(dy). */
export const maskSteps: Definition<'maskSteps'> = ({ operands: { x, lengths, y }, dims: { T, B, C } }) => {
  for (let t = 0; t < T; t++) {
    for (let b = 0; b < B; b++) {
      const inside = t < lengths.at(b);
      for (let c = 0; c < C; c++) y.set(inside ? x.at(t, b, c) : 0, t, b, c);
    }
  }
};
