import { scalarSlots } from '../../src/program/scalars.js';
import { type Case, caseOf, type Fillings } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { tameSpecials } from '../support/sizes.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

const squares = [0, 1e-30, 0.25, 1, 4, 1e10, 3e38, inf, nan];
const limits = [0, 1e-3, 1, 5, inf];

conforms(
  'clipByNorm',
  squares.flatMap((square) =>
    limits.map((limit) =>
      caseOf(
        'clipByNorm',
        {},
        { fillings: { squaredNorm: [square], maxNorm: [limit] }, note: `of ${square}, at most ${limit}` },
      ),
    ),
  ),
);

const step: Record<(typeof scalarSlots)[number], number> = {
  ...{ learningRate: 0.01, beta1: 0.9, beta2: 0.999, oneMinusBeta1: 0.1, oneMinusBeta2: 0.001, epsilon: 1e-8 },
  ...{
    correction1: 1 / (1 - 0.9 ** 3),
    correction2: 1 / (1 - 0.999 ** 3),
    momentum: 0.9,
    maxNorm: 1,
    lossDenominator: 8,
  },
};
const scalars = scalarSlots.map((slot) => step[slot]);

/** Rows of offset, length, group, frozen. */
type Row = readonly [offset: number, length: number, group: number, frozen: number];

interface Arena {
  readonly note: string;
  readonly P: number;
  readonly rows: readonly Row[];
}

const arenas: readonly Arena[] = [
  ...[1, 3, 15, 16, 17, 33, 67, 40_003].map((P) => ({ note: 'one segment', P, rows: [[0, P, 0, 0]] as Row[] })),
  {
    note: 'segments of all alignments',
    P: 250,
    rows: [
      [0, 17, 0, 0],
      [17, 1, 1, 0],
      [18, 33, 2, 0],
      [51, 16, 0, 0],
      [67, 100, 1, 0],
    ],
  },
  {
    note: 'a frozen one between',
    P: 90,
    rows: [
      [0, 30, 0, 0],
      [30, 30, 1, 1],
      [60, 30, 2, 0],
    ],
  },
  {
    note: 'gaps and an empty one',
    P: 90,
    rows: [
      [5, 20, 0, 0],
      [40, 0, 1, 0],
      [61, 20, 2, 0],
      [90, 0, 0, 0],
    ],
  },
  {
    note: 'rows outside the arena or the groups',
    P: 60,
    rows: [
      ...([
        [-1, 5, 0, 0],
        [50, 11, 0, 0],
        [61, 0, 0, 0],
        [3, -1, 0, 0],
        [0, 10, 3, 0],
        [10, 10, -1, 0],
        [INT_MAX, 1, 0, 0],
      ] as const),
      ...([
        [1, INT_MAX, 0, 0],
        [INT_MIN, INT_MIN, 0, 0],
        [INT_MAX, INT_MAX, 0, 0],
        [0, 9, INT_MAX, 0],
        [0, 9, INT_MIN, 0],
      ] as const),
      [20, 10, 1, 0],
    ],
  },
  { note: 'no rows', P: 20, rows: [] },
  {
    note: 'no parameters',
    P: 0,
    rows: [
      [0, 0, 0, 0],
      [0, 1, 0, 0],
    ],
  },
];

function cases(instruction: 'sgd' | 'adamw'): Case[] {
  const make = (arena: Arena, note: string, more: Fillings<'sgd' | 'adamw'>): Case =>
    caseOf(
      instruction,
      { P: arena.P, S: arena.rows.length, G: 3 },
      {
        note: `${arena.note}, ${note}`,
        fillings: {
          segments: arena.rows.flat(),
          groups: [1, 0, 0.5, 0.1, 2, 0.01],
          scalars,
          clipFactor: [0.75],
          finite: [1],
          secondMoment: (random) => random.uniform(),
          ...more,
        },
      },
    );
  const first = arenas[6] as Arena;
  return [
    ...arenas.map((arena) => make(arena, 'finite', {})),
    ...arenas
      .slice(5)
      .map((arena) => make(arena, 'not finite', { finite: [0], gradients: [nan, inf], clipFactor: [0] })),
    make(first, 'the first step', { velocity: [0], firstMoment: [0], secondMoment: [0] }),
    make(first, 'no gradient', { gradients: [0], velocity: [0], firstMoment: [0], secondMoment: [0] }),
    make(first, 'special gradients', { gradients: tameSpecials, secondMoment: [1] }),
    make(first, 'clipFactor 0', { clipFactor: [0] }),
    make(first, 'finite is −0', { finite: [-0], gradients: [nan] }),
  ];
}

for (const instruction of ['sgd', 'adamw'] as const) conforms(instruction, cases(instruction));
