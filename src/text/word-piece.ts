/**
 * Learning a WordPiece vocabulary (Schuster & Nakajima 2012, "Japanese and Korean voice search"): pieces of words, those that go on within a
 * word marked by a prefix. As in Hugging Face's trainer, pieces are joined by the frequency of pairs, as in byte-pair encoding
 * (Sennrich, Haddow & Birch 2016, algorithm 1). Texts are encoded by the longest piece that fits, whatever the order of learning.
 */
import { DataError } from '../data/errors.js';
import { type CountedPiece, MAX_TOKENS, PairCounts } from '../data/pair-counts.js';
import { checkOptions, wholeNumber } from '../program/options.js';

/** What a piece begins with that goes on within a word. */
export const CONTINUATION = '##';

/** The tokens that stand for no piece of text, in the order of BERT. */
export const SPECIAL_TOKENS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const;

export interface WordPieceOptions {
  /** Tokens, the special ones included. Fewer come out where no pair is left that comes `minCount` times. Default 8192. */
  readonly size?: number | undefined;
  /** Pairs that come less often are not joined. Default 2. */
  readonly minCount?: number | undefined;
  /** Different characters at most; words with others, the rarest, are unknown. Default 1000. */
  readonly characters?: number | undefined;
}

export const wordPieceRules = {
  size: wholeNumber(SPECIAL_TOKENS.length + 1, MAX_TOKENS),
  minCount: wholeNumber(1),
  characters: wholeNumber(1),
};

/** Of equally frequent ones, smaller code points come first. */
function mostFrequent(counts: ReadonlyMap<string, number>, most: number): Set<string> {
  const ranked = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return new Set(ranked.slice(0, most).map(([character]) => character));
}

/**
 * The vocabulary of some words: special tokens, single characters in their order, joined pieces in the order in which they were learnt. The same words give the
 * same vocabulary, in whatever order they come.
 * @param words what texts are split into, and how often each comes
 * @throws DataError if there are none, or if their characters alone are more than `size`; OptionError
 */
export function learnWordPieces(words: ReadonlyMap<string, number>, options: WordPieceOptions = {}): string[] {
  checkOptions('learnWordPieces', options, wordPieceRules);
  const { size = 8192, minCount = 2, characters = 1000 } = options;
  const frequencies = new Map<string, number>();
  for (const [word, count] of words) {
    for (const character of word) frequencies.set(character, (frequencies.get(character) ?? 0) + count);
  }
  const alphabet = mostFrequent(frequencies, characters);
  const spelt = [...words].flatMap(([word, count]) => {
    const letters = [...word];
    if (letters.length === 0 || letters.some((letter) => !alphabet.has(letter))) return [];
    return [{ pieces: letters.map((letter, at) => (at === 0 ? letter : CONTINUATION + letter)), count }];
  });
  if (spelt.length === 0) throw new DataError('vocabulary: Expected a text with words but received none');
  const single = new Set(alphabet);
  for (const { pieces } of spelt) for (const piece of pieces) single.add(piece);
  const vocabulary: string[] = [...SPECIAL_TOKENS, ...[...single].sort()];
  if (vocabulary.length > size) {
    const least = `the ${vocabulary.length} of special tokens and single characters`;
    throw new DataError(`vocabulary: Expected at least ${least} but received a size of ${size}`);
  }
  const tokens = new Map(vocabulary.map((piece, token) => [piece, token]));
  const corpus = spelt.map(
    ({ pieces, count }): CountedPiece => ({ tokens: pieces.map((piece) => tokens.get(piece) as number), count }),
  );
  const pairs = new PairCounts(corpus);
  while (vocabulary.length < size) {
    const pair = pairs.best(minCount);
    if (pair === undefined) break;
    const [left, right] = pair.map((token) => vocabulary[token] as string) as [string, string];
    const joined = left + right.slice(CONTINUATION.length);
    if (!tokens.has(joined)) tokens.set(joined, vocabulary.push(joined) - 1);
    pairs.join(pair, tokens.get(joined) as number);
  }
  return vocabulary;
}
