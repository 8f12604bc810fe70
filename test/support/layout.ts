/** Places operands in a heap so that an executor that strays is noticed. */
import { RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import type { Case, OperandOf } from './case.js';

/** Elements that programs of the suites may touch: whole pages, so that the last one ends where the memory ends. */
export const HEAP_ELEMENTS = 48 * RESERVED_ELEMENTS;

/** Elements with canary words before and behind every operand: more than the widest vector. */
const GUARD = 48;
const LANES = 16;

export interface Layout {
  readonly offsets: Readonly<Record<string, number>>;
  /** All operands and their guards lie in `start` … `end`. */
  readonly start: number;
  readonly end: number;
}

/**
 * - `misaligned`  every operand starts at another distance from a multiple of 16 elements.
 * - `at the end`  the operands end where the memory ends, one of them (`last`) exactly; the others start at multiples of 16.
 * - `replacing`   as misaligned, but operands that may replace another one do.
 */
export type LayoutKind = 'misaligned' | 'at the end' | 'replacing';

export function layOut(kind: LayoutKind, operands: readonly OperandOf[], turn: number): Layout {
  return kind === 'at the end' ? fromTheEnd(operands, turn) : misaligned(operands, turn, kind === 'replacing');
}

function misaligned(operands: readonly OperandOf[], turn: number, replacing: boolean): Layout {
  const offsets: Record<string, number> = {};
  let at = RESERVED_ELEMENTS;
  for (const [index, { name, extent }] of operands.entries()) {
    const aligned = Math.ceil((at + GUARD) / LANES) * LANES;
    offsets[name] = aligned + ((turn + 5 * index) % (LANES - 1)) + 1;
    at = offsets[name] + extent;
  }
  for (const { name, spec } of replacing ? operands : []) {
    const replaced = spec.mayReplace === undefined ? undefined : offsets[spec.mayReplace];
    if (replaced !== undefined) offsets[name] = replaced;
  }
  return { offsets, start: RESERVED_ELEMENTS, end: at + GUARD };
}

function fromTheEnd(operands: readonly OperandOf[], turn: number): Layout {
  const offsets: Record<string, number> = {};
  const last = turn % operands.length;
  let at = HEAP_ELEMENTS;
  for (const { name, extent } of [...operands.slice(last), ...operands.slice(0, last)]) {
    const start = at - extent;
    offsets[name] = at === HEAP_ELEMENTS ? start : Math.floor(start / LANES) * LANES;
    at = offsets[name] - GUARD;
  }
  return { offsets, start: at, end: HEAP_ELEMENTS };
}

/** Whether the case has an operand that may replace another one. */
const canReplace = (operands: readonly OperandOf[]): boolean =>
  operands.some(({ spec }) => operands.some(({ name }) => name === spec.mayReplace));

/** Which elements of the layout, counted from its start, the call may write. */
export function writable(layout: Layout, operands: readonly OperandOf[]): Uint8Array {
  const mask = new Uint8Array(layout.end - layout.start);
  for (const { name, spec, touched } of operands) {
    if (spec.access === 'read') continue;
    const from = (layout.offsets[name] as number) - layout.start;
    for (let index = 0; index < touched.length; index++) if (touched[index]) mask[from + index] = 1;
  }
  return mask;
}

/** Where an element lies, in words: `3 elements behind c`. */
export function describeElement(element: number, { offsets }: Layout, operands: readonly OperandOf[]): string {
  let [nearest, distance, side] = ['nothing', Number.POSITIVE_INFINITY, ''];
  for (const { name, extent } of operands) {
    const from = element - (offsets[name] as number);
    if (from >= 0 && from < extent) return `${name}[${from}]`;
    const away = from < 0 ? -from : from - extent + 1;
    if (away < distance) [nearest, distance, side] = [name, away, from < 0 ? 'before' : 'behind'];
  }
  return `${distance} elements ${side} ${nearest}`;
}

/** The layouts a case is run in. */
export const layoutKinds = (operands: readonly OperandOf[]): LayoutKind[] => [
  'misaligned',
  'at the end',
  ...(canReplace(operands) ? (['replacing'] as const) : []),
];

/** A number for a case, so that neighbours in a table get other misalignments and another last operand. */
export const turnOf = ({ title }: Case): number =>
  [...title].reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0);
