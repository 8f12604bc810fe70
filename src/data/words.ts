/** A vocabulary of words and punctuation marks. */
import { DataError } from './errors.js';
import { counted, decodeAll, outside, type TextDecoding, UNKNOWN, type Vocabulary } from './vocabulary.js';

/** What {@link WordVocabulary.toJSON} gives: the words in the order of their tokens, from token 1. */
export interface WordVocabularyJson {
  readonly type: 'words';
  readonly words: readonly string[];
}

export interface WordVocabularyOptions {
  /** Words that come less often are unknown. Default 2: without unknown words in training there is nothing to learn about them. */
  readonly minCount?: number;
  /** Tokens at most, the unknown one included; the most frequent words stay. Default 20,000. */
  readonly maxSize?: number;
}

/** A word with its inner apostrophes and hyphens, a number, a line break, or one other character. */
const WORD = /\p{L}[\p{L}\p{M}\p{N}]*(?:['’_-][\p{L}\p{M}\p{N}]+)*|\p{N}+(?:[.,]\p{N}+)*|\n|\S/gu;

/** The words, numbers, punctuation marks and line breaks of a text. */
export const splitWords = (text: string): string[] => text.match(WORD) ?? [];

/** Written without a space before it, or after it. */
const CLOSES = /^[.,;:!?)\]}%…»”]$/u;
const OPENS = /^[([{«“]$/u;

/** Words by how often they come, the most frequent first; token 0 is everything else. */
export class WordVocabulary implements Vocabulary {
  readonly units = 'words';
  readonly unknown = 0;
  readonly #words: readonly string[];
  readonly #tokens: ReadonlyMap<string, number>;

  private constructor(words: readonly string[]) {
    this.#words = words;
    this.#tokens = new Map(words.map((word, index) => [word, index + 1]));
  }

  /** The words of a text. @throws DataError if there is none. */
  static fromText(text: string, options?: WordVocabularyOptions): WordVocabulary {
    return WordVocabulary.fromSequences([splitWords(text)], options);
  }

  /** The words of some sequences of words. @throws DataError if there is none. */
  static fromSequences(
    sequences: Iterable<readonly string[]>,
    { minCount = 2, maxSize = 20_000 }: WordVocabularyOptions = {},
  ): WordVocabulary {
    const counts = new Map<string, number>();
    for (const words of sequences) counted(words, counts);
    if (counts.size === 0) throw new DataError('vocabulary: Expected words but received none');
    const frequent = [...counts].filter(([, count]) => count >= minCount);
    frequent.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    return new WordVocabulary(frequent.slice(0, maxSize - 1).map(([word]) => word));
  }

  /** The vocabulary that {@link toJSON} described. @throws DataError */
  static fromJSON(json: unknown, name = 'vocabulary'): WordVocabulary {
    const { type, words } = (json ?? {}) as Partial<Record<keyof WordVocabularyJson, unknown>>;
    const isWord = (word: unknown): boolean => typeof word === 'string' && word !== '';
    if (type !== 'words' || !Array.isArray(words) || !words.every(isWord) || new Set(words).size !== words.length) {
      throw new DataError(
        `${name}: Expected { "type": "words", "words": […] }, each once, but received something else`,
      );
    }
    return new WordVocabulary(words);
  }

  get size(): number {
    return this.#words.length + 1;
  }

  /** One token for each word; 0 for one that is not in the vocabulary. */
  encode(text: string): Int32Array<ArrayBuffer> {
    return this.encodeWords(splitWords(text));
  }

  /** As {@link encode}, of a text that has been cut into words. */
  encodeWords(words: readonly string[]): Int32Array<ArrayBuffer> {
    return Int32Array.from(words, (word) => this.#tokens.get(word) ?? this.unknown);
  }

  /** The words with spaces where a text usually has them: not what `encode` came from, letter by letter. */
  decode(tokens: Iterable<number>): string {
    return decodeAll(this, tokens);
  }

  decoding(): TextDecoding {
    let before = '\n';
    const next = (token: number): string => {
      const word = token === this.unknown ? UNKNOWN : (this.#words[token - 1] ?? outside(this, token));
      const isJoined = before === '\n' || word === '\n' || OPENS.test(before) || CLOSES.test(word);
      before = word;
      return isJoined ? word : ` ${word}`;
    };
    return { next, end: () => '' };
  }

  toJSON(): WordVocabularyJson {
    return { type: 'words', words: this.#words };
  }
}
