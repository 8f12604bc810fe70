/** Sequences of different lengths in one batch for an encoder, batch-major: position t of row b is element b · T + t. */
import { rung } from './batching.js';

/** Tokens of a text, special ones included. */
export interface EncodedSequence {
  readonly tokens: ArrayLike<number>;
  /** The segment of each token. Default: all 0. */
  readonly types?: ArrayLike<number> | undefined;
}

export interface EncoderBatch {
  /** [B, T] */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [B, T] */
  readonly types: Int32Array<ArrayBuffer>;
  /** [B, T]; 1 where there is a token, 0 behind a sequence's end. */
  readonly mask: Int32Array<ArrayBuffer>;
  /** T, a rung of the ladder. */
  readonly time: number;
  /** B */
  readonly batch: number;
}

/** A batch whose tokens have been masked, and what stood at some positions. */
export interface MaskedBatch extends EncoderBatch {
  /** [N]: b · T + t. */
  readonly positions: Int32Array<ArrayBuffer>;
  /** [N]: the token that was there; −100 in entries that only fill up N. */
  readonly labels: Int32Array<ArrayBuffer>;
}

/**
 * Sequences of at least one token below each other, with rows of one `pad` token up to `rows`.
 * @param longest what T is at most: the positions a model has
 */
export function encoderBatch(
  sequences: readonly EncodedSequence[],
  { rows, pad, longest }: { readonly rows: number; readonly pad: number; readonly longest: number },
): EncoderBatch {
  const most = sequences.reduce((length, { tokens }) => Math.max(length, tokens.length), 1);
  const time = Math.max(most, Math.min(rung(most), longest));
  const tokens = new Int32Array(rows * time).fill(pad);
  const types = new Int32Array(rows * time);
  const mask = new Int32Array(rows * time);
  for (let row = 0; row < rows; row++) {
    const sequence = sequences[row] ?? { tokens: [pad] };
    tokens.set(sequence.tokens, row * time);
    types.set(sequence.types ?? [], row * time);
    mask.fill(1, row * time, row * time + sequence.tokens.length);
  }
  return { tokens, types, mask, time, batch: rows };
}
