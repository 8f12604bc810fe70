import { type Case, caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { isBehindTheEnd, lengthsFor, resets, sizes, tanhValue, weight } from '../support/recurrence.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const inspected = ['dHiddenTotal'] as const;

const forward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) =>
    [0, 1].flatMap((relu) => {
      const dims = { T, B, H, reverse, relu };
      const fillings = { weightHh: weight, lengths: lengthsFor(T), resets };
      return [
        caseOf('rnnForward', dims, { absent: ['h0', 'lengths', 'resets'], fillings }),
        caseOf('rnnForward', dims, { absent: ['lengths', 'resets'], fillings }),
        caseOf('rnnForward', dims, { absent: ['resets'], fillings }),
        caseOf('rnnForward', dims, { fillings }),
      ];
    }),
  );

const forwardEdges: Case[] = [0, 1].flatMap((relu) => [
  caseOf(
    'rnnForward',
    { T: 3, B: 2, H: 17, reverse: 0, relu },
    {
      fillings: { xGates: [inf, -inf, 1e30, -1e30, 90, -90, 0], weightHh: () => 0 },
      absent: ['lengths', 'resets'],
      note: 'saturated, no weights',
    },
  ),
  caseOf(
    'rnnForward',
    { T: 3, B: 5, H: 17, reverse: 0, relu },
    {
      fillings: { weightHh: weight, h0: (random, index) => (index === 2 * 17 + 3 ? nan : random.value()) },
      absent: ['lengths', 'resets'],
      note: 'h0 of one example has NaN',
    },
  ),
  caseOf(
    'rnnForward',
    { T: 3, B: 5, H: 17, reverse: 0, relu },
    {
      fillings: { weightHh: weight, h0: [nan], resets: [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] },
      absent: ['lengths'],
      note: 'NaN does not pass a reset',
    },
  ),
]);

conforms('rnnForward', [...sizes.flatMap((size) => forward(...size)), ...forwardEdges]);

const backward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) =>
    [0, 1].flatMap((relu) => {
      const dims = { T, B, H, reverse, relu };
      const fillings = { weightHh: weight, hidden: tanhValue, lengths: lengthsFor(T), resets };
      return [
        caseOf('rnnBackward', dims, { absent: ['lengths', 'resets', ...inspected], fillings }),
        caseOf('rnnBackward', dims, { absent: ['lengths', 'resets', 'dHLast'], fillings }),
        caseOf('rnnBackward', dims, { absent: ['resets', 'dHidden'], fillings }),
        caseOf('rnnBackward', dims, { absent: ['lengths'], fillings }),
        caseOf('rnnBackward', dims, { fillings }),
      ];
    }),
  );

const backwardEdges: Case[] = [
  caseOf(
    'rnnBackward',
    { T: 3, B: 3, H: 17, reverse: 0, relu: 0 },
    {
      fillings: {
        weightHh: weight,
        hidden: tanhValue,
        lengths: [3, 1, 2],
        dHidden: (random, index) => (isBehindTheEnd([3, 1, 2], 3, 17, index) ? nan : random.value()),
      },
      absent: ['resets'],
      note: 'NaN behind the end is not read',
    },
  ),
  caseOf(
    'rnnBackward',
    { T: 3, B: 5, H: 17, reverse: 0, relu: 0 },
    {
      fillings: {
        weightHh: weight,
        hidden: tanhValue,
        dHLast: (random, i) => (i === 2 * 17 + 3 ? nan : random.value()),
      },
      absent: ['lengths', 'resets'],
      note: 'dHLast of one example has NaN',
    },
  ),
];

conforms('rnnBackward', [...sizes.flatMap((size) => backward(...size)), ...backwardEdges]);
