/** Examines one case on one backend: memory, independence of layout and of inspection, and the numbers themselves. */
import { specOf } from '../../src/program/instructions.js';
import { type Bench, type Outcome, reference, runCase } from './bench.js';
import { type Case, inputsOf, isOutput, operandsOf, type Values } from './case.js';
import { layoutKinds } from './layout.js';
import { boundsOf } from './tolerance.js';

/** What the float64 reference makes of a case, and how far from that a float32 backend may be. */
interface Answer {
  readonly expected: Values;
  readonly bounds: Values;
}

export interface Question {
  readonly testCase: Case;
  readonly inputs: Values;
  readonly answer: Answer;
  /** The answer for subnormal inputs taken as zeros, which fast numerics may do. */
  readonly flushedAnswer: Answer | undefined;
}

const isSubnormal = (value: number): boolean => value !== 0 && Math.abs(value) < 2 ** -126;

async function answerOf(testCase: Case, inputs: Values): Promise<Answer> {
  const expected = await reference(testCase, inputs);
  return { expected, bounds: await boundsOf(testCase, inputs, expected) };
}

export async function questionOf(testCase: Case): Promise<Question> {
  const inputs = inputsOf(testCase);
  const answer = await answerOf(testCase, inputs);
  if (![...inputs.values()].some((values) => values.some(isSubnormal))) {
    return { testCase, inputs, answer, flushedAnswer: undefined };
  }
  const flushed = [...inputs].map(([name, values]) => [name, values.map((x) => (isSubnormal(x) ? 0 * x : x))] as const);
  return { testCase, inputs, answer, flushedAnswer: await answerOf(testCase, new Map(flushed)) };
}

export interface Examined {
  readonly bench: Bench;
  /** Whether subnormal inputs and results may be taken as zeros. */
  readonly mayFlush: boolean;
}

export interface Finding {
  readonly violations: readonly string[];
  /** `undefined` where the backend threw. */
  readonly outcome: Outcome | undefined;
}

/** The same bits, or NaN in both: payloads are nobody's promise. */
const isNaNPattern = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000;
const sameBits = (a: number, b: number): boolean => a === b || (isNaNPattern(a) && isNaNPattern(b));

const hex = (bits: number): string => (bits >>> 0).toString(16).padStart(8, '0');

/** Where two outcomes differ in the operands they both have. */
export function bitDifferences(testCase: Case, a: Outcome, b: Outcome): string[] {
  const differences: string[] = [];
  for (const { name, touched } of operandsOf(testCase).filter(isOutput)) {
    const [left, right] = [a.bits.get(name), b.bits.get(name)];
    if (left === undefined || right === undefined) continue;
    for (let index = 0; index < left.length; index++) {
      const [bits, other] = [left[index] as number, right[index] as number];
      if (sameBits(bits, other) || !touched[index] || testCase.isUndefined(name, index)) continue;
      differences.push(`${name}[${index}] is ${hex(bits)} and ${hex(other)}`);
    }
  }
  return differences;
}

/** Whether an output element is as near to an answer as it must be. An overflow of float32 is Infinity on both sides. */
function agrees({ expected, bounds }: Answer, operand: string): (index: number, value: number) => boolean {
  const [exact, bound] = [expected.get(operand), bounds.get(operand)] as [Float64Array, Float64Array];
  return (index, value) => {
    const [wanted, limit] = [exact[index] as number, bound[index] as number];
    if (Math.abs(value - wanted) <= limit) return true;
    const rounded = Math.fround(wanted);
    return value === rounded || Object.is(value, rounded);
  };
}

function disagreements({ testCase, answer, flushedAnswer }: Question, outcome: Outcome, mayFlush: boolean): string[] {
  const found: string[] = [];
  for (const { name, touched } of operandsOf(testCase).filter(isOutput)) {
    const values = outcome.values.get(name) as Float64Array;
    const agree = agrees(answer, name);
    const agreeFlushed = mayFlush && flushedAnswer !== undefined ? agrees(flushedAnswer, name) : () => false;
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as number;
      if (agree(index, value) || !touched[index] || testCase.isUndefined(name, index)) continue;
      if (agreeFlushed(index, value)) continue;
      const [exact, bound] = [answer.expected.get(name)?.[index], answer.bounds.get(name)?.[index]];
      found.push(`${name}[${index}]: Expected ${exact} ± ${bound?.toExponential(2)} but received ${value}`);
    }
  }
  return found;
}

const inspected = (testCase: Case): string[] =>
  Object.entries(specOf(testCase.instruction).operands)
    .filter(([name, { access, optional }]) => access === 'write' && optional && !testCase.absent.includes(name))
    .map(([name]) => name);

export async function examine({ bench, mayFlush }: Examined, question: Question): Promise<Finding> {
  const { testCase, inputs } = question;
  const violations: string[] = [];
  let first: Outcome | undefined;
  try {
    for (const kind of layoutKinds(operandsOf(testCase))) {
      const outcome = await runCase(bench, testCase, inputs, kind);
      violations.push(...outcome.strayWrites);
      if (first === undefined) violations.push(...disagreements(question, outcome, mayFlush));
      else violations.push(...bitDifferences(testCase, first, outcome).map((words) => `misaligned, ${kind}: ${words}`));
      first ??= outcome;
    }
    const extra = inspected(testCase);
    if (extra.length > 0 && first !== undefined) {
      const bare = { ...testCase, absent: [...testCase.absent, ...extra] };
      const outcome = await runCase(bench, bare, inputs, 'misaligned');
      violations.push(...outcome.strayWrites.map((words) => `uninspected: ${words}`));
      violations.push(...bitDifferences(testCase, first, outcome).map((words) => `inspected, uninspected: ${words}`));
    }
  } catch (error) {
    return { violations: [...violations, `threw ${error}`], outcome: undefined };
  }
  return { violations, outcome: first };
}

/** A report of a length to read: the case and its first violations. */
export const report = ({ title }: Case, violations: readonly string[]): string =>
  violations.length === 0 ? '' : `${title}\n  ${violations.slice(0, 4).join('\n  ')}\n  (${violations.length} in all)`;
