/** Running text in sequences of one length: what masked language models are trained on. */
import type { Encoding } from '../data/tokenizer.js';
import { framed, roomBeside } from './framed.js';
import type { WordPieceTokenizer } from './tokenizer.js';

/**
 * Sequences of `maxLength` tokens, special ones included, the last one of each text shorter; those in which there is nothing that the vocabulary
 * knows are left out.
 * @throws OptionError
 */
export function encodeDocuments(
  tokenizer: WordPieceTokenizer,
  texts: Iterable<string>,
  { maxLength }: { readonly maxLength: number },
): Encoding[] {
  const room = roomBeside(2, maxLength);
  const sequences: Encoding[] = [];
  for (const text of texts) {
    const tokens: number[] = [];
    for (const line of text.split('\n')) for (const token of tokenizer.pieces(line)) tokens.push(token);
    for (let start = 0; start < tokens.length; start += room) {
      const part = Int32Array.from(tokens.slice(start, start + room));
      const isKnown = part.some((token) => !tokenizer.isSpecial(token));
      if (isKnown) sequences.push(framed(tokenizer.special, part, undefined));
    }
  }
  return sequences;
}
