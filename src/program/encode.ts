/**
 * Programs as words. A program is an Int32Array:
 *
 *     [fingerprint, word count, record count]  then records  [code, word count, operands…, dims…, scalars…]
 *
 * Operands are offsets into the heap in 4-byte elements (uint32), in the order of the instruction's list; ABSENT marks an
 * optional operand that is not there. Scalars are float32 bit patterns.
 */
import {
  codeOf,
  type DimName,
  type InstructionName,
  instructionNames,
  instructions,
  type OperandValues,
  type ScalarName,
  specOf,
} from './instructions.js';
import { scalarSlots } from './scalars.js';

export const ABSENT = -1;
export const HEADER_WORDS = 3;
const RECORD_HEADER_WORDS = 2;

/** FNV-1a over the contract: an addon or a WASM module built from another instruction list does not load. */
export const fingerprint: number = (() => {
  let hash = 0x811c9dc5;
  for (const character of JSON.stringify([instructions, scalarSlots])) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  return hash | 0;
})();

/** One instruction with its operands bound to `Ref`s: tensors in a graph, heap offsets in a program. */
export interface Call<Ref, I extends InstructionName = InstructionName> {
  readonly instruction: I;
  readonly operands: OperandValues<I, Ref>;
  readonly dims: Readonly<Record<DimName<I>, number>>;
  readonly scalars: Readonly<Record<ScalarName<I>, number>>;
}

/** A call of any instruction, with uniform types, for code that walks every instruction. */
export interface AnyCall<Ref> {
  readonly instruction: InstructionName;
  readonly operands: Readonly<Record<string, Ref | undefined>>;
  readonly dims: Readonly<Record<string, number>>;
  readonly scalars: Readonly<Record<string, number>>;
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

const floatToBits = (value: number): number => {
  float[0] = value;
  return bits[0] as number;
};

const bitsToFloat = (word: number): number => {
  bits[0] = word;
  return float[0] as number;
};

export function recordWords(name: InstructionName): number {
  const { operands, dims, scalars = [] } = specOf(name);
  return RECORD_HEADER_WORDS + Object.keys(operands).length + dims.length + scalars.length;
}

/** Encodes calls whose operands are heap offsets in elements. */
export function encode(calls: readonly AnyCall<number>[]): Int32Array {
  const words: number[] = [fingerprint, 0, calls.length];
  for (const { instruction, operands, dims, scalars } of calls) {
    const spec = specOf(instruction);
    words.push(codeOf(instruction), recordWords(instruction));
    for (const name of Object.keys(spec.operands)) words.push((operands[name] ?? ABSENT) | 0);
    for (const name of spec.dims) words.push(dims[name] as number);
    for (const name of spec.scalars ?? []) words.push(floatToBits(scalars[name] as number));
  }
  words[1] = words.length;
  return Int32Array.from(words);
}

/** The call at word `at`, or `undefined` where no whole, known record stands. */
export function decodeAt(words: Int32Array, at: number): AnyCall<number> | undefined {
  const instruction = instructionNames[(words[at] ?? 0) - 1];
  if (instruction === undefined || words[at + 1] !== recordWords(instruction)) return undefined;
  if (at + recordWords(instruction) > words.length) return undefined;
  const spec = specOf(instruction);
  let word = at + RECORD_HEADER_WORDS;
  const next = (): number => words[word++] as number;
  const operands: Record<string, number | undefined> = {};
  for (const name of Object.keys(spec.operands)) {
    const offset = next();
    operands[name] = offset === ABSENT ? undefined : offset >>> 0;
  }
  const dims = Object.fromEntries(spec.dims.map((name) => [name, next()]));
  const scalars = Object.fromEntries((spec.scalars ?? []).map((name) => [name, bitsToFloat(next())]));
  return { instruction, operands, dims, scalars };
}

/** The calls of a well-formed program. */
export function decode(words: Int32Array): AnyCall<number>[] {
  const calls: AnyCall<number>[] = [];
  for (let at = HEADER_WORDS; at < words.length; ) {
    const call = decodeAt(words, at);
    if (call === undefined) throw new RangeError(`no instruction at word ${at}`);
    calls.push(call);
    at += recordWords(call.instruction);
  }
  return calls;
}
