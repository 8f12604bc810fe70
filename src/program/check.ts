/** Checks of a program: its form, its bounds, and which operands may share memory. Every executor applies the first two itself. */
import { type AnyCall, decodeAt, fingerprint, HEADER_WORDS, recordWords } from './encode.js';
import { evaluate, namesOf } from './expression.js';
import { type InstructionName, instructionNames, type OperandSpec, specOf } from './instructions.js';
import { sizeOf } from './variable.js';

/** The first elements of every heap belong to the WASM module: static data, the state of its threads, their scratch. */
export const RESERVED_ELEMENTS = 16384;

/** What can be wrong with a program. Executors report these as numbers, so that one place words the message. */
export const faults = [
  'none',
  'header', // not a program, or one for another instruction list
  'instruction', // unknown code
  'length', // a record or the program has another length than it says
  'dimension', // a dimension that is negative or, where it is a size, larger than the heap
  'operand', // a required operand is absent
  'bounds', // an operand leaves the heap, or starts in the elements that are reserved
  'visits', // a result that would be written more often than the heap has elements (strides of 0, an axis of 0)
] as const;

export interface ProgramFault {
  readonly fault: (typeof faults)[number];
  /** Index of the record, from 0. */
  readonly record: number;
  /** Index of the operand or dimension within the instruction's list. */
  readonly item: number;
}

/** A program that an executor refuses. */
export class MalformedProgramError extends Error {
  readonly code = 'ERR_SEQGRAD_PROGRAM';
  override readonly name = 'MalformedProgramError';
}

/** Elements from the first to the last one a tensor touches. */
export function extent(operand: OperandSpec, dims: Readonly<Record<string, number>>): number {
  const sizes = operand.shape.map((size) => evaluate(size, dims));
  if (sizes.includes(0)) return 0;
  if (operand.strides === undefined) return sizeOf(sizes);
  return operand.strides.reduce(
    (last, stride, axis) => last + ((sizes[axis] as number) - 1) * evaluate(stride, dims),
    1,
  );
}

/** How often a result's elements are visited at least; an axis of size 0 counts as one, since the loops around it still turn. */
const visits = (operand: OperandSpec, dims: Readonly<Record<string, number>>): number =>
  operand.shape.reduce((product, size) => product * Math.max(1, evaluate(size, dims)), 1);

/** The dimensions of an instruction that occur in a shape. Bounding them by the heap keeps every call's work finite. */
export const sizeDims = (name: InstructionName): ReadonlySet<string> =>
  new Set(Object.values(specOf(name).operands).flatMap(({ shape }) => shape.flatMap(namesOf)));

function faultOf(call: AnyCall<number>, heapElements: number): Omit<ProgramFault, 'record'> | undefined {
  const { operands, dims } = specOf(call.instruction);
  const sizes = sizeDims(call.instruction);
  const outside = dims.findIndex((name) => {
    const value = call.dims[name] as number;
    return value < 0 || (sizes.has(name) && value > heapElements);
  });
  if (outside >= 0) return { fault: 'dimension', item: outside };
  for (const [item, [name, operand]] of Object.entries(operands).entries()) {
    const offset = call.operands[name];
    if (offset === undefined) {
      if (operand.optional) continue;
      return { fault: 'operand', item };
    }
    if (offset < RESERVED_ELEMENTS || !(offset + extent(operand, call.dims) <= heapElements)) {
      return { fault: 'bounds', item };
    }
    if (operand.access !== 'read' && visits(operand, call.dims) > heapElements) return { fault: 'visits', item };
  }
  return undefined;
}

/** The first fault of a program for a heap of `heapElements` 4-byte elements. */
export function findFault(words: Int32Array, heapElements: number): ProgramFault | undefined {
  if (words.length < HEADER_WORDS || words[0] !== fingerprint) return { fault: 'header', record: 0, item: 0 };
  if (words[1] !== words.length || (words[2] as number) < 0) return { fault: 'length', record: 0, item: 0 };
  const records = words[2] as number;
  let at = HEADER_WORDS;
  for (let record = 0; record < records; record++) {
    if (at >= words.length) return { fault: 'length', record, item: 0 };
    const call = decodeAt(words, at);
    if (call === undefined) {
      const known = instructionNames[(words[at] as number) - 1] !== undefined;
      return { fault: known ? 'length' : 'instruction', record, item: 0 };
    }
    const fault = faultOf(call, heapElements);
    if (fault !== undefined) return { ...fault, record };
    at += recordWords(call.instruction);
  }
  return at === words.length ? undefined : { fault: 'length', record: records, item: 0 };
}

/** A fault in words: the instruction, the operand or dimension, what was expected and what came. */
export function describeFault(words: Int32Array, { fault, record, item }: ProgramFault, heapElements: number): string {
  if (fault === 'header') {
    return `Expected a program of instruction list ${fingerprint} but received one that starts with ${words[0] ?? 'nothing'}`;
  }
  let at = HEADER_WORDS;
  for (let skipped = 0; skipped < record && at < words.length; skipped++) at += words[at + 1] as number;
  if (fault === 'instruction') return `record ${record}: Expected an instruction code but received ${words[at]}`;
  const call = decodeAt(words, at);
  if (fault === 'length' || call === undefined) {
    return `record ${record}: Expected a whole record but received ${words[at + 1] ?? 0} words of a program of ${words.length}`;
  }
  const { operands, dims } = specOf(call.instruction);
  const where = `record ${record}, ${call.instruction}`;
  if (fault === 'dimension') {
    const name = dims[item] as string;
    return `${where}: Expected \`${name}\` to be from 0 to ${heapElements} but received ${call.dims[name]}`;
  }
  const [name, operand] = Object.entries(operands)[item] as [string, OperandSpec];
  if (fault === 'operand') return `${where}: Expected operand \`${name}\` but received none`;
  if (fault === 'visits') {
    const count = visits(operand, call.dims);
    return `${where}: Expected operand \`${name}\` to have at most ${heapElements} elements but it has ${count}`;
  }
  const start = call.operands[name] as number;
  if (start < RESERVED_ELEMENTS) {
    return `${where}: Expected operand \`${name}\` to start at element ${RESERVED_ELEMENTS} or behind it but it starts at ${start}`;
  }
  const end = start + extent(operand, call.dims);
  return `${where}: Expected operand \`${name}\` to end within ${heapElements} elements but it ends at ${end}`;
}

/** Throws a {@link MalformedProgramError} for a fault. */
export function refuse(words: Int32Array, fault: ProgramFault, heapElements: number): never {
  throw new MalformedProgramError(describeFault(words, fault, heapElements));
}

/** Two operands of a call that overlap although the contract does not let them, or `undefined`. Strided operands count as their extent. */
export function findOverlap(call: AnyCall<number>): readonly [string, string] | undefined {
  const placed = Object.entries(specOf(call.instruction).operands).flatMap(([name, operand]) => {
    const start = call.operands[name];
    return start === undefined ? [] : [{ name, operand, start, end: start + extent(operand, call.dims) }];
  });
  for (const written of placed) {
    if (written.operand.access === 'read') continue;
    for (const other of placed) {
      if (other === written || written.end <= other.start || other.end <= written.start) continue;
      if (written.operand.mayReplace === other.name && written.start === other.start) continue;
      return [written.name, other.name];
    }
  }
  return undefined;
}
