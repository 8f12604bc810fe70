import { type Case, caseOf } from '../support/case.js';
import { conforms } from '../support/conform.js';
import {
  gateValue,
  isBehindTheEnd,
  lengthsFor,
  resets,
  tanhValue,
  undefinedBehindTheEnd,
  weight,
} from '../support/recurrence.js';

const { NaN: nan } = Number;
const inspected = ['dCellTotal', 'dGateValues'] as const;

/** T, B, H and P: both around vectors of 16, P below and above H. */
const sizes: readonly (readonly [T: number, B: number, H: number, P: number])[] = [
  [3, 2, 1, 1],
  [1, 1, 17, 3],
  [3, 2, 16, 16],
  [3, 2, 33, 15],
  [4, 3, 31, 17],
  [3, 5, 20, 65],
  [3, 7, 130, 33],
  [2, 33, 16, 7],
  [20, 3, 12, 5],
  [0, 3, 5, 2],
  [3, 0, 5, 2],
  [3, 2, 0, 3],
  [3, 2, 5, 0],
];

const forward = (T: number, B: number, H: number, P: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, P, reverse };
    const fillings = { weightHh: weight, weightHr: weight, lengths: lengthsFor(T), resets };
    const isUndefined = undefinedBehindTheEnd(T, B, { gates: 4 * H, tanhCell: H });
    return [
      caseOf('projectedLstmForward', dims, { absent: ['h0', 'c0', 'lengths', 'resets'], fillings }),
      caseOf('projectedLstmForward', dims, { absent: ['c0', 'lengths', 'resets'], fillings }),
      caseOf('projectedLstmForward', dims, { absent: ['h0', 'resets'], fillings, isUndefined }),
      caseOf('projectedLstmForward', dims, { absent: ['lengths'], fillings }),
      caseOf('projectedLstmForward', dims, { fillings, isUndefined }),
    ];
  });

conforms('projectedLstmForward', [
  ...sizes.flatMap((size) => forward(...size)),
  caseOf(
    'projectedLstmForward',
    { T: 3, B: 5, H: 17, P: 4, reverse: 0 },
    {
      fillings: { weightHh: weight, weightHr: weight, h0: (random, i) => (i === 2 * 4 + 3 ? nan : random.value()) },
      absent: ['lengths', 'resets'],
      note: 'h0 of one example has NaN',
    },
  ),
  caseOf(
    'projectedLstmForward',
    { T: 3, B: 5, H: 17, P: 4, reverse: 0 },
    {
      fillings: { weightHh: weight, weightHr: weight, h0: [nan], c0: [nan], resets: [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] },
      absent: ['lengths'],
      note: 'NaN does not pass a reset',
    },
  ),
]);

const saved = { weightHh: weight, weightHr: weight, gates: gateValue, tanhCell: tanhValue };

const backward = (T: number, B: number, H: number, P: number): Case[] =>
  [0, 1].flatMap((reverse) => {
    const dims = { T, B, H, P, reverse };
    const fillings = { ...saved, lengths: lengthsFor(T), resets };
    return [
      caseOf('projectedLstmBackward', dims, { absent: ['lengths', 'resets', ...inspected], fillings }),
      caseOf('projectedLstmBackward', dims, { absent: ['lengths', 'resets', 'dHLast', 'dCLast'], fillings }),
      caseOf('projectedLstmBackward', dims, { absent: ['resets', 'dHidden', 'dGateValues'], fillings }),
      caseOf('projectedLstmBackward', dims, { absent: ['lengths', 'dCellTotal'], fillings }),
      caseOf('projectedLstmBackward', dims, { fillings }),
    ];
  });

const ends = [3, 1, 2];
const nanBehind =
  (width: number) =>
  (random: { uniform(): number }, index: number): number =>
    isBehindTheEnd(ends, 3, width, index) ? nan : random.uniform();

conforms('projectedLstmBackward', [
  ...sizes.flatMap((size) => backward(...size)),
  caseOf(
    'projectedLstmBackward',
    { T: 3, B: 3, H: 17, P: 5, reverse: 0 },
    {
      fillings: {
        ...saved,
        lengths: ends,
        gates: nanBehind(4 * 17),
        tanhCell: nanBehind(17),
        dHidden: nanBehind(5),
      },
      absent: ['resets'],
      note: 'NaN behind the end is not read',
    },
  ),
]);
