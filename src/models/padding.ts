/** Token sequences of different lengths in one time-major batch. */
import { rung } from '../data/batching.js';

export interface PaddedTokens {
  /** [T, B] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [B]; 1 in rows that hold no sequence. */
  readonly lengths: Int32Array<ArrayBuffer>;
  /** T, a rung of the ladder. */
  readonly time: number;
}

/** Sequences of at least one token side by side, with empty rows up to `rows`. */
export function padTokens(sequences: readonly Int32Array[], rows: number): PaddedTokens {
  const time = rung(sequences.reduce((most, { length }) => Math.max(most, length), 1));
  const tokens = new Int32Array(time * rows);
  const lengths = new Int32Array(rows).fill(1);
  for (const [b, sequence] of sequences.entries()) {
    lengths[b] = sequence.length;
    for (let t = 0; t < sequence.length; t++) tokens[t * rows + b] = sequence[t] as number;
  }
  return { tokens, lengths, time };
}
