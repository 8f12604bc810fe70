/** Sequences of tokens as BERT reads them: a text or a pair of texts between special tokens, cut to fit. */
import { OptionError } from '../program/options.js';
import type { Tokenizer } from './tokenizer.js';

export interface TokenSequence {
  readonly tokens: Int32Array;
  /** 0, and 1 from the second text of a pair on. */
  readonly types: Int32Array;
}

/** A text, or two that belong together. */
export type TextOrPair = string | readonly [first: string, second: string];

/** @throws OptionError if special tokens would leave nothing of a text */
function roomIn(maxLength: number, special: number): number {
  if (maxLength > special) return maxLength - special;
  const expected = `a number from ${special + 1}, since ${special} tokens are special ones`;
  throw new OptionError(`Expected \`maxLength\` to be ${expected}, but received ${maxLength}`);
}

/** `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]`, of at most `maxLength` tokens: the longer text loses tokens at its end first. */
export function framed(
  { begin, end }: Pick<Tokenizer, 'begin' | 'end'>,
  [first, second]: readonly [first: Int32Array, second?: Int32Array],
  maxLength: number,
): TokenSequence {
  if (second === undefined) {
    const text = first.subarray(0, roomIn(maxLength, 2));
    return { tokens: Int32Array.of(begin, ...text, end), types: new Int32Array(text.length + 2) };
  }
  const room = roomIn(maxLength, 3);
  let [a, b] = [first.length, second.length];
  while (a + b > room) {
    if (a > b) a--;
    else b--;
  }
  const tokens = Int32Array.of(begin, ...first.subarray(0, a), end, ...second.subarray(0, b), end);
  return { tokens, types: new Int32Array(tokens.length).fill(1, a + 2) };
}

/** The sequence of a text or a pair. */
export function encodeText(tokenizer: Tokenizer, text: TextOrPair, maxLength: number): TokenSequence {
  const [first, second] = typeof text === 'string' ? [text] : text;
  const encoded = second === undefined ? undefined : tokenizer.encode(second);
  return framed(
    tokenizer,
    encoded === undefined ? [tokenizer.encode(first)] : [tokenizer.encode(first), encoded],
    maxLength,
  );
}

/** A sequence of words that were split before, and where each begins. */
export interface WordSequence extends TokenSequence {
  /** The position of each word's first token; of words that did not fit, or that have no tokens, −1. */
  readonly starts: Int32Array;
}

/** `[CLS] words [SEP]`, of at most `maxLength` tokens: words that do not fit whole are left out. */
export function encodeWords(tokenizer: Tokenizer, words: readonly string[], maxLength: number): WordSequence {
  const room = roomIn(maxLength, 2);
  const tokens: number[] = [];
  const starts = new Int32Array(words.length).fill(-1);
  for (const [index, word] of words.entries()) {
    const its = tokenizer.encode(word);
    if (tokens.length + its.length > room) break;
    if (its.length > 0) starts[index] = tokens.length + 1;
    tokens.push(...its);
  }
  return { ...framed(tokenizer, [Int32Array.from(tokens)], maxLength), starts };
}

/** Running text in sequences of `maxLength` tokens, the last one shorter; documents are not joined. */
export function encodeDocuments(tokenizer: Tokenizer, documents: Iterable<string>, maxLength: number): TokenSequence[] {
  const room = roomIn(maxLength, 2);
  const sequences: TokenSequence[] = [];
  for (const document of documents) {
    const tokens: number[] = [];
    for (const line of document.split('\n')) for (const token of tokenizer.encode(line)) tokens.push(token);
    const all = Int32Array.from(tokens);
    for (let start = 0; start < all.length; start += room) {
      sequences.push(framed(tokenizer, [all.subarray(start, start + room)], maxLength));
    }
  }
  return sequences;
}
