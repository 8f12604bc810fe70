/** Puts blocks with lifetimes into one arena so that no two that live at the same time overlap. */
import { aligned } from '../program/variable.js';

export interface Block {
  readonly elements: number;
  /** First and last position at which the block is in use, both inclusive. */
  readonly first: number;
  readonly last: number;
}

export interface Placement<B extends Block> {
  readonly offsets: ReadonlyMap<B, number>;
  readonly elements: number;
}

/**
 * Largest blocks first, each at the lowest offset where it fits between the blocks that are alive with it (greedy by size:
 * Pisarchyk & Lee 2020, "Efficient memory management for deep neural net inference", section 5.2).
 */
export function place<B extends Block>(blocks: Iterable<B>): Placement<B> {
  const offsets = new Map<B, number>();
  const placed: B[] = []; // by offset
  let total = 0;
  for (const block of [...blocks].sort((a, b) => b.elements - a.elements || a.first - b.first)) {
    const size = aligned(block.elements);
    let offset = 0;
    for (const other of placed) {
      if (other.last < block.first || block.last < other.first) continue;
      const start = offsets.get(other) as number;
      if (offset + size <= start) break;
      offset = Math.max(offset, start + aligned(other.elements));
    }
    offsets.set(block, offset);
    const after = placed.findIndex((other) => (offsets.get(other) as number) > offset);
    placed.splice(after < 0 ? placed.length : after, 0, block);
    total = Math.max(total, offset + size);
  }
  return { offsets, elements: total };
}
