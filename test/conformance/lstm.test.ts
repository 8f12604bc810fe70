import { type Case, caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import {
  gateValue,
  isBehindTheEnd,
  lengthsFor,
  resets,
  sizes,
  tanhValue,
  undefinedBehindTheEnd,
  weight,
} from '../support/recurrence.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

const forward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, reverse };
    const fillings = { weightHh: weight, lengths: lengthsFor(T), resets };
    const ended = { fillings, isUndefined: undefinedBehindTheEnd(T, B, { gates: 4 * H, tanhCell: H }) };
    return [
      caseOf('lstmForward', dims, { absent: ['h0', 'c0', 'lengths', 'resets'], fillings }),
      caseOf('lstmForward', dims, { absent: ['lengths', 'resets'], fillings }),
      caseOf('lstmForward', dims, { absent: ['c0', 'resets'], ...ended }),
      caseOf('lstmForward', dims, { absent: ['h0', 'resets'], ...ended }),
      caseOf('lstmForward', dims, { absent: ['lengths'], fillings }),
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
      absent: ['lengths', 'resets'],
      note: 'saturated gates',
    },
  ),
  ...[nan, inf].map((value) =>
    caseOf(
      'lstmForward',
      { T: 3, B: 5, H: 17, reverse: 0 },
      {
        fillings: { weightHh: weight, h0: (random, index) => (index === 2 * 17 + 3 ? value : random.value()) },
        absent: ['lengths', 'resets'],
        note: `h0 of one example has ${value}`,
      },
    ),
  ),
  caseOf(
    'lstmForward',
    { T: 3, B: 5, H: 17, reverse: 0 },
    {
      fillings: { weightHh: weight, h0: [nan], c0: [nan], resets: [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] },
      absent: ['lengths'],
      note: 'NaN does not pass a reset',
    },
  ),
];

conforms('lstmForward', [...sizes.flatMap((size) => forward(...size)), ...forwardEdges]);

const saved = { weightHh: weight, gates: gateValue, tanhCell: tanhValue };
const gradients = ['dHidden', 'dHLast', 'dCLast'] as const;
const inspected = ['dHiddenTotal', 'dCellTotal', 'dGateValues'] as const;

const backward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, reverse };
    const fillings = { ...saved, lengths: lengthsFor(T), resets };
    return [
      caseOf('lstmBackward', dims, { absent: ['lengths', 'resets', ...inspected], fillings }),
      caseOf('lstmBackward', dims, { absent: ['lengths', 'resets', 'dHLast', 'dCLast'], fillings }),
      caseOf('lstmBackward', dims, { absent: ['resets'], fillings }),
      caseOf('lstmBackward', dims, { absent: ['resets', 'dHidden', 'dGateValues'], fillings }),
      caseOf('lstmBackward', dims, { absent: ['lengths', 'dHiddenTotal', 'dCellTotal'], fillings }),
      caseOf('lstmBackward', dims, { fillings }),
    ];
  });

const ends = [3, 1, 2];

const backwardEdges: Case[] = [
  caseOf(
    'lstmBackward',
    { T: 2, B: 2, H: 5, reverse: 0 },
    { absent: [...gradients, 'lengths', 'resets'], fillings: saved, note: 'no gradient' },
  ),
  caseOf(
    'lstmBackward',
    { T: 3, B: 3, H: 17, reverse: 0 },
    {
      fillings: {
        ...saved,
        lengths: ends,
        gates: (random, index) => (isBehindTheEnd(ends, 3, 4 * 17, index) ? nan : random.uniform()),
        tanhCell: (random, index) => (isBehindTheEnd(ends, 3, 17, index) ? nan : random.value() / 2),
        dHidden: (random, index) => (isBehindTheEnd(ends, 3, 17, index) ? nan : random.value()),
      },
      absent: ['resets'],
      note: 'NaN behind the end is not read',
    },
  ),
  caseOf(
    'lstmBackward',
    { T: 3, B: 5, H: 17, reverse: 0 },
    {
      fillings: { ...saved, dHLast: (random, index) => (index === 2 * 17 + 3 ? nan : random.value()) },
      absent: ['lengths', 'resets'],
      note: 'dHLast of one example has NaN',
    },
  ),
];

conforms('lstmBackward', [...sizes.flatMap((size) => backward(...size)), ...backwardEdges]);
