/**
 * What a masked language model has to guess (Devlin et al. 2019, "BERT", section 3.1): some of the tokens, most of them hidden behind the mask,
 * some behind another token, the rest as they are.
 */

import { rung } from '../data/batching.js';
import { encoderBatch, type MaskedBatch } from '../data/encoder-batch.js';
import { IGNORED } from '../data/ignored.js';
import { randomNumbers, shuffled } from '../data/shuffle.js';
import type { Encoding } from '../data/tokenizer.js';
import { checkOptions, type Rule, yesOrNo } from '../program/options.js';
import type { WordPieceTokenizer } from './tokenizer.js';

export interface MaskingOptions {
  /** Share of the tokens to be guessed, special ones aside; at least one of each sequence. Default 0.15. */
  readonly maskRate?: number | undefined;
  /** Whether all pieces of a word are to be guessed together. Default false. */
  readonly wholeWords?: boolean | undefined;
}

const share: Rule = {
  expected: 'a number above 0 and below 1',
  accepts: (value) => typeof value === 'number' && value > 0 && value < 1,
};

export const maskingRules = { maskRate: share, wholeWords: yesOrNo };

/** A sequence and its number among all, by which it is masked. */
export interface NumberedSequence extends Encoding {
  readonly item: number;
}

export interface MaskedSequence {
  /** What the model sees. */
  readonly tokens: Int32Array;
  /** Of the tokens to be guessed, ascending. */
  readonly positions: Int32Array;
  /** The tokens that were there. */
  readonly labels: Int32Array;
}

/** Of the tokens to be guessed. */
const HIDDEN = 0.8;
const REPLACED = 0.1;

/** Special tokens of a sequence at least. */
const SPECIAL = 2;

/** Positions that are masked together: words, or single tokens. Special tokens are none. */
function unitsOf(tokens: Int32Array, tokenizer: WordPieceTokenizer, wholeWords: boolean): number[][] {
  const units: number[][] = [];
  let isWithin = false;
  for (const [position, token] of tokens.entries()) {
    const isText = !tokenizer.isSpecial(token);
    if (isText && isWithin && wholeWords && tokenizer.goesOn(token)) units.at(-1)?.push(position);
    else if (isText) units.push([position]);
    isWithin = isText;
  }
  return units;
}

export class Masking {
  readonly #tokenizer: WordPieceTokenizer;
  readonly #rate: number;
  readonly #wholeWords: boolean;
  /** What a token may be replaced by. */
  readonly #ordinary: readonly number[];

  /** @throws OptionError */
  constructor(tokenizer: WordPieceTokenizer, options: MaskingOptions = {}) {
    checkOptions('Masking', options, maskingRules);
    const { maskRate = 0.15, wholeWords = false } = options;
    this.#tokenizer = tokenizer;
    this.#rate = maskRate;
    this.#wholeWords = wholeWords;
    this.#ordinary = [...Array(tokenizer.size).keys()].filter((token) => !tokenizer.isSpecial(token));
  }

  /** Masks a sequence; seed, turn (the pass over all sequences) and item (its number) decide how. */
  apply(tokens: Int32Array, { seed, turn, item }: { seed: number; turn: number; item: number }): MaskedSequence {
    const random = randomNumbers(seed, turn, { purpose: 'masking', item });
    const positions = Int32Array.from(this.#choose(tokens, random)).sort();
    const seen = tokens.slice();
    for (const position of positions) seen[position] = this.#shown(tokens[position] as number, random);
    return { tokens: seen, positions, labels: positions.map((position) => tokens[position] as number) };
  }

  /**
   * A batch of masked sequences. As many labels as rows of its length can have are in it, so that batches of one shape share programs.
   * @param longest what T is at most
   */
  batch(
    sequences: readonly NumberedSequence[],
    { rows, longest, seed, turn }: { rows: number; longest: number; seed: number; turn: number },
  ): MaskedBatch {
    const masked = sequences.map(({ tokens, item }) => this.apply(tokens, { seed, turn, item }));
    const seen = sequences.map(({ types }, row) => ({ tokens: (masked[row] as MaskedSequence).tokens, types }));
    const batch = encoderBatch(seen, { rows, pad: this.#tokenizer.special.pad, longest });
    const count = masked.reduce((sum, { labels }) => sum + labels.length, 0);
    const size = Math.max(count, rows * this.#wanted(batch.time - SPECIAL));
    const positions = new Int32Array(size);
    const labels = new Int32Array(size).fill(IGNORED);
    let at = 0;
    for (const [row, its] of masked.entries()) {
      positions.set(
        its.positions.map((position) => row * batch.time + position),
        at,
      );
      labels.set(its.labels, at);
      at += its.labels.length;
    }
    return { ...batch, positions, labels };
  }

  /** The shape of the largest batch of some sequences. */
  largest(
    sequences: readonly Encoding[],
    { rows, longest }: { rows: number; longest: number },
  ): { time: number; positions: number } {
    const most = sequences.reduce((length, { tokens }) => Math.max(length, tokens.length), 1);
    const time = Math.max(most, Math.min(rung(most), longest));
    return { time, positions: rows * this.#wanted(time - SPECIAL) };
  }

  /** Tokens to be guessed of so many. */
  #wanted(count: number): number {
    return Math.max(1, Math.round(count * this.#rate));
  }

  /** Units in random order as long as they fit into the share. */
  #choose(tokens: Int32Array, random: () => number): number[] {
    const units = unitsOf(tokens, this.#tokenizer, this.#wholeWords);
    const count = units.reduce((sum, { length }) => sum + length, 0);
    const wanted = this.#wanted(count);
    const chosen: number[] = [];
    for (const unit of shuffled(units, random)) {
      if (chosen.length > 0 && chosen.length + unit.length > wanted) continue;
      chosen.push(...unit);
      if (chosen.length >= wanted) break;
    }
    return chosen;
  }

  #shown(token: number, random: () => number): number {
    const choice = random();
    if (choice < HIDDEN) return this.#tokenizer.special.mask;
    if (choice >= HIDDEN + REPLACED) return token;
    return this.#ordinary[Math.floor(random() * this.#ordinary.length)] as number;
  }
}
