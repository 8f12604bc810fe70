/** The conformance suite can fail: every kind of fault it is there for is planted once, and found. */
import test from 'ava';
import { Bench } from '../support/bench.js';
import { type Case, caseOf } from '../support/case.js';
import { bitDifferences, examine, questionOf } from '../support/examine.js';
import { HEAP_ELEMENTS } from '../support/layout.js';
import { type Sabotage, sabotaged } from '../support/sabotage.js';

const sum = caseOf('add', { n: 33 });
const product = caseOf(
  'matmul',
  {
    ...{ batch: 1, M: 5, N: 17, K: 257 },
    ...{
      aBatch: 0,
      aRow: 257,
      aColumn: 1,
      bBatch: 0,
      bRow: 17,
      bColumn: 1,
      cBatch: 0,
      cRow: 20,
      bfloat16: 0,
      activation: 0,
    },
  },
  { absent: ['preActivation'] },
);
const lstm = caseOf('lstmBackward', { T: 3, B: 2, H: 17, reverse: 0 }, { absent: ['lengths', 'resets'] });

const examineWith = async (sabotage: Sabotage, testCase: Case) =>
  examine({ bench: new Bench(sabotaged(sabotage)), mayFlush: false }, await questionOf(testCase));

const finds = test.macro(async (t, sabotage: Sabotage, testCase: Case, message: RegExp) => {
  const { violations } = await examineWith(sabotage, testCase);
  t.true(violations.length > 0, 'nothing was found');
  t.regex(violations.join('\n'), message);
});

/** Writes a value at a distance from the start of an operand. */
const writes = (operand: string, distance: number, value: number): Sabotage => ({
  memory: ({ floats }, { operands }) => {
    floats[(operands[operand] ?? 0) + distance] = value;
  },
});

type Offsets = Readonly<Record<string, number | undefined>>;

/** Changes the last bit of an element, always or on a condition. */
const changesBit = (operand: string, distance: number, when: (offsets: Offsets) => boolean = () => true): Sabotage => ({
  memory: ({ ints }, { operands }) => {
    const element = (operands[operand] ?? 0) + distance;
    if (when(operands)) ints[element] = (ints[element] as number) ^ 1;
  },
});

const throws: Sabotage = {
  memory: () => {
    throw new Error('cannot');
  },
};

const skipsLastTerm: Sabotage = { call: (call) => ({ ...call, dims: { ...call.dims, K: 256 } }) };

test('an honest backend passes', async (t) => {
  for (const testCase of [sum, product, lstm]) t.deepEqual((await examineWith({}, testCase)).violations, []);
});

test('finds one wrong element', finds, writes('y', 32, 3), sum, /^y\[32\]: Expected/);
test('finds an element that was not written', finds, writes('y', 32, Number.NaN), sum, /y\[32\].*received NaN/);
test('finds one term of 257 that is missing', finds, skipsLastTerm, product, /^c\[0\]: Expected/);
test('finds a write behind an operand', finds, writes('y', 33, 0), sum, /wrote 1 elements behind y \(misaligned\)/);
test('finds a write before an operand', finds, writes('a', -1, 0), sum, /wrote 1 elements before a \(at the end\)/);
test('finds a write between the rows of a strided operand', finds, writes('c', 17, 0), product, /wrote c\[17\]/);
test('finds a changed input', finds, changesBit('b', 3), sum, /wrote b\[3\]/);
test('finds a backend that throws', finds, throws, sum, /threw Error: cannot/);

test(
  'finds a result that depends on where operands lie',
  finds,
  changesBit('y', 0, ({ y = 0 }) => y > HEAP_ELEMENTS / 2),
  sum,
  /at the end: y\[0\] is/,
);
test(
  'finds a result that depends on replacing an operand',
  finds,
  changesBit('y', 0, ({ a, y }) => a === y),
  sum,
  /replacing: y\[0\] is/,
);
test(
  'finds a result that depends on inspection',
  finds,
  changesBit('dH0', 0, ({ dCellTotal }) => dCellTotal !== undefined),
  lstm,
  /uninspected: dH0\[0\] is/,
);

test('two outcomes that differ in one bit are not the same bits', async (t) => {
  const { outcome: honest } = await examineWith({}, sum);
  const { outcome: other } = await examineWith(changesBit('y', 7), sum);
  if (honest === undefined || other === undefined) return t.fail('there is no outcome');
  t.is(bitDifferences(sum, honest, other).length, 1);
  t.deepEqual(bitDifferences(sum, honest, honest), []);
});
