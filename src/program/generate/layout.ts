/** What both generators share: where a record holds what, and size expressions in double precision. */
import { mapExpression } from '../expression.js';
import { type InstructionName, instructionNames, type OperandSpec, specOf } from '../instructions.js';

export const BANNER = 'Generated from src/program/instructions.ts. Do not edit.';

export const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** An expression over dimensions that are doubles in scope: integers become doubles, so no quotient truncates. */
export const inDouble = (expression: string): string =>
  mapExpression(
    expression,
    (digits) => `${digits}.0`,
    (name) => name,
  );

/** The extent of an operand as an expression in double precision; callers handle an axis of size 0. */
export function extentInDouble({ shape, strides }: OperandSpec): string {
  if (strides === undefined) return shape.map((size) => `(${inDouble(size)})`).join(' * ');
  const steps = strides.map((stride, axis) => `(${inDouble(shape[axis] as string)} - 1.0) * (${inDouble(stride)})`);
  return ['1.0', ...steps].join(' + ');
}

export const isEmptyInDouble = ({ shape }: OperandSpec): string =>
  shape.map((size) => `(${inDouble(size)}) == 0.0`).join(' || ');

export interface Layout {
  readonly name: InstructionName;
  readonly operands: readonly (readonly [name: string, operand: OperandSpec, word: number])[];
  readonly dims: readonly (readonly [name: string, word: number])[];
  readonly scalars: readonly (readonly [name: string, word: number])[];
}

/** Where in its record each operand, dimension and scalar of an instruction stands. */
function layoutOf(name: InstructionName): Layout {
  const spec = specOf(name);
  let word = 2;
  return {
    name,
    operands: Object.entries(spec.operands).map(([operand, its]) => [operand, its, word++] as const),
    dims: spec.dims.map((dim) => [dim, word++] as const),
    scalars: (spec.scalars ?? []).map((scalar) => [scalar, word++] as const),
  };
}

export const layouts = instructionNames.map(layoutOf);
export const families = [...new Set(instructionNames.map((name) => specOf(name).family))];
export const isWritten = ({ access }: OperandSpec): boolean => access !== 'read';

/** How often a result is visited, as an expression: each size by the generated function that takes 0 as 1. */
export const visitsInDouble = ({ shape }: OperandSpec): string =>
  shape.map((size) => `atLeastOne(${inDouble(size)})`).join(' * ');
