/** Sequences of different lengths in one batch of rows. */
import { rung } from '../data/batching.js';
import type { TokenSequence } from './sequence.js';

export interface PaddedSequences {
  /** [B, T] each; the mask is 1 where there is a token. */
  readonly inputs: { readonly tokens: Int32Array; readonly types: Int32Array; readonly mask: Int32Array };
  /** T: the longest sequence, rounded up to a rung of the ladder where `maxLength` allows. */
  readonly time: number;
}

/** Sequences below each other, filled up with padding; rows without a sequence, up to `rows`, hold one visible token of padding. */
export function padSequences(
  sequences: readonly TokenSequence[],
  { rows, pad, maxLength }: { readonly rows: number; readonly pad: number; readonly maxLength: number },
): PaddedSequences {
  const longest = sequences.reduce((most, { tokens }) => Math.max(most, tokens.length), 1);
  const time = Math.max(longest, Math.min(rung(longest), maxLength));
  const inputs = {
    tokens: new Int32Array(rows * time).fill(pad),
    types: new Int32Array(rows * time),
    mask: new Int32Array(rows * time),
  };
  for (let row = 0; row < rows; row++) {
    const { tokens = [], types = [] } = sequences[row] ?? {};
    inputs.tokens.set(tokens, row * time);
    inputs.types.set(types, row * time);
    inputs.mask.fill(1, row * time, row * time + Math.max(1, tokens.length));
  }
  return { inputs, time };
}
