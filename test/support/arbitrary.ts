/** Random calls and random damage to programs, for property tests. */
import fc from 'fast-check';
import { ABSENT, type AnyCall } from '../../src/program/encode.js';
import { type InstructionName, instructionNames, specOf } from '../../src/program/instructions.js';

const INT_MAX = 2 ** 31 - 1;
/** Offsets are uint32, but for the one that marks an absent operand. */
const LAST_OFFSET = 2 ** 32 - 2;

/** A call of an instruction with operands anywhere and dimensions of any size: well-formed, but seldom runnable. */
export const callOf = (instruction: InstructionName): fc.Arbitrary<AnyCall<number>> => {
  const { operands, dims, scalars = [] } = specOf(instruction);
  const offset = fc.integer({ min: 0, max: LAST_OFFSET });
  const operandValues = Object.entries(operands).map(
    ([name, { optional }]) => [name, optional ? fc.option(offset, { nil: undefined }) : offset] as const,
  );
  return fc.record({
    instruction: fc.constant(instruction),
    operands: fc.record(Object.fromEntries(operandValues)),
    dims: fc.record(Object.fromEntries(dims.map((name) => [name, fc.integer({ min: 0, max: INT_MAX })]))),
    scalars: fc.record(Object.fromEntries(scalars.map((name) => [name, fc.float({ noNaN: true })]))),
  });
};

export const anyCall: fc.Arbitrary<AnyCall<number>> = fc.constantFrom(...instructionNames).chain(callOf);

/** One thing that can happen to a program. */
type Damage = (words: number[]) => void;

const tellingWords = [0, 1, 2, 3, 4, 33, 64, 1000, ABSENT, -2, INT_MAX, -INT_MAX - 1, 0x40000000, 2 ** 16, 2 ** 19];

/** Without fast-check's preference for small numbers: every word of a program is as likely as every other. */
const position = fc.noBias(fc.nat(2 ** 20));

const damages: fc.Arbitrary<Damage> = fc
  .record({
    kind: fc.constantFrom(
      'replace',
      'replace',
      'replace',
      'nudge',
      'nudge',
      'remove',
      'insert',
      'truncate',
      'exchange',
    ),
    first: position,
    other: position,
    word: fc.oneof(fc.constantFrom(...tellingWords), fc.integer()),
    step: fc.constantFrom(-1, 1, -16, 16),
  })
  .map(({ kind, first, other, word, step }) => (words) => {
    const index = first % words.length;
    if (kind === 'replace') words[index] = word;
    if (kind === 'nudge') words[index] = ((words[index] as number) + step) | 0;
    if (kind === 'remove') words.splice(index, 1);
    if (kind === 'insert') words.splice(index, 0, word);
    if (kind === 'truncate') words.length = index;
    if (kind === 'exchange') {
      const second = other % words.length;
      [words[index], words[second]] = [words[second] as number, words[index] as number];
    }
  });

/** A program with one to three kinds of damage. Sometimes its own word count is set right, so that the damage is seen. */
export const damaged = (programs: readonly Int32Array[]): fc.Arbitrary<Int32Array> =>
  fc
    .record({
      program: fc.constantFrom(...programs),
      done: fc.array(damages, { minLength: 1, maxLength: 3 }),
      countIsRight: fc.boolean(),
    })
    .map(({ program, done, countIsRight }) => {
      const words = [...program];
      for (const damage of done) if (words.length > 0) damage(words);
      if (countIsRight && words.length > 1) words[1] = words.length;
      return Int32Array.from(words);
    });
