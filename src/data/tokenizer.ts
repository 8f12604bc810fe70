/** What encoders need of a tokenizer: texts and pairs of texts as tokens, with the special tokens that belong around them. */

/** A text, or a pair of texts, for an encoder. */
export interface Encoding {
  /** Special tokens included. */
  readonly tokens: Int32Array;
  /** For each token 0, or 1 in the second text of a pair. */
  readonly types: Int32Array;
}

/** A text whose words are known. */
export interface WordEncoding extends Encoding {
  /** For each token the word it is of, −1 for special tokens. */
  readonly words: Int32Array;
}

export interface EncodeOptions {
  /** A second text. */
  readonly pair?: string | undefined;
  /** Tokens at most, special ones included: the longer text of a pair is cut first. */
  readonly maxLength?: number | undefined;
}

export interface Tokenizer {
  /** Number of tokens: they are 0 … size − 1. */
  readonly size: number;
  /** The tokens with a role of their own. */
  readonly special: Readonly<Record<'pad' | 'unknown' | 'cls' | 'sep' | 'mask', number>>;
  encode(text: string, options?: EncodeOptions): Encoding;
  /** A text that has been cut into words already. */
  encodeWords(words: readonly string[], options?: Pick<EncodeOptions, 'maxLength'>): WordEncoding;
  /** A text for people, without special tokens. */
  decode(tokens: Iterable<number>): string;
  /** A token as the vocabulary has it. */
  token(id: number): string;
  /** The files that describe it, by name, as they were read or will be written. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
}
