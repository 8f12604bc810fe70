/**
 * Whatever words an executor is given, it refuses them with the message that the contract's own check has for them, or it runs
 * them and stays within the heap. The words are damaged programs: some by hand, many at random.
 */
import test from 'ava';
import fc from 'fast-check';
import type { Executor } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import {
  describeFault,
  extent,
  faults,
  findFault,
  MalformedProgramError,
  RESERVED_ELEMENTS,
} from '../../src/program/check.js';
import { flopsOf } from '../../src/program/cost.js';
import { ABSENT, type AnyCall, decode, encode, HEADER_WORDS } from '../../src/program/encode.js';
import { evaluate } from '../../src/program/expression.js';
import { type InstructionName, instructionNames, specOf } from '../../src/program/instructions.js';
import { damaged } from '../support/arbitrary.js';
import { Bench } from '../support/bench.js';
import { HEAP_ELEMENTS } from '../support/layout.js';
import { type Subject, subjects } from '../support/subjects.js';

const INT_MAX = 2 ** 31 - 1;

/** A call of every instruction, small, its operands one after the other behind the elements that are reserved. */
function smallCall(instruction: InstructionName): AnyCall<number> {
  const { operands, dims, scalars = [] } = specOf(instruction);
  const sizes = Object.fromEntries(dims.map((name, index) => [name, 2 + (index % 3)]));
  const offsets: Record<string, number> = {};
  let at = 2 ** 15;
  for (const [name, spec] of Object.entries(operands)) {
    offsets[name] = at;
    at += extent(spec, sizes) + 16;
  }
  return {
    instruction,
    operands: offsets,
    dims: sizes,
    scalars: Object.fromEntries(scalars.map((name) => [name, 0.5])),
  };
}

const programs = instructionNames.map((name) => encode([smallCall(name), smallCall('fill')]));

/** Elements a call visits at most, an empty axis counted as one element. */
function visits(call: AnyCall<number>): number {
  const visited = Object.values(specOf(call.instruction).operands).map(({ shape }) =>
    shape.reduce((product, size) => product * Math.max(1, evaluate(size, call.dims)), 1),
  );
  return Math.max(flopsOf(call), ...visited);
}

const isQuick = (words: Int32Array): boolean => decode(words).every((call) => visits(call) < 1e6);

/** Offers a program to a backend; what is wrong with what came of it, or nothing. */
async function offer({ bench, title }: Subject, words: Int32Array): Promise<string | undefined> {
  const fault = findFault(words, HEAP_ELEMENTS);
  const expected = fault === undefined ? 'accepted' : describeFault(words, fault, HEAP_ELEMENTS);
  try {
    await bench.ready;
    const program = await bench.executor.load(words, HEAP_ELEMENTS);
    if (expected !== 'accepted') return `${title} accepted: ${expected}`;
    if (isQuick(words)) await program.run();
    return undefined;
  } catch (error) {
    if (!(error instanceof MalformedProgramError)) return `${title} threw ${error}`;
    return error.message === expected ? undefined : `${title}: ${error.message}, but it should be: ${expected}`;
  }
}

test('the programs that get damaged are without fault', async (t) => {
  for (const words of programs) {
    t.is(findFault(words, HEAP_ELEMENTS), undefined);
    for (const subject of subjects) t.is(await offer(subject, words), undefined);
  }
});

const fillEnd = (n: number, y: number): Int32Array =>
  encode([{ instruction: 'fill', operands: { y }, dims: { n }, scalars: { value: 0 } }]);

const byHand: readonly (readonly [string, readonly Int32Array[]])[] = [
  ['no words at all', [Int32Array.of()]],
  ['less than a header', programs.map((words) => words.subarray(0, HEADER_WORDS - 1))],
  ['another fingerprint', programs.map((words) => words.with(0, (words[0] as number) ^ 1))],
  [
    'a wrong word count',
    programs.flatMap((words) => [0, -1, words.length + 1, INT_MAX].map((count) => words.with(1, count))),
  ],
  [
    'a wrong record count',
    programs.flatMap((words) => [-1, -INT_MAX, 0, 1, 3, INT_MAX].map((count) => words.with(2, count))),
  ],
  [
    'an unknown code',
    programs.flatMap((words) => [0, -1, 33, 255, INT_MAX].map((code) => words.with(HEADER_WORDS, code))),
  ],
  [
    'another instruction’s code',
    programs.flatMap((words) => instructionNames.map((_, code) => words.with(HEADER_WORDS, code + 1))),
  ],
  [
    'a wrong record length',
    programs.flatMap((words) => [0, 1, 2, -1, INT_MAX].map((count) => words.with(HEADER_WORDS + 1, count))),
  ],
  ['a program cut off anywhere', programs.flatMap(cutOffs)],
  ['words behind the end', programs.map((words) => Int32Array.of(...words, 0).with(1, words.length + 1))],
  ['every word the last negative number', everyWord(-INT_MAX - 1)],
  ['every word −1', everyWord(-1)],
  ['every word the last positive number', everyWord(INT_MAX)],
  ['every word 0', everyWord(0)],
  [
    'one element past the end of the heap',
    [fillEnd(1, HEAP_ELEMENTS), fillEnd(2, HEAP_ELEMENTS - 1), fillEnd(HEAP_ELEMENTS + 1, RESERVED_ELEMENTS)],
  ],
  [
    'an operand in the elements that are reserved',
    [fillEnd(1, 0), fillEnd(2, RESERVED_ELEMENTS - 1), fillEnd(0, RESERVED_ELEMENTS - 1), fillEnd(INT_MAX, 0)],
  ],
  [
    'an offset near 2³²',
    [fillEnd(1, 2 ** 32 - 2), fillEnd(INT_MAX, 2 ** 32 - 2), fillEnd(0, 2 ** 32 - 2), fillEnd(INT_MAX, 2 ** 31)],
  ],
];

/** A program cut off behind every word, with the word count that it has then. */
function cutOffs(words: Int32Array): Int32Array[] {
  return [...words.keys()].map((end) => {
    const cut = words.slice(0, end);
    if (end > 1) cut[1] = end;
    return cut;
  });
}

/** Every word of every program, one at a time, replaced; not the header's, which have their own rows. */
function everyWord(replacement: number): Int32Array[] {
  return programs.flatMap((words) =>
    [...words.keys()].slice(HEADER_WORDS).map((index) => words.with(index, replacement)),
  );
}

for (const [what, damagedPrograms] of byHand) {
  test.serial(`${what}: every executor says what the check says`, async (t) => {
    const wrong: string[] = [];
    for (const subject of subjects) {
      for (const words of damagedPrograms) wrong.push((await offer(subject, words)) ?? '');
    }
    const complaints = wrong.filter((complaint) => complaint !== '');
    t.deepEqual(complaints.slice(0, 5), [], `${complaints.length} of ${wrong.length}`);
  });
}

/** A call whose dimensions are 0, strides too, but for some. */
function hollow(instruction: InstructionName, dims: Readonly<Record<string, number>>): AnyCall<number> {
  const small = smallCall(instruction);
  return { ...small, dims: { ...Object.fromEntries(Object.keys(small.dims).map((name) => [name, 0])), ...dims } };
}

/** Zero strides and empty axes keep an operand small, however often the call visits it. */
const endless: readonly AnyCall<number>[] = (() => {
  const many = HEAP_ELEMENTS;
  return [
    hollow('copy', { n0: many, n1: many, n2: 1, n3: 1 }),
    hollow('copyAdd', { n0: many, n1: many, n2: many, n3: many }),
    hollow('copy', { n0: many, n1: many, n2: many, n3: 0 }),
    hollow('matmul', { batch: many, M: many, N: 1, K: 1 }),
    hollow('matmulAdd', { batch: many, M: many, N: 1, K: 0 }),
    hollow('matmul', { batch: many, M: many, N: 0, K: 0 }),
    {
      ...hollow('lstmForward', { T: many, B: many, H: 0 }),
      operands: { ...smallCall('lstmForward').operands, lengths: undefined, resets: undefined },
    },
  ];
})();
const beyond: readonly AnyCall<number>[] = [
  hollow('columnSum', { R: HEAP_ELEMENTS + 1, C: 0 }),
  hollow('matmulAdd', { batch: 1, M: 1, N: 1, K: 2 ** 30 }),
];

/** With endless calls, as damage seldom makes one. */
const toDamage = [...programs, ...endless.map((call) => encode([call]))];

/** Checking a program is one thread's work; those with several run what is let through besides. */
const SEED = 20240609;
const RUNS = { alone: 4000, together: 500 };

for (const subject of subjects) {
  test.serial(`${subject.title} refuses random damage as the check does, or runs it safely`, async (t) => {
    await fc.assert(
      fc.asyncProperty(damaged(toDamage), async (words) => {
        const complaint = await offer(subject, words);
        if (complaint !== undefined) throw new Error(complaint);
      }),
      { numRuns: subject.backend.threads === 1 ? RUNS.alone : RUNS.together, seed: SEED },
    );
    t.pass();
  });
}

test('an executor takes what the check takes only as far as the data reaches', async (t) => {
  for (const { bench, title } of subjects) {
    await t.throwsAsync(bench.executor.load(fillEnd(1, 20_000), 20_000), { instanceOf: MalformedProgramError }, title);
    await t.notThrowsAsync(bench.executor.load(fillEnd(1, 19_999), 20_000), title);
  }
});

test('a range of records outside the program is refused', async (t) => {
  for (const { bench, title } of subjects) {
    await bench.ready;
    const program = await bench.executor.load(programs[0] as Int32Array, HEAP_ELEMENTS);
    t.is(program.recordCount, 2, title);
    await t.notThrowsAsync(program.run(1, 1), title);
    for (const [first, last] of [
      [-1, 1],
      [0, 3],
      [2, 1],
      [0.5, 1],
      [0, Number.NaN],
    ] as const) {
      await t.throwsAsync(program.run(first, last), { instanceOf: RangeError }, `${title}: ${first} to ${last}`);
    }
  }
});

function pretending(load: Executor['load']): Subject {
  const bench = new Bench(referenceBackend());
  bench.executor.load = load;
  return { ...(subjects[0] as Subject), title: 'pretender', bench };
}

test('an executor that takes everything, or words a fault in its own way, is found out', async (t) => {
  const [good, bad] = [fillEnd(1, RESERVED_ELEMENTS), fillEnd(1, HEAP_ELEMENTS)];
  const idle = { recordCount: 1, run: async () => {}, profile: async () => new Float64Array(1) };
  const lenient = pretending(async () => idle);
  const wordy = pretending(async () => {
    throw new MalformedProgramError('no');
  });
  t.is(await offer(lenient, good), undefined);
  t.regex((await offer(lenient, bad)) ?? '', /^pretender accepted: record 0, fill/);
  t.regex((await offer(wordy, bad)) ?? '', /^pretender: no, but it should be: record 0, fill/);
  t.regex((await offer(wordy, good)) ?? '', /^pretender: no, but it should be: accepted/);
});

test('random damage meets every kind of fault, and programs that can still run', (t) => {
  const sample = fc.sample(damaged(toDamage), { numRuns: RUNS.alone, seed: SEED });
  const met = new Set(sample.map((words) => findFault(words, HEAP_ELEMENTS)?.fault ?? 'none'));
  t.deepEqual([...met].sort(), [...faults].sort());
  t.true(sample.some((words) => findFault(words, HEAP_ELEMENTS) === undefined && isQuick(words)));
});

test('a call that visits more elements than there are, or has more in one dimension, is refused', (t) => {
  const faultOf = (call: AnyCall<number>): string | undefined => findFault(encode([call]), HEAP_ELEMENTS)?.fault;
  for (const call of endless) t.is(faultOf(call), 'visits', call.instruction);
  for (const call of beyond) t.is(faultOf(call), 'dimension', call.instruction);
});

test('an absent operand is one whose offset is −1', (t) => {
  t.is(ABSENT, -1);
});
