/** What a call costs: floating-point operations, bytes moved, and executor-private memory, from the instruction list. */
import { extent } from './check.js';
import type { AnyCall } from './encode.js';
import { evaluate } from './expression.js';
import { specOf } from './instructions.js';

export const flopsOf = (call: AnyCall<unknown>): number => evaluate(specOf(call.instruction).flops, call.dims);

/** Bytes read and written, each operand once; operands changed in place count twice. */
export function bytesOf(call: AnyCall<unknown>): number {
  let elements = 0;
  for (const [name, operand] of Object.entries(specOf(call.instruction).operands)) {
    if (call.operands[name] === undefined) continue;
    const passes = operand.access === 'accumulate' || operand.access === 'update' ? 2 : 1;
    elements += passes * extent(operand, call.dims);
  }
  return 4 * elements;
}

/** Elements of packing panels and partial sums that an executor of so many lanes may use for a call. */
export function workspaceOf(call: AnyCall<unknown>, lanes: number): number {
  const { workspace } = specOf(call.instruction);
  return workspace === undefined ? 0 : Math.ceil(evaluate(workspace, { ...call.dims, lanes }));
}
