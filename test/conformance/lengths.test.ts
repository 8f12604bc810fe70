/** Rows of any lengths, in any order, with NaN behind their ends: each recurrence as the reference has it. */
import { evaluate } from '../../src/program/expression.js';
import { type InstructionName, type OperandSpec, specOf } from '../../src/program/instructions.js';
import { type Case, caseOf, type Filling } from '../support/case.js';
import { conforms } from '../support/conform.js';
import { type Random, randomFrom } from '../support/random.js';
import { gateValue, isBehindTheEnd, resets, tanhValue, weight } from '../support/recurrence.js';

/** A length for each of B rows of T steps. */
const lengthsOf: Readonly<Record<string, (T: number, B: number, random: Random) => number[]>> = {
  any: (T, B, random) => Array.from({ length: B }, () => random.integer(-1, T + 1)),
  rising: (T, B, random) => Array.from({ length: B }, () => random.integer(0, T)).sort((a, b) => a - b),
  falling: (T, B, random) => Array.from({ length: B }, () => random.integer(0, T)).sort((a, b) => b - a),
  'one whole': (T, B, random) => {
    const whole = random.integer(0, B - 1);
    return Array.from({ length: B }, (_, b) => (b === whole ? T : random.integer(0, 1)));
  },
  none: (_, B) => Array.from({ length: B }, () => 0),
};

/** Two kinds of lengths for each of the sizes, in turns. */
const kindsFor = (index: number) =>
  Object.entries(lengthsOf).filter((_, kind) => [0, 2].includes((kind + index) % Object.keys(lengthsOf).length));

/** Rows in tiles and in less than one, in one ticket and in several; the last so few and wide that units are shared out. */
const sizes: readonly (readonly [T: number, B: number, H: number])[] = [
  [7, 1, 9],
  [9, 2, 13],
  [6, 4, 30],
  [8, 5, 17],
  [5, 13, 21],
  [12, 31, 8],
  [4, 67, 12],
  [5, 4, 132],
];

const ofGates = { gates: gateValue, tanhCell: tanhValue, weightHh: weight, weightHr: weight };

/** Whether an operand has a value for each step and row. */
const isOfSteps = ({ shape, type }: OperandSpec): boolean =>
  shape[0] === 'T' && shape.length === 3 && type === undefined;

function casesOf(instruction: InstructionName, others: Readonly<Record<string, number>> = {}): Case[] {
  const operands = Object.entries<OperandSpec>(specOf(instruction).operands);
  return sizes.flatMap(([T, B, H], index) =>
    kindsFor(index).flatMap(([note, lengthsFrom]) =>
      [0, 1].map((reverse) => {
        const dims = { T, B, H, reverse, ...others };
        const lengths = lengthsFrom(T, B, randomFrom(`${note} ${T} ${B}`));
        const isBehind = ({ shape }: OperandSpec, element: number): boolean =>
          isBehindTheEnd(lengths, B, evaluate(shape[2] as string, dims), element);
        const fillings: Record<string, Filling> = { ...ofGates, resets, lengths };
        for (const [name, spec] of operands) {
          if (spec.access !== 'read' || !isOfSteps(spec)) continue;
          const filling = (fillings[name] as typeof gateValue | undefined) ?? ((random: Random) => random.value());
          fillings[name] = (random, element) => (isBehind(spec, element) ? Number.NaN : filling(random));
        }
        const undefinedThere = instruction.endsWith('Forward') ? ['gates', 'tanhCell', 'recurrentN'] : [];
        return caseOf(instruction as 'lstmForward', dims, {
          fillings,
          absent: index % 2 === 0 ? ['resets'] : [],
          isUndefined: (name, element) =>
            undefinedThere.includes(name) &&
            isBehind(operands.find(([its]) => its === name)?.[1] as OperandSpec, element),
          note,
        });
      }),
    ),
  );
}

for (const direction of ['Forward', 'Backward'] as const) {
  conforms(
    `rnn${direction}`,
    [0, 1].flatMap((relu) => casesOf(`rnn${direction}`, { relu })),
  );
  conforms(`gru${direction}`, casesOf(`gru${direction}`));
  conforms(`lstm${direction}`, casesOf(`lstm${direction}`));
  conforms(
    `projectedLstm${direction}`,
    [5, 20].flatMap((P) => casesOf(`projectedLstm${direction}`, { P })),
  );
}
