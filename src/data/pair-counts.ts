/** Pairs of neighbouring tokens in a corpus of pieces, and the joining of the most frequent one: what byte-pair encoding learns by. */
import { Heap } from './heap.js';

export type Pair = readonly [left: number, right: number];

/** A piece of text as tokens, and how often it comes. */
export interface CountedPiece {
  readonly tokens: readonly number[];
  readonly count: number;
}

/** Tokens of a vocabulary at most. */
export const MAX_TOKENS = 2 ** 20;

/** Both tokens of a pair in one number; the order of these numbers is that of the pairs. */
export const keyOf = (left: number, right: number): number => left * MAX_TOKENS + right;

/** Tokens with every occurrence of a pair joined, from left to right. */
export function joinPair(tokens: readonly number[], [left, right]: Pair, joined: number): number[] {
  const result: number[] = [];
  for (let index = 0; index < tokens.length; index++) {
    const isPair = tokens[index] === left && tokens[index + 1] === right;
    result.push(isPair ? joined : (tokens[index] as number));
    if (isPair) index++;
  }
  return result;
}

/** How often each pair of neighbours comes, and where. */
export class PairCounts {
  readonly #pieces: CountedPiece[];
  readonly #counts = new Map<number, number>();
  readonly #where = new Map<number, Set<number>>();
  /** The most frequent pair first, of equals the one of smaller tokens. Entries whose count has changed since are stale. */
  readonly #ranked = new Heap<{ readonly key: number; readonly count: number }>(
    (a, b) => a.count > b.count || (a.count === b.count && a.key < b.key),
  );

  constructor(pieces: Iterable<CountedPiece>) {
    this.#pieces = [...pieces];
    const changed = new Set<number>();
    for (const index of this.#pieces.keys()) this.#add(index, 1, changed);
    this.#rank(changed);
  }

  /** The most frequent pair, if any comes `least` times. */
  best(least = 2): Pair | undefined {
    for (let top = this.#ranked.pop(); top !== undefined; top = this.#ranked.pop()) {
      if (this.#counts.get(top.key) !== top.count) continue;
      return top.count < least ? undefined : [Math.floor(top.key / MAX_TOKENS), top.key % MAX_TOKENS];
    }
    return undefined;
  }

  join(pair: Pair, joined: number): void {
    const changed = new Set<number>();
    for (const index of [...(this.#where.get(keyOf(...pair)) ?? [])]) {
      this.#add(index, -1, changed);
      const { tokens, count } = this.#pieces[index] as CountedPiece;
      this.#pieces[index] = { tokens: joinPair(tokens, pair, joined), count };
      this.#add(index, 1, changed);
    }
    this.#rank(changed);
  }

  /** Counts the pairs of a piece in (sign 1) or out (−1). */
  #add(index: number, sign: 1 | -1, changed: Set<number>): void {
    const { tokens, count } = this.#pieces[index] as CountedPiece;
    for (let at = 0; at + 1 < tokens.length; at++) {
      const key = keyOf(tokens[at] as number, tokens[at + 1] as number);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + sign * count);
      changed.add(key);
      const where = this.#where.get(key) ?? new Set();
      this.#where.set(key, where);
      if (sign === 1) where.add(index);
      else where.delete(index);
    }
  }

  #rank(changed: ReadonlySet<number>): void {
    for (const key of changed) {
      const count = this.#counts.get(key) as number;
      if (count > 0) this.#ranked.push({ key, count });
      else {
        this.#counts.delete(key);
        this.#where.delete(key);
      }
    }
  }
}
