/** What is measured: a training step of some model, on batches of some shape. */
import type { Network } from '../train/model.js';
import type { Batch } from '../train/trainer.js';

/** Sizes of a model and of its batches. */
export interface Sizes {
  /** H, and the size of the embedding; of BERT the model width C. */
  readonly hidden: number;
  readonly layers: number;
  /** V */
  readonly vocabulary: number;
  /** B */
  readonly batch: number;
  /** T */
  readonly time: number;
  /** NH, of BERT alone. */
  readonly heads?: number;
  /** F, of BERT alone. */
  readonly feedForward?: number;
}

/** What the bench knows about a kind of model. */
export interface BenchModel {
  /**
   * All sizes, the usual ones where none are given.
   * @throws OptionError for sizes that do not fit each other, or that this kind of model has not.
   */
  complete(given: Partial<Sizes>): Sizes;
  /** `Embedding(96, 128) → LSTM 128 × 2 → Linear(128, 96)` */
  describe(sizes: Sizes): string;
  network(sizes: Sizes): Network;
  /** Of the matrix products in one forward pass over one token. */
  forwardFlopsPerToken(sizes: Sizes): number;
  /** Batches without end, the same on every backend. */
  batches(sizes: Sizes): Generator<Batch, never, void>;
  /** The same model, so small that the reference gets through it at once, with sizes that are no multiple of any vector's lanes. */
  smaller(sizes: Sizes): Sizes;
}

/** Windows until the text begins anew. */
export const WINDOWS = 64;

/** Tokens that follow one another by a rule that can be learned, with some that do not (numbers of Lehmer 1951); one more than the windows have. */
export function textOf({ batch, time, vocabulary }: Sizes): Int32Array<ArrayBuffer> {
  let random = 1;
  let token = 0;
  return Int32Array.from({ length: WINDOWS * batch * time + 1 }, () => {
    random = (random * 48271) % 0x7fffffff;
    token = random % 4 === 0 ? random % vocabulary : (token * 5 + 7) % vocabulary;
    return token;
  });
}
