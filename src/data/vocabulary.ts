import { DataError } from './errors.js';

/** What {@link CharacterVocabulary.toJSON} gives: the characters in the order of their tokens. */
export interface VocabularyJson {
  readonly type: 'characters';
  readonly characters: readonly string[];
}

/** A character for a message: itself where it can be seen, and its code point. */
function show(character: string): string {
  const hex = (character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0');
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character) ? `"${character}" (U+${hex})` : `U+${hex}`;
}

/** The characters (Unicode code points) of a text, numbered from 0 in the order of their code points. */
export class CharacterVocabulary {
  readonly #characters: readonly string[];
  readonly #tokens: ReadonlyMap<string, number>;

  private constructor(characters: readonly string[]) {
    this.#characters = characters;
    this.#tokens = new Map(characters.map((character, token) => [character, token]));
  }

  /** The vocabulary of all characters that occur in a text. @throws DataError if the text is empty. */
  static fromText(text: string): CharacterVocabulary {
    if (text === '') throw new DataError('vocabulary: Expected a text but received an empty one');
    const codePoints = [...new Set(text)].map((character) => character.codePointAt(0) as number);
    return new CharacterVocabulary(
      codePoints.sort((a, b) => a - b).map((codePoint) => String.fromCodePoint(codePoint)),
    );
  }

  /**
   * The vocabulary that {@link toJSON} described.
   * @param name what messages call the source, for example the file's path.
   * @throws DataError saying what was expected and what came.
   */
  static fromJSON(json: unknown, name = 'vocabulary'): CharacterVocabulary {
    const { type, characters } = (json ?? {}) as Partial<Record<keyof VocabularyJson, unknown>>;
    if (type !== 'characters' || !Array.isArray(characters)) {
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
    return new CharacterVocabulary(characters);
  }

  /** Number of tokens. */
  get size(): number {
    return this.#characters.length;
  }

  /**
   * One token per character.
   * @throws DataError naming the first character that is not in the vocabulary, its code point and its position in characters.
   */
  encode(text: string): Int32Array<ArrayBuffer> {
    const tokens = new Int32Array(text.length);
    let length = 0;
    for (const character of text) {
      const token = this.#tokens.get(character);
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

  /** The text of some tokens. @throws DataError for a token outside 0 … size − 1. */
  decode(tokens: Iterable<number>): string {
    let text = '';
    for (const token of tokens) {
      const character = this.#characters[token];
      if (character === undefined) {
        throw new DataError(`Expected tokens from 0 to ${this.size - 1} but received ${token}`);
      }
      text += character;
    }
    return text;
  }

  toJSON(): VocabularyJson {
    return { type: 'characters', characters: this.#characters };
  }
}
