/** A conformance case: one call of an instruction, with the values of its operands but without their places. */
import { extent } from '../../src/program/check.js';
import { evaluate } from '../../src/program/expression.js';
import {
  type DimName,
  type InstructionName,
  type OperandName,
  type OperandSpec,
  type ScalarName,
  specOf,
} from '../../src/program/instructions.js';
import { type Random, randomFrom } from './random.js';

/** A list that repeats, or a number for every element. */
export type Filling = readonly number[] | ((random: Random, index: number) => number);

export interface Case {
  readonly title: string;
  readonly instruction: InstructionName;
  readonly dims: Readonly<Record<string, number>>;
  readonly scalars: Readonly<Record<string, number>>;
  readonly absent: readonly string[];
  readonly fillings: Readonly<Record<string, Filling>>;
  /** Elements of a `write` operand that the contract leaves undefined. */
  readonly isUndefined: (operand: string, index: number) => boolean;
}

/** The operands of one of several instructions. */
type NameOfOperand<I> = I extends InstructionName ? OperandName<I> : never;
export type Fillings<I extends InstructionName> = { readonly [K in NameOfOperand<I>]?: Filling };

interface CaseOptions<I extends InstructionName> {
  readonly note?: string;
  readonly scalars?: Readonly<Record<ScalarName<I>, number>>;
  readonly absent?: readonly NameOfOperand<I>[];
  readonly fillings?: Fillings<I>;
  readonly isUndefined?: (operand: string, index: number) => boolean;
}

export function caseOf<I extends InstructionName>(
  instruction: I,
  dims: Readonly<Record<DimName<I>, number>>,
  { note, scalars, absent = [], fillings, isUndefined = () => false }: CaseOptions<I> = {},
): Case {
  const numbers = Object.entries<number>(dims).map(([name, size]) => `${name}=${size}`);
  const missing = absent.map((name) => `no ${name}`);
  return {
    title: [instruction, ...numbers, ...missing, ...(note === undefined ? [] : [note])].join(' '),
    instruction,
    dims,
    scalars: scalars ?? {},
    absent,
    fillings: (fillings ?? {}) as Record<string, Filling>,
    isUndefined,
  };
}

/** An operand that is present, with the numbers of its elements that the tensor touches. */
export interface OperandOf {
  readonly name: string;
  readonly spec: OperandSpec;
  readonly extent: number;
  readonly touched: Uint8Array;
}

function touchedElements(spec: OperandSpec, dims: Readonly<Record<string, number>>, length: number): Uint8Array {
  const touched = new Uint8Array(length);
  if (spec.strides === undefined) return touched.fill(1);
  if (length === 0) return touched;
  const sizes = spec.shape.map((size) => evaluate(size, dims));
  const strides = spec.strides.map((stride) => evaluate(stride, dims));
  const visit = (axis: number, index: number): void => {
    if (axis === sizes.length) touched[index] = 1;
    else for (let i = 0; i < (sizes[axis] as number); i++) visit(axis + 1, index + i * (strides[axis] as number));
  };
  visit(0, 0);
  return touched;
}

const operandLists = new WeakMap<Case, OperandOf[]>();

export function operandsOf(testCase: Case): OperandOf[] {
  const known = operandLists.get(testCase);
  if (known !== undefined) return known;
  const { instruction, dims, absent } = testCase;
  const operands = Object.entries(specOf(instruction).operands)
    .filter(([name]) => !absent.includes(name))
    .map(([name, spec]) => {
      const length = extent(spec, dims);
      return { name, spec, extent: length, touched: touchedElements(spec, dims, length) };
    });
  operandLists.set(testCase, operands);
  return operands;
}

export const isOutput = ({ spec }: OperandOf): boolean => spec.access !== 'read' && spec.access !== 'scratch';

/** What memory holds before the call: `read`, `accumulate` and `update` operands; NaN between the elements of a strided one. */
export type Values = ReadonlyMap<string, Float64Array>;

export function inputsOf(testCase: Case): Values {
  const random = randomFrom(testCase.title);
  const inputs = new Map<string, Float64Array>();
  for (const { name, spec, extent: length, touched } of operandsOf(testCase)) {
    if (spec.access === 'write' || spec.access === 'scratch') continue;
    const filling = testCase.fillings[name] ?? ((source: Random) => source.value());
    const element = (index: number): number =>
      typeof filling === 'function' ? filling(random, index) : (filling[index % filling.length] as number);
    const values = Float64Array.from({ length }, (_, index) =>
      touched[index] ? Math.fround(element(index)) : Number.NaN,
    );
    inputs.set(name, spec.type === 'i32' ? values.map((_, index) => element(index)) : values);
  }
  return inputs;
}
