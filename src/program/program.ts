/** A planned program: calls whose operands have places, ready to be linked to addresses. Immutable. */
import { workspaceOf } from './cost.js';
import { type AnyCall, encode } from './encode.js';
import { aligned, type DataType, type Variable } from './variable.js';

/** Where a tensor lives: in a variable, or in the transient arena that all programs of an engine share. */
export type Place =
  | { readonly variable: Variable; readonly offset: number }
  | { readonly variable?: undefined; readonly offset: number };

/** A tensor that is copied in before a run or copied out after it. */
export interface Port {
  readonly place: Place;
  readonly shape: readonly number[];
  readonly type: DataType;
}

export interface PlannedCall extends AnyCall<Place> {
  /** The module path that asked for it, such as `lstm.l0`; `grad.` before it in the backward sweep. */
  readonly label: string;
}

export class Program {
  constructor(
    readonly calls: readonly PlannedCall[],
    readonly inputs: ReadonlyMap<string, Port>,
    /** Inputs that were declared and that nothing depends on: they may be given, and go nowhere. */
    readonly unusedInputs: ReadonlySet<string>,
    readonly outputs: ReadonlyMap<string, Port>,
    /** Elements of the transient arena it uses. */
    readonly transientElements: number,
  ) {}

  /** Private elements that an executor of so many lanes may use for the largest call. */
  workspaceElements(lanes: number): number {
    return this.calls.reduce((most, call) => Math.max(most, workspaceOf(call, lanes)), 0);
  }

  /** The program's words for a transient arena that starts at element `transientBase`. */
  link(transientBase: number): Int32Array {
    return encode(
      this.calls.map(({ instruction, operands, dims, scalars }) => ({
        instruction,
        operands: Object.fromEntries(
          Object.entries(operands).map(([name, place]) => [name, place && addressOf(place, transientBase)]),
        ),
        dims,
        scalars,
      })),
    );
  }
}

/**
 * Two programs as one, which leaves what both leave. What the second takes over from the first is in variables; their inputs and outputs
 * have names of their own.
 */
export function inSequence(first: Program, second: Program): Program {
  const start = aligned(first.transientElements);
  const shift = (place: Place): Place => (place.variable === undefined ? { offset: start + place.offset } : place);
  const shiftPorts = (ports: ReadonlyMap<string, Port>): [string, Port][] =>
    [...ports].map(([name, port]) => [name, { ...port, place: shift(port.place) }]);
  const shifted = second.calls.map((call) => ({
    ...call,
    operands: Object.fromEntries(Object.entries(call.operands).map(([name, place]) => [name, place && shift(place)])),
  }));
  return new Program(
    [...first.calls, ...shifted],
    new Map([...first.inputs, ...shiftPorts(second.inputs)]),
    new Set([...first.unusedInputs, ...second.unusedInputs]),
    new Map([...first.outputs, ...shiftPorts(second.outputs)]),
    start + second.transientElements,
  );
}

/** The heap element a place starts at. */
export const addressOf = ({ variable, offset }: Place, transientBase: number): number =>
  (variable === undefined ? transientBase : variable.address) + offset;
