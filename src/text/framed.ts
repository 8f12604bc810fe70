/** Tokens with the special ones around them that BERT expects, cut to fit. */
import type { Encoding, Tokenizer, WordEncoding } from '../data/tokenizer.js';
import { OptionError } from '../program/options.js';

type Special = Pick<Tokenizer['special'], 'cls' | 'sep'>;

/** Tokens of text that fit beside so many special ones. @throws OptionError if that is none */
export function roomBeside(special: number, maxLength = Number.POSITIVE_INFINITY): number {
  if (maxLength > special) return maxLength - special;
  const why = `${special} tokens are special ones`;
  throw new OptionError(`Expected \`maxLength\` to be at least ${special + 1}, as ${why}, but received ${maxLength}`);
}

/** `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]` where the longer text loses tokens at its end until both fit. */
export function framed(
  { cls, sep }: Special,
  first: Int32Array,
  second: Int32Array | undefined,
  maxLength?: number,
): Encoding {
  if (second === undefined) {
    const tokens = Int32Array.from([cls, ...first.subarray(0, roomBeside(2, maxLength)), sep]);
    return { tokens, types: new Int32Array(tokens.length) };
  }
  const room = roomBeside(3, maxLength);
  let [a, b] = [first.length, second.length];
  while (a + b > room) {
    if (a > b) a--;
    else b--;
  }
  const tokens = Int32Array.from([cls, ...first.subarray(0, a), sep, ...second.subarray(0, b), sep]);
  return { tokens, types: new Int32Array(tokens.length).fill(1, a + 2) };
}

/** `[CLS] words [SEP]`: the first word that does not fit whole, and those after it, are left out. */
export function framedWords(special: Special, words: readonly Int32Array[], maxLength?: number): WordEncoding {
  const room = roomBeside(2, maxLength);
  const tokens: number[] = [];
  const owners: number[] = [];
  for (const [index, word] of words.entries()) {
    if (tokens.length + word.length > room) break;
    for (const token of word) {
      tokens.push(token);
      owners.push(index);
    }
  }
  return { ...framed(special, Int32Array.from(tokens), undefined), words: Int32Array.from([-1, ...owners, -1]) };
}
