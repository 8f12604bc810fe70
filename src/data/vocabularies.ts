/** Every kind of vocabulary by its name. */
import { BpeVocabulary } from './bpe.js';
import { DataError } from './errors.js';
import { CharacterVocabulary, type Units, type Vocabulary } from './vocabulary.js';
import { splitWords, WordVocabulary } from './words.js';

const kinds: Readonly<Record<Units, { fromJSON(json: unknown, name?: string): Vocabulary }>> = {
  characters: CharacterVocabulary,
  words: WordVocabulary,
  bpe: BpeVocabulary,
};

/** The vocabulary that a `toJSON` described. @param name what messages call the source @throws DataError */
export function vocabularyFromJson(json: unknown, name = 'vocabulary'): Vocabulary {
  const type = (json as { type?: unknown } | null)?.type;
  if (typeof type === 'string' && Object.hasOwn(kinds, type)) return kinds[type as Units].fromJSON(json, name);
  const known = Object.keys(kinds).map((kind) => `"${kind}"`);
  throw new DataError(`${name}: Expected { "type": ${known.join(' or ')}, … } but received something else`);
}

export interface LearntVocabularyOptions {
  readonly units: Units;
  /** Of words: tokens at most. Of bpe: tokens. */
  readonly size?: number | undefined;
  /** Of characters and words: rarer ones are unknown. */
  readonly minCount?: number | undefined;
}

/** The vocabulary of some texts. @throws DataError */
export function learnVocabulary(
  texts: readonly string[],
  { units, size, minCount }: LearntVocabularyOptions,
): Vocabulary {
  const rare = minCount === undefined ? {} : { minCount };
  if (units === 'characters') return CharacterVocabulary.fromTexts(texts, rare);
  if (units === 'bpe') return BpeVocabulary.fromTexts(texts, size === undefined ? {} : { size });
  return WordVocabulary.fromSequences(texts.map(splitWords), size === undefined ? rare : { ...rare, maxSize: size });
}
