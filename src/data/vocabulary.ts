/** What text is cut into, and the numbers (tokens) of the pieces. */
import { DataError } from './errors.js';

/** What text is cut into. */
export type Units = 'characters' | 'words' | 'bpe';

/** Turns tokens back into text as they come: a piece of text may depend on the tokens before it. */
export interface TextDecoding {
  next(token: number): string;
  /** What is left when no more tokens come. */
  end(): string;
}

export interface Vocabulary {
  readonly units: Units;
  /** Number of tokens. */
  readonly size: number;
  /** The token of everything that is not in the vocabulary; undefined where that is refused. */
  readonly unknown: number | undefined;
  /** @throws DataError */
  encode(text: string): Int32Array<ArrayBuffer>;
  /** The text of some tokens. @throws DataError for a token outside 0 … size − 1. */
  decode(tokens: Iterable<number>): string;
  decoding(): TextDecoding;
  /** What the vocabulary is saved as. */
  toJSON(): { readonly type: Units };
}

/** What {@link CharacterVocabulary.toJSON} gives: the characters in the order of their tokens. */
export interface VocabularyJson {
  readonly type: 'characters';
  readonly characters: readonly string[];
  /** Whether one more token stands for all other characters. */
  readonly unknown?: true;
}

export interface CharacterVocabularyOptions {
  /** Characters that come less often are unknown. Default 1. */
  readonly minCount?: number;
  /** Whether one more token stands for all other characters. Default: whether `minCount` is above 1. */
  readonly unknown?: boolean;
}

/** A character for a message: itself where it can be seen, and its code point. */
function show(character: string): string {
  const hex = (character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0');
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character) ? `"${character}" (U+${hex})` : `U+${hex}`;
}

/** What a decoded unknown token looks like. */
export const UNKNOWN = '<unknown>';

/** All tokens through a decoding. */
export function decodeAll(vocabulary: Vocabulary, tokens: Iterable<number>): string {
  const decoding = vocabulary.decoding();
  let text = '';
  for (const token of tokens) text += decoding.next(token);
  return text + decoding.end();
}

/** @throws DataError */
export function outside(vocabulary: Vocabulary, token: number): never {
  throw new DataError(`Expected tokens from 0 to ${vocabulary.size - 1} but received ${token}`);
}

/** How often each value comes. */
export function counted<T>(values: Iterable<T>, counts = new Map<T, number>()): Map<T, number> {
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** The characters (Unicode code points) of a text, numbered from 0 in the order of their code points. */
export class CharacterVocabulary implements Vocabulary {
  readonly units = 'characters';
  readonly unknown: number | undefined;
  readonly #characters: readonly string[];
  readonly #tokens: ReadonlyMap<string, number>;

  private constructor(characters: readonly string[], unknown: boolean) {
    this.#characters = characters;
    this.#tokens = new Map(characters.map((character, token) => [character, token]));
    this.unknown = unknown ? characters.length : undefined;
  }

  /** The vocabulary of all characters that occur in a text. @throws DataError if the text is empty. */
  static fromText(text: string, options: CharacterVocabularyOptions = {}): CharacterVocabulary {
    return CharacterVocabulary.fromTexts([text], options);
  }

  /** The vocabulary of the characters of some texts. @throws DataError if there is none. */
  static fromTexts(
    texts: Iterable<string>,
    { minCount = 1, unknown = minCount > 1 }: CharacterVocabularyOptions = {},
  ): CharacterVocabulary {
    const counts = new Map<string, number>();
    for (const text of texts) counted(text, counts);
    if (counts.size === 0) throw new DataError('vocabulary: Expected a text but received an empty one');
    const codePoints = [...counts]
      .filter(([, count]) => count >= minCount)
      .map(([character]) => character.codePointAt(0) as number);
    const characters = codePoints.sort((a, b) => a - b).map((codePoint) => String.fromCodePoint(codePoint));
    return new CharacterVocabulary(characters, unknown);
  }

  /**
   * The vocabulary that {@link toJSON} described.
   * @param name what messages call the source, for example the file's path.
   * @throws DataError saying what was expected and what came.
   */
  static fromJSON(json: unknown, name = 'vocabulary'): CharacterVocabulary {
    const { type, characters, unknown = false } = (json ?? {}) as Partial<Record<keyof VocabularyJson, unknown>>;
    if (type !== 'characters' || !Array.isArray(characters) || typeof unknown !== 'boolean') {
      throw new DataError(`${name}: Expected { "type": "characters", "characters": […] } but received something else`);
    }
    let previous = -1;
    for (const [token, character] of characters.entries()) {
      const codePoint =
        typeof character === 'string' && [...character].length === 1 ? character.codePointAt(0) : undefined;
      if (codePoint === undefined || codePoint <= previous) {
        const expected = 'single characters in ascending order of code points';
        throw new DataError(
          `${name}: Expected ${expected} but received ${JSON.stringify(character)} at index ${token}`,
        );
      }
      previous = codePoint;
    }
    return new CharacterVocabulary(characters, unknown);
  }

  get size(): number {
    return this.#characters.length + Number(this.unknown !== undefined);
  }

  /**
   * One token per character.
   * @throws DataError naming the first character that is not in a vocabulary without an unknown token, its code point and its position
   * in characters.
   */
  encode(text: string): Int32Array<ArrayBuffer> {
    const tokens = new Int32Array(text.length);
    let length = 0;
    for (const character of text) {
      const token = this.#tokens.get(character) ?? this.unknown;
      if (token === undefined) {
        const position = `at position ${length}`;
        throw new DataError(
          `Expected characters of the vocabulary (${this.size} of them) but received ${show(character)} ${position}`,
        );
      }
      tokens[length++] = token;
    }
    return tokens.slice(0, length);
  }

  decode(tokens: Iterable<number>): string {
    return decodeAll(this, tokens);
  }

  decoding(): TextDecoding {
    const next = (token: number): string =>
      this.#characters[token] ?? (token === this.unknown ? UNKNOWN : outside(this, token));
    return { next, end: () => '' };
  }

  toJSON(): VocabularyJson {
    const characters = this.#characters;
    return this.unknown === undefined
      ? { type: 'characters', characters }
      : { type: 'characters', characters, unknown: true };
  }
}
