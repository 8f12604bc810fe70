/**
 * Byte-pair encoding (Sennrich, Haddow & Birch 2016, "Neural machine translation of rare words with subword units", algorithm 1) over bytes
 * instead of characters, so that every text has tokens: 0 … 255 are the bytes, and token 256 + i joins the two tokens of merge i.
 *
 * Merges never cross the pieces that text is cut into first: a word with the space before it, some digits, some other characters, white space.
 */
import { DataError } from './errors.js';
import { joinPair, keyOf, MAX_TOKENS, type Pair, PairCounts } from './pair-counts.js';
import { decodeAll, outside, type TextDecoding, type Vocabulary } from './vocabulary.js';

/** What {@link BpeVocabulary.toJSON} gives: the pair of tokens of each merge, in the order they were learnt. */
export interface BpeVocabularyJson {
  readonly type: 'bpe';
  readonly merges: readonly (readonly [left: number, right: number])[];
}

export interface BpeOptions {
  /** Tokens, 256 of which are the bytes. Fewer come out where no pair is left that occurs twice. Default 1024. */
  readonly size?: number;
}

/** A piece is at most this long, so that a line without spaces is no harder than any other. */
const PIECE = /[ ]?[\p{L}\p{M}]{1,32}|[ ]?\p{N}{1,3}|[ ]?[^\s\p{L}\p{M}\p{N}]{1,16}|\s{1,32}(?!\S)|\s/gu;
const BYTES = 256;
const encoder = new TextEncoder();

function* piecesOf(text: string): Generator<string> {
  const lone = text.search(/\p{Surrogate}/u);
  if (lone >= 0)
    throw new DataError(`Expected text but received half a character (a lone surrogate) at position ${lone}`);
  for (const [piece] of text.matchAll(PIECE)) yield piece;
}

/** Pieces whose tokens are remembered: most of a text is the same few thousand. */
const REMEMBERED = 1 << 16;

export class BpeVocabulary implements Vocabulary {
  readonly units = 'bpe';
  readonly unknown = undefined;
  readonly #merges: readonly Pair[];
  /** The token that a pair makes. */
  readonly #joined: ReadonlyMap<number, number>;
  readonly #bytes: readonly Uint8Array[];
  readonly #known = new Map<string, readonly number[]>();

  private constructor(merges: readonly Pair[]) {
    this.#merges = merges;
    this.#joined = new Map(merges.map(([left, right], index) => [keyOf(left, right), BYTES + index]));
    const bytes = Array.from({ length: BYTES }, (_, byte) => Uint8Array.of(byte));
    for (const [left, right] of merges) {
      bytes.push(Uint8Array.of(...(bytes[left] as Uint8Array), ...(bytes[right] as Uint8Array)));
    }
    this.#bytes = bytes;
  }

  /** Learns merges from texts; the same texts give the same vocabulary. @throws DataError if there is no text */
  static fromTexts(texts: Iterable<string>, { size = 1024 }: BpeOptions = {}): BpeVocabulary {
    if (!(Number.isInteger(size) && size >= BYTES && size <= MAX_TOKENS)) {
      throw new DataError(`vocabulary: Expected a size from ${BYTES} to ${MAX_TOKENS} but received ${size}`);
    }
    const counts = new Map<string, number>();
    for (const text of texts) for (const piece of piecesOf(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    if (counts.size === 0) throw new DataError('vocabulary: Expected a text but received an empty one');
    const pairs = new PairCounts([...counts].map(([piece, count]) => ({ tokens: [...encoder.encode(piece)], count })));
    const merges: Pair[] = [];
    for (let pair = pairs.best(); pair !== undefined && BYTES + merges.length < size; pair = pairs.best()) {
      pairs.join(pair, BYTES + merges.length);
      merges.push(pair);
    }
    return new BpeVocabulary(merges);
  }

  /** The vocabulary that {@link toJSON} described. @throws DataError */
  static fromJSON(json: unknown, name = 'vocabulary'): BpeVocabulary {
    const { type, merges } = (json ?? {}) as Partial<Record<keyof BpeVocabularyJson, unknown>>;
    if (type !== 'bpe' || !Array.isArray(merges)) {
      throw new DataError(`${name}: Expected { "type": "bpe", "merges": […] } but received something else`);
    }
    for (const [index, merge] of merges.entries()) {
      const isToken = (token: unknown): boolean =>
        Number.isInteger(token) && (token as number) >= 0 && (token as number) < BYTES + index;
      if (!Array.isArray(merge) || merge.length !== 2 || !merge.every(isToken)) {
        const expected = `two tokens from 0 to ${BYTES + index - 1}`;
        throw new DataError(`${name}: Expected ${expected} but received ${JSON.stringify(merge)} at merge ${index}`);
      }
    }
    return new BpeVocabulary(merges);
  }

  get size(): number {
    return this.#bytes.length;
  }

  /** @throws DataError for half a character (a lone surrogate) */
  encode(text: string): Int32Array<ArrayBuffer> {
    const tokens: number[] = [];
    for (const piece of piecesOf(text)) {
      let known = this.#known.get(piece);
      if (known === undefined) {
        known = this.#encodePiece(piece);
        if (this.#known.size >= REMEMBERED) this.#known.clear();
        this.#known.set(piece, known);
      }
      for (const token of known) tokens.push(token);
    }
    return Int32Array.from(tokens);
  }

  /** Joins the pair that was learnt first, again and again. */
  #encodePiece(piece: string): number[] {
    let tokens: number[] = [...encoder.encode(piece)];
    for (;;) {
      let first = Number.POSITIVE_INFINITY;
      for (let at = 0; at + 1 < tokens.length; at++) {
        first = Math.min(first, this.#joined.get(keyOf(tokens[at] as number, tokens[at + 1] as number)) ?? first);
      }
      if (first === Number.POSITIVE_INFINITY) return tokens;
      tokens = joinPair(tokens, this.#merges[first - BYTES] as Pair, first);
    }
  }

  /** The text of some tokens; bytes that form no character, which only a model can have put together, become U+FFFD. */
  decode(tokens: Iterable<number>): string {
    return decodeAll(this, tokens);
  }

  decoding(): TextDecoding {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      next: (token) => decoder.decode(this.#bytes[token] ?? outside(this, token), { stream: true }),
      end: () => decoder.decode(),
    };
  }

  toJSON(): BpeVocabularyJson {
    return { type: 'bpe', merges: this.#merges };
  }
}
