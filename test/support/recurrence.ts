/** What the conformance cases of all recurrences share: sizes, lengths, resets, and what is left undefined. */
import type { Filling } from './case.js';
import type { Random } from './random.js';

/** T, B and H: H around vectors of 16 and tiles of gates; T and B from one step of one example on. */
export const sizes: readonly (readonly [T: number, B: number, H: number])[] = [
  ...([1, 3, 16, 17, 33, 65, 130] as const).map((H) => [3, 2, H] as const),
  ...([1, 3, 16, 17, 33] as const).map((H) => [1, 1, H] as const),
  ...([
    [5, 1, 15],
    [4, 3, 31],
    [3, 4, 64],
    [2, 5, 20],
    [3, 7, 19],
    [4, 16, 8],
    [2, 17, 33],
    [2, 33, 16],
    [0, 3, 5],
  ] as const),
  ...([
    [3, 0, 5],
    [3, 2, 0],
    [40, 3, 12],
  ] as const),
];

/** Within the sequence, none, all, beyond the end, before the start. */
export const lengthsFor = (T: number): readonly number[] => [1, 0, T, T + 3, -2, 2 ** 31 - 1, -(2 ** 31), 2];

/** Rows that start anew, some at the first step, some twice in a row; any number but 0 says so. */
export const resets: readonly number[] = [0, 0, 1, 0, 0, -7, 0, 2 ** 31 - 1, 0, 0, 0, 1, -(2 ** 31)];

export const weight: Filling = (random) => random.value() / 4;
export const gateValue = (random: Random): number => random.uniform();
export const tanhValue = (random: Random): number => 2 * random.uniform() - 1;

/** Whether element `index` of a tensor [T, B, width] lies behind the end of its row. */
export function isBehindTheEnd(lengths: readonly number[], B: number, width: number, index: number): boolean {
  const [t, b] = [Math.floor(index / (B * width)), Math.floor(index / width) % B];
  return t >= (lengths[b % lengths.length] as number);
}

/** What is left undefined at steps behind the end, for the operands named, each with its width. */
export const undefinedBehindTheEnd =
  (T: number, B: number, widths: Readonly<Record<string, number>>) =>
  (operand: string, index: number): boolean => {
    const width = widths[operand];
    return width !== undefined && isBehindTheEnd(lengthsFor(T), B, width, index);
  };
