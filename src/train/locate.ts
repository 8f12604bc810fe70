/** Finds where a number stopped being one: replays a program instruction by instruction until a result is not finite. */
import type { Session } from '../backends/engine.js';
import type { Result, Values } from '../backends/executor.js';
import { extent } from '../program/check.js';
import { evaluate } from '../program/expression.js';
import { type OperandSpec, specOf } from '../program/instructions.js';
import type { Place, PlannedCall, Program } from '../program/program.js';
import { sizeOf } from '../program/variable.js';

export interface NonFinite {
  /** The module path, such as `lstm.l0`; `grad.` before it in the backward sweep. */
  readonly label: string;
  readonly instruction: string;
  readonly operand: string;
  readonly value: number;
  /** Where in the operand, axis by axis, such as `t = 3, b = 0, forget_gate, unit 5`. */
  readonly position: string;
}

/** A loss or gradient that is not a finite number: which step, and where it began. Nothing was changed by that step. */
export class NonFiniteError extends Error {
  readonly code = 'ERR_SEQGRAD_NON_FINITE';
  override readonly name = 'NonFiniteError';

  constructor(
    readonly step: number,
    /** Undefined where every value is finite and only the squared norm leaves float32. */
    readonly where: NonFinite | undefined,
  ) {
    super(
      where === undefined
        ? `step ${step}: Expected a finite gradient norm but it is too large for float32: lower the learning rate or clipNorm`
        : `step ${step}: Expected finite numbers but ${where.label} ${where.instruction} gave ${where.value} in \`${where.operand}\`` +
            `${where.position === '' ? '' : ` at ${where.position}`}. The parameters are those of step ${step - 1}.`,
    );
  }
}

const GATES: Readonly<Record<string, readonly string[]>> = {
  '4 * H': ['input_gate', 'forget_gate', 'candidate', 'output_gate'],
  '3 * H': ['reset_gate', 'update_gate', 'candidate'],
};

const AXES: Readonly<Record<string, string>> = {
  T: 't',
  B: 'b',
  H: 'unit',
  P: 'unit',
  N: 'row',
  V: 'class',
  C: 'column',
};
const MATRIX_AXES: Readonly<Record<string, string>> = { M: 'row', N: 'column' };

/** What an index along an axis of an operand means. */
function nameIndex(axis: string, index: number, { instruction, dims }: PlannedCall): string {
  const gates = GATES[axis];
  if (gates !== undefined) {
    const H = dims.H as number;
    return `${gates[Math.floor(index / H)]}, unit ${index % H}`;
  }
  if (axis === 'T + 1') return `state ${index}`;
  const names = instruction.startsWith('matmul') ? MATRIX_AXES : AXES;
  return `${names[axis] ?? axis} = ${index}`;
}

function positionOf(operand: OperandSpec, call: PlannedCall, index: number): string {
  let rest = index;
  const names: string[] = [];
  for (const axis of [...operand.shape].reverse()) {
    const size = evaluate(axis, call.dims);
    if (size > 1) names.unshift(nameIndex(axis, rest % size, call));
    rest = Math.floor(rest / size);
  }
  return names.join(', ');
}

/** The results of a call that can be looked at, those of gates before what is computed from them. */
function resultsOf({ instruction, operands, dims }: PlannedCall): [name: string, operand: OperandSpec][] {
  const results = Object.entries(specOf(instruction).operands).filter(([name, operand]) => {
    if (operands[name] === undefined || operand.access === 'read' || operand.type === 'i32') return false;
    // What a recurrence leaves at padded steps is undefined, but for its states.
    const isRecurrence = dims.reverse !== undefined && instruction.endsWith('Forward');
    if (isRecurrence && operands.lengths !== undefined && !operand.shape.includes('T + 1')) return false;
    // A result with gaps is part of a larger tensor; what it holds was made by a call that has been looked at.
    return extent(operand, dims) === sizeOf(operand.shape.map((size) => evaluate(size, dims)));
  });
  const isGates = ([, { shape }]: [string, OperandSpec]): number => Number(shape.some((size) => size in GATES));
  return results.sort((a, b) => isGates(b) - isGates(a));
}

/** The first value that is not finite, in the order of time in which the instruction works; −1 if there is none. */
function firstNonFinite(values: Result, operand: OperandSpec, { instruction, dims }: PlannedCall): number {
  const isBad = (value: number): boolean => !Number.isFinite(value);
  const first = values.findIndex(isBad);
  const fromTheEnd = instruction.endsWith('Backward') !== (dims.reverse === 1);
  if (dims.reverse === undefined) return first;
  if (first < 0 || !fromTheEnd || !operand.shape[0]?.startsWith('T')) return first;
  const step = values.length / evaluate(operand.shape[0], dims);
  const start = Math.floor(values.findLastIndex(isBad) / step) * step;
  return start + values.subarray(start).findIndex(isBad);
}

/**
 * The first result of a program that is NaN or infinite, in the order in which the program computes.
 * @returns undefined if all are finite.
 */
export async function locateNonFinite(
  session: Session,
  program: Program,
  inputs: Readonly<Record<string, Values>>,
): Promise<NonFinite | undefined> {
  let found: NonFinite | undefined;
  await session.trace(program, inputs, async (call: PlannedCall, elementsOf) => {
    for (const [name, operand] of resultsOf(call)) {
      const values = await elementsOf(call.operands[name] as Place, extent(operand, call.dims));
      const index = firstNonFinite(values, operand, call);
      if (index < 0) continue;
      const { label, instruction } = call;
      const value = values[index] as number;
      found = { label, instruction, operand: name, value, position: positionOf(operand, call, index) };
      return 'stop';
    }
    return 'go on';
  });
  return found;
}
