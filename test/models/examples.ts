/** Small things to learn, the same in every run. */
import type { LabelledSequence } from '../../src/data/labelled-sequences.js';
import type { LabelledText } from '../../src/data/labelled-texts.js';
import type { Series } from '../../src/data/series.js';
import { randomFrom } from '../support/random.js';

/** Words of 1 … 9 letters; the class is their first letter, which a forward reader must remember to the end. */
export function texts(count: number, seed = 'texts'): LabelledText[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => {
    const label = ['a', 'b', 'c'][random.integer(0, 2)] as string;
    const rest = Array.from({ length: random.integer(0, 8) }, () => 'xyz'[random.integer(0, 2)]).join('');
    return { text: label + rest, label };
  });
}

/** Tokens x and y; the label of each is the token after it, which only a reader from the end can know. */
export function sequences(count: number, seed = 'sequences'): LabelledSequence[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => {
    const tokens = Array.from({ length: random.integer(1, 7) }, () => 'xy'[random.integer(0, 1)] as string);
    return { tokens, labels: tokens.map((_, t) => tokens[t + 1] ?? 'end') };
  });
}

/** A wave with a trend, and a second column that runs ahead of it by three rows. */
export function wave(length: number, { level = 0, trend = 0.02 } = {}): Series {
  const at = (row: number): number => level + trend * row + Math.sin(row / 3);
  const values = Array.from({ length }, (_, row) => [at(row), at(row + 3)]).flat();
  return { columns: ['wave', 'ahead'], values: Float64Array.from(values), length };
}

/** One column of a series. */
export function columnOf({ columns, values, length }: Series, name: string): Series {
  const index = columns.indexOf(name);
  const column = Array.from({ length }, (_, row) => values[row * columns.length + index] as number);
  return { columns: [name], values: Float64Array.from(column), length };
}
