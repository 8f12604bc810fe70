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
const inspected = ['dHiddenTotal', 'dGateValues'] as const;

const forward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, reverse };
    const fillings = { weightHh: weight, lengths: lengthsFor(T), resets };
    const isUndefined = undefinedBehindTheEnd(T, B, { gates: 3 * H, recurrentN: H });
    return [
      caseOf('gruForward', dims, { absent: ['biasHh', 'h0', 'lengths', 'resets'], fillings }),
      caseOf('gruForward', dims, { absent: ['lengths', 'resets'], fillings }),
      caseOf('gruForward', dims, { absent: ['biasHh', 'lengths'], fillings }),
      caseOf('gruForward', dims, { absent: ['resets'], fillings, isUndefined }),
      caseOf('gruForward', dims, { fillings, isUndefined }),
    ];
  });

const forwardEdges: Case[] = [
  caseOf(
    'gruForward',
    { T: 3, B: 2, H: 17, reverse: 0 },
    {
      fillings: { xGates: [inf, -inf, 1e30, -1e30, 90, -90, 0], weightHh: weight },
      absent: ['lengths', 'resets'],
      note: 'saturated gates',
    },
  ),
  caseOf(
    'gruForward',
    { T: 3, B: 5, H: 17, reverse: 0 },
    {
      fillings: { weightHh: weight, h0: (random, index) => (index === 2 * 17 + 3 ? nan : random.value()) },
      absent: ['lengths', 'resets'],
      note: 'h0 of one example has NaN',
    },
  ),
  caseOf(
    'gruForward',
    { T: 3, B: 5, H: 17, reverse: 0 },
    {
      fillings: { weightHh: weight, h0: [nan], resets: [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] },
      absent: ['lengths'],
      note: 'NaN does not pass a reset',
    },
  ),
];

conforms('gruForward', [...sizes.flatMap((size) => forward(...size)), ...forwardEdges]);

const saved = { weightHh: weight, gates: gateValue, recurrentN: tanhValue, hidden: tanhValue };

const backward = (T: number, B: number, H: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, reverse };
    const fillings = { ...saved, lengths: lengthsFor(T), resets };
    return [
      caseOf('gruBackward', dims, { absent: ['lengths', 'resets', ...inspected], fillings }),
      caseOf('gruBackward', dims, { absent: ['lengths', 'resets', 'dHLast'], fillings }),
      caseOf('gruBackward', dims, { absent: ['resets', 'dHidden', 'dGateValues'], fillings }),
      caseOf('gruBackward', dims, { absent: ['lengths', 'dHiddenTotal'], fillings }),
      caseOf('gruBackward', dims, { fillings }),
    ];
  });

const ends = [3, 1, 2];
const nanBehind =
  (width: number, value: (random: { uniform(): number }) => number) =>
  (random: { uniform(): number }, index: number): number =>
    isBehindTheEnd(ends, 3, width, index) ? nan : value(random);

const backwardEdges: Case[] = [
  caseOf(
    'gruBackward',
    { T: 2, B: 2, H: 5, reverse: 0 },
    { absent: ['dHidden', 'dHLast', 'lengths', 'resets'], fillings: saved, note: 'no gradient' },
  ),
  caseOf(
    'gruBackward',
    { T: 3, B: 3, H: 17, reverse: 0 },
    {
      fillings: {
        ...saved,
        lengths: ends,
        gates: nanBehind(3 * 17, (random) => random.uniform()),
        recurrentN: nanBehind(17, (random) => random.uniform()),
        dHidden: nanBehind(17, (random) => random.uniform()),
      },
      absent: ['resets'],
      note: 'NaN behind the end is not read',
    },
  ),
  caseOf(
    'gruBackward',
    { T: 3, B: 5, H: 17, reverse: 0 },
    {
      fillings: { ...saved, dHLast: (random, index) => (index === 2 * 17 + 3 ? nan : random.value()) },
      absent: ['lengths', 'resets'],
      note: 'dHLast of one example has NaN',
    },
  ),
];

conforms('gruBackward', [...sizes.flatMap((size) => backward(...size)), ...backwardEdges]);
