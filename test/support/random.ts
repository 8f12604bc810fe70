/** Seeded random numbers for tests: the same in every run, no two titles alike. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** A float32 in [−2, 2), never 0 for long. */
  value(): number;
  /** An integer of low … high, both included. */
  integer(low: number, high: number): number;
}

function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return hash;
}

/** Mulberry32 (Tommy Ettinger, public domain). */
export function randomFrom(seed: string): Random {
  let state = seedOf(seed);
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    value: () => Math.fround(4 * uniform() - 2),
    integer: (low, high) => low + Math.floor(uniform() * (high - low + 1)),
  };
}
