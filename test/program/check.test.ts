import test from 'ava';
import {
  describeFault,
  extent,
  findFault,
  findOverlap,
  MalformedProgramError,
  RESERVED_ELEMENTS,
  refuse,
} from '../../src/program/check.js';
import { type AnyCall, encode, fingerprint, HEADER_WORDS } from '../../src/program/encode.js';
import { instructionNames, specOf } from '../../src/program/instructions.js';

const START = RESERVED_ELEMENTS;
const HEAP = START + 1000;

const fill = (y: number | undefined, n: number): AnyCall<number> => ({
  instruction: 'fill',
  operands: { y },
  dims: { n },
  scalars: { value: 1 },
});

const copy = (offsets: { x: number; y: number }, dims: Readonly<Record<string, number>>): AnyCall<number> => ({
  instruction: 'copy',
  operands: offsets,
  dims: { n0: 1, n1: 1, n2: 1, n3: 1, x0: 0, x1: 0, x2: 0, x3: 0, y0: 0, y1: 0, y2: 0, y3: 0, ...dims },
  scalars: {},
});

const good = encode([fill(START, 10), fill(START + 10, 990)]);
/** The word at which the second record of `good` starts. */
const second = HEADER_WORDS + 5;

test('a program within the heap has no fault', (t) => {
  t.is(findFault(good, HEAP), undefined);
  t.is(findFault(encode([]), HEAP), undefined);
  t.is(findFault(encode([fill(HEAP, 0)]), HEAP), undefined, 'an empty operand may start where the heap ends');
});

const messages: readonly (readonly [string, Int32Array, string])[] = [
  [
    'nothing',
    Int32Array.of(),
    `Expected a program of instruction list ${fingerprint} but received one that starts with nothing`,
  ],
  [
    'another list',
    good.with(0, 7),
    `Expected a program of instruction list ${fingerprint} but received one that starts with 7`,
  ],
  [
    'a program cut off',
    good.subarray(0, good.length - 1),
    'record 0: Expected a whole record but received 5 words of a program of 12',
  ],
  ['an unknown code', good.with(second, 99), 'record 1: Expected an instruction code but received 99'],
  ['the code 0', good.with(second, 0), 'record 1: Expected an instruction code but received 0'],
  [
    'another length',
    good.with(second + 1, 6),
    'record 1: Expected a whole record but received 6 words of a program of 13',
  ],
  [
    'more records than there are',
    good.with(2, 3),
    'record 2: Expected a whole record but received 0 words of a program of 13',
  ],
  [
    'fewer records than there are',
    good.with(2, 1),
    'record 1: Expected a whole record but received 5 words of a program of 13',
  ],
  [
    'a negative dimension',
    encode([fill(START, 1), fill(START, -3)]),
    'record 1, fill: Expected `n` to be from 0 to 17384 but received -3',
  ],
  [
    'a size larger than the heap',
    encode([fill(START, HEAP + 1)]),
    'record 0, fill: Expected `n` to be from 0 to 17384 but received 17385',
  ],
  [
    'a negative number of records',
    encode([]).with(2, -1),
    'record 0: Expected a whole record but received 0 words of a program of 3',
  ],
  [
    'a result that is visited without end',
    encode([copy({ x: START, y: START }, { n0: 1000, n1: 1000 })]),
    'record 0, copy: Expected operand `y` to have at most 17384 elements but it has 1000000',
  ],
  [
    'a required operand that is absent',
    encode([fill(undefined, 1)]),
    'record 0, fill: Expected operand `y` but received none',
  ],
  [
    'one element too many',
    encode([fill(START + 1, 1000)]),
    'record 0, fill: Expected operand `y` to end within 17384 elements but it ends at 17385',
  ],
  [
    'an operand in the elements that are reserved',
    encode([fill(START - 1, 2)]),
    'record 0, fill: Expected operand `y` to start at element 16384 or behind it but it starts at 16383',
  ],
  [
    'an empty operand behind the end',
    encode([fill(HEAP + 1, 0)]),
    'record 0, fill: Expected operand `y` to end within 17384 elements but it ends at 17385',
  ],
  [
    'an offset near 2³²',
    encode([fill(2 ** 32 - 2, 1)]),
    'record 0, fill: Expected operand `y` to end within 17384 elements but it ends at 4294967295',
  ],
  [
    'a stride that leaves the heap',
    encode([copy({ x: START, y: START }, { n1: 2, x1: 1000 })]),
    'record 0, copy: Expected operand `x` to end within 17384 elements but it ends at 17385',
  ],
  [
    'a product beyond 2³²',
    encode([copy({ x: START, y: START }, { n0: 3, x0: 2 ** 31 - 1, n1: 3, x1: 1 })]),
    'record 0, copy: Expected operand `x` to end within 17384 elements but it ends at 4294983681',
  ],
];

for (const [what, words, message] of messages) {
  test(`${what} is described: ${message}`, (t) => {
    const fault = findFault(words, HEAP);
    if (fault === undefined) return t.fail('no fault was found');
    t.is(describeFault(words, fault, HEAP), message);
    t.throws(() => refuse(words, fault, HEAP), {
      instanceOf: MalformedProgramError,
      code: 'ERR_SEQGRAD_PROGRAM',
      message,
    });
  });
}

test('the extent of an operand is dense without strides, from the first to the last element with them', (t) => {
  t.is(extent({ shape: ['a', 'b'], access: 'read' }, { a: 3, b: 5 }), 15);
  t.is(extent({ shape: ['a', 'b'], strides: ['s', '1'], access: 'read' }, { a: 3, b: 5, s: 100 }), 205);
  t.is(extent({ shape: ['a', 'b'], strides: ['s', '1'], access: 'read' }, { a: 3, b: 5, s: 0 }), 5);
  t.is(extent({ shape: ['a', 'b'], strides: ['s', '1'], access: 'read' }, { a: 3, b: 0, s: 100 }), 0);
});

const add = (a: number, b: number, y: number): AnyCall<number> => ({
  instruction: 'add',
  operands: { a, b, y },
  dims: { n: 10 },
  scalars: {},
});

test('operands do not overlap, but one may replace another', (t) => {
  t.is(findOverlap(add(0, 10, 20)), undefined);
  t.is(findOverlap(add(0, 0, 10)), undefined, 'two that are read may be the same');
  t.is(findOverlap(add(0, 10, 0)), undefined, 'y may replace a');
  t.deepEqual(findOverlap(add(0, 10, 10)), ['y', 'b']);
  t.deepEqual(findOverlap(add(0, 20, 1)), ['y', 'a']);
  t.deepEqual(findOverlap(add(0, 20, 29)), ['y', 'b']);
  t.is(findOverlap(add(0, 20, 30)), undefined);
});

test('strided operands overlap as their extents do', (t) => {
  t.deepEqual(findOverlap(copy({ x: 0, y: 1 }, { n3: 4, x3: 2, y3: 2 })), ['y', 'x']);
  t.is(findOverlap(copy({ x: 0, y: 7 }, { n3: 4, x3: 2, y3: 2 })), undefined);
});

for (const instruction of instructionNames) {
  test(`${instruction}: a program without its required operands is refused at the first of them`, (t) => {
    const { operands, dims, scalars = [] } = specOf(instruction);
    const zeros = (names: readonly string[]): Record<string, number> =>
      Object.fromEntries(names.map((name) => [name, 0]));
    const call = { instruction, operands: {}, dims: zeros(dims), scalars: zeros(scalars) };
    const item = Object.values(operands).findIndex(({ optional }) => !optional);
    t.deepEqual(findFault(encode([call]), HEAP), { fault: 'operand', record: 0, item });
  });
}
