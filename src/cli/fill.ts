/** Texts whose masks are filled in. */
import type { Tokenizer } from '../data/tokenizer.js';
import type { Filling } from '../models/bert-masked-lm.js';
import { CONTINUATION } from '../text/word-piece.js';
import type { Prediction } from './tasks/task.js';

/** A text with a piece for each mask; masks without one, in what was not read, stay. Pieces that go on are joined to what is before them. */
function filledIn(text: string, mask: string, pieces: readonly string[]): string {
  const [first = '', ...rest] = text.split(mask);
  return rest.reduce((before, after, index) => {
    const piece = pieces[index] ?? mask;
    const goesOn = piece.startsWith(CONTINUATION);
    return goesOn ? before.trimEnd() + piece.slice(CONTINUATION.length) + after : before + piece + after;
  }, first);
}

/** The text with the likeliest tokens, and the candidates for each mask. */
export function filledPrediction(text: string, fillings: readonly Filling[], tokenizer: Tokenizer): Prediction {
  const masks = fillings.map(({ candidates }) =>
    candidates.map(({ token, probability }) => ({ token: tokenizer.token(token), probability })),
  );
  const best = masks.map((candidates) => candidates[0]?.token as string);
  const filled = filledIn(text, tokenizer.token(tokenizer.special.mask), best);
  const lines = masks.map((candidates) =>
    candidates.map(({ token, probability }) => `${token} ${(100 * probability).toFixed(1)} %`).join(', '),
  );
  return { json: { text, filled, masks }, text: [filled, ...lines.map((line) => `  ${line}`)].join('\n') };
}
