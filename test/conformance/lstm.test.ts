import { type Case, caseOf, type Filling } from '../support/case.js';
import { conforms } from '../support/conform.js';
import type { Random } from '../support/random.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** H around vectors of 16 and tiles of gates; T and B from one step of one example on. */
const sizes: readonly (readonly [T: number, B: number, H: number])[] = [
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
const lengthsFor = (T: number): readonly number[] => [1, 0, T, T + 3, -2, 2 ** 31 - 1, -(2 ** 31), 2];
const weight: Filling = (random) => random.value() / 4;

const clamped = (lengths: readonly number[], T: number, b: number): number =>
  Math.min(Math.max(lengths[b % lengths.length] as number, 0), T);

/** Gates and tanhCell of a step behind the end are left undefined. */
const behindTheEnd =
  (T: number, B: number, H: number) =>
  (operand: string, index: number): boolean => {
    if (operand !== 'gates' && operand !== 'tanhCell') return false;
    const width = operand === 'gates' ? 4 * H : H;
    const [t, b] = [Math.floor(index / (B * width)), Math.floor(index / width) % B];
    return t >= clamped(lengthsFor(T), T, b);
  };

const forward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, reverse };
    const ended = { fillings: { weightHh: weight, lengths: lengthsFor(T) }, isUndefined: behindTheEnd(T, B, H) };
    const fillings = { weightHh: weight };
    return [
      caseOf('lstmForward', dims, { absent: ['h0', 'c0', 'lengths'], fillings }),
      caseOf('lstmForward', dims, { absent: ['lengths'], fillings }),
      caseOf('lstmForward', dims, { absent: ['c0'], ...ended }),
      caseOf('lstmForward', dims, { absent: ['h0'], ...ended }),
      caseOf('lstmForward', dims, ended),
    ];
  });

/** Saturated gates, and one example whose input is not finite: the others must not show it. */
const forwardEdges: Case[] = [
  caseOf(
    'lstmForward',
    { T: 3, B: 2, H: 17, reverse: 0 },
    {
      fillings: { xGates: [inf, -inf, 1e30, -1e30, 90, -90, 0], weightHh: weight },
      absent: ['lengths'],
      note: 'saturated gates',
    },
  ),
  ...[nan, inf].map((value) =>
    caseOf(
      'lstmForward',
      { T: 3, B: 5, H: 17, reverse: 0 },
      {
        fillings: { weightHh: weight, h0: (random, index) => (index === 2 * 17 + 3 ? value : random.value()) },
        absent: ['lengths'],
        note: `h0 of one example has ${value}`,
      },
    ),
  ),
];

conforms('lstmForward', [...sizes.flatMap((size) => forward(...size)), ...forwardEdges]);

const gate = (random: Random): number => random.uniform();
const saved = { weightHh: weight, gates: gate, tanhCell: (random: Random) => 2 * random.uniform() - 1 };
const gradients = ['dHidden', 'dHLast', 'dCLast'] as const;
const inspected = ['dHiddenTotal', 'dCellTotal', 'dGateValues'] as const;

const backward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, reverse };
    const ended = { ...saved, lengths: lengthsFor(T) };
    return [
      caseOf('lstmBackward', dims, { absent: ['lengths', ...inspected], fillings: saved }),
      caseOf('lstmBackward', dims, { absent: ['lengths', 'dHLast', 'dCLast'], fillings: saved }),
      caseOf('lstmBackward', dims, { fillings: ended }),
      caseOf('lstmBackward', dims, { absent: ['dHidden', 'dGateValues'], fillings: ended }),
      caseOf('lstmBackward', dims, { absent: ['dHiddenTotal', 'dCellTotal'], fillings: ended }),
    ];
  });

const backwardEdges: Case[] = [
  caseOf(
    'lstmBackward',
    { T: 2, B: 2, H: 5, reverse: 0 },
    { absent: [...gradients, 'lengths'], fillings: saved, note: 'no gradient' },
  ),
  caseOf(
    'lstmBackward',
    { T: 3, B: 3, H: 17, reverse: 0 },
    {
      fillings: {
        ...saved,
        lengths: [3, 1, 2],
        gates: (random, index) => (isBehindTheEnd(index, 4) ? nan : random.uniform()),
        tanhCell: (random, index) => (isBehindTheEnd(index, 1) ? nan : random.value() / 2),
        dHidden: (random, index) => (isBehindTheEnd(index, 1) ? nan : random.value()),
      },
      note: 'NaN behind the end is not read',
    },
  ),
  caseOf(
    'lstmBackward',
    { T: 3, B: 5, H: 17, reverse: 0 },
    {
      fillings: { ...saved, dHLast: (random, index) => (index === 2 * 17 + 3 ? nan : random.value()) },
      absent: ['lengths'],
      note: 'dHLast of one example has NaN',
    },
  ),
];

/** Of T=3, B=3, H=17 and lengths 3, 1, 2. */
function isBehindTheEnd(index: number, rows: number): boolean {
  const width = rows * 17;
  return Math.floor(index / (3 * width)) >= ([3, 1, 2][Math.floor(index / width) % 3] as number);
}

conforms('lstmBackward', [...sizes.flatMap((size) => backward(...size)), ...backwardEdges]);
