/** Finds where a number stopped being one: replays a program instruction by instruction until a result is not finite. */
import type { Session, Values } from '../backends/engine.js';
import { extent } from '../program/check.js';
import { evaluate } from '../program/expression.js';
import { type OperandSpec, specOf } from '../program/instructions.js';
import type { PlannedCall, Program } from '../program/program.js';

export interface NonFinite {
  /** The module path, such as `lstm.l0`; `grad.` before it in the backward sweep. */
  readonly label: string;
  readonly instruction: string;
  readonly operand: string;
  readonly value: number;
  /** Where in the operand, axis by axis, such as `t = 3, b = 0, forget_gate, unit 5`. */
  readonly position: string;
}

const GATES = ['input_gate', 'forget_gate', 'candidate', 'output_gate'];

/** What an index along an axis of an operand means. */
function nameIndex(axis: string, index: number, dims: Readonly<Record<string, number>>): string {
  if (axis === '4 * H') {
    const H = dims.H as number;
    return `${GATES[Math.floor(index / H)]}, unit ${index % H}`;
  }
  if (axis === 'T + 1') return `state ${index}`;
  return `${{ T: 't', B: 'b', H: 'unit', N: 'row', V: 'class', C: 'column' }[axis] ?? axis} = ${index}`;
}

function positionOf(operand: OperandSpec, dims: Readonly<Record<string, number>>, index: number): string {
  let rest = index;
  const names: string[] = [];
  for (const axis of [...operand.shape].reverse()) {
    const size = evaluate(axis, dims);
    if (size > 1) names.unshift(nameIndex(axis, rest % size, dims));
    rest = Math.floor(rest / size);
  }
  return names.join(', ');
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
  await session.trace(program, inputs, (call: PlannedCall, elementsOf) => {
    for (const [name, operand] of Object.entries(specOf(call.instruction).operands)) {
      const place = call.operands[name];
      // Strided results are parts of larger tensors; what they hold was made by a call that has been looked at.
      if (place === undefined || operand.access === 'read' || operand.type === 'i32' || operand.strides !== undefined)
        continue;
      const values = elementsOf(place, extent(operand, call.dims));
      const index = values.findIndex((value) => !Number.isFinite(value));
      if (index < 0) continue;
      const { label, instruction, dims } = call;
      const value = values[index] as number;
      found = { label, instruction, operand: name, value, position: positionOf(operand, dims, index) };
      return 'stop';
    }
    return 'go on';
  });
  return found;
}
