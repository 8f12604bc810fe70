/** Texts whose masks are filled in. */
import { DataError } from '../data/errors.js';
import type { Tokenizer } from '../data/tokenizer.js';
import type { Filling } from '../models/bert-masked-lm.js';
import { CONTINUATION } from '../text/word-piece.js';
import type { Prediction } from './tasks/task.js';

/** A text with a piece for each mask. Pieces that go on are joined to what is before them. */
function filledIn(text: string, mask: string, pieces: readonly string[]): string {
  const [first = '', ...rest] = text.split(mask);
  return rest.reduce((before, after, index) => {
    const piece = pieces[index] as string;
    const goesOn = piece.startsWith(CONTINUATION);
    return goesOn ? before.trimEnd() + piece.slice(CONTINUATION.length) + after : before + piece + after;
  }, first);
}

/**
 * The text with the likeliest tokens, and the candidates for each mask.
 * @throws DataError where masks lie beyond what the model reads
 */
export function filledPrediction(text: string, fillings: readonly Filling[], tokenizer: Tokenizer): Prediction {
  const mask = tokenizer.token(tokenizer.special.mask);
  const count = text.split(mask).length - 1;
  if (fillings.length < count)
    throw new DataError(
      `Expected each ${mask} to lie within what the model reads (max_position_embeddings) but received ${JSON.stringify(`${text.slice(0, 60)}…`)}, ` +
        `in which ${count - fillings.length} of ${count} ${count - fillings.length === 1 ? 'lies' : 'lie'} beyond`,
    );
  const masks = fillings.map(({ candidates }) =>
    candidates.map(({ token, probability }) => ({ token: tokenizer.token(token), probability })),
  );
  const best = masks.map((candidates) => candidates[0]?.token as string);
  const filled = filledIn(text, mask, best);
  const lines = masks.map((candidates) =>
    candidates.map(({ token, probability }) => `${token} ${(100 * probability).toFixed(1)} %`).join(', '),
  );
  return { json: { text, filled, masks }, text: [filled, ...lines.map((line) => `  ${line}`)].join('\n') };
}
