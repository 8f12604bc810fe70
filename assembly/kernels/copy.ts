/** Filling and copying. */
import { Copy, CopyAdd, CopyIf, Fill } from '../generated/instructions';
import { addRow, copyRow, fillRow } from '../simd/rows';
import { inTurn, parallel, Work } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

export function fill(r: Fill): void { parallel(ceilDiv(r.n, STREAMED), fillTicket, changetype<usize>(r)); }

function fillTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Fill>(record);
  const first = ticket * STREAMED;
  fillRow(min(STREAMED, r.n - first), r.value, r.y + (<usize>first << 2));
}

/** Elements of the last axis: rows that are dense on both sides, one value spread over a row, or any strides. */
@inline function innermost(adding: bool, n: i32, x: usize, xStep: usize, y: usize, yStep: usize): void {
  if (xStep == 4 && yStep == 4) {
    if (adding) addRow(n, x, y);
    else copyRow(n, x, y);
  } else if (!adding && xStep == 0 && yStep == 4) {
    fillRow(n, load<f32>(x), y);
  } else {
    for (let left = n; left > 0; left--, x += xStep, y += yStep) {
      store<f32>(y, adding ? load<f32>(y) + load<f32>(x) : load<f32>(x));
    }
  }
}

/** Whether no two places of the box are one element of y, by strides that leave room for the axes behind them. */
@inline function isSeparate<Box>(r: Box): bool {
  const extent2 = r.n3 == 1 ? 1 : <i64>(r.n3 - 1) * r.y3 + 1;
  const extent1 = extent2 + <i64>(r.n2 - 1) * r.y2;
  const extent0 = extent1 + <i64>(r.n1 - 1) * r.y1;
  return (r.n3 == 1 || r.y3 > 0) && (r.n2 == 1 || r.y2 >= extent2) && (r.n1 == 1 || r.y1 >= extent1) && (r.n0 == 1 || r.y0 >= extent0);
}

/** Shares a box of four axes out by rows, its last axis, and a long row by parts; in order where elements of y recur. */
@inline function shareBox<Box>(r: Box, work: Work): void {
  if (r.n0 == 0 || r.n1 == 0 || r.n2 == 0) return;
  const tickets = ceilDiv(r.n0 * r.n1 * r.n2, rowsOf(STREAMED, r.n3)) * ceilDiv(r.n3, STREAMED);
  if (isSeparate(r)) parallel(tickets, work, changetype<usize>(r));
  else inTurn(tickets, work, changetype<usize>(r));
}

/** Rows of a ticket, or a part of one. `adding` is a constant where this is inlined. */
@inline function boxTicket<Box>(r: Box, adding: bool, ticket: i32): void {
  const n1 = r.n1, n2 = r.n2;
  const x2 = <usize>r.x2 << 2, x3 = <usize>r.x3 << 2, y2 = <usize>r.y2 << 2, y3 = <usize>r.y3 << 2;
  const parts = ceilDiv(r.n3, STREAMED), rows = rowsOf(STREAMED, r.n3);
  const from = ticket % parts * STREAMED, n = min(STREAMED, r.n3 - from);
  const end = min(r.n0 * n1 * n2, (ticket / parts + 1) * rows);
  for (let row = ticket / parts * rows; row < end;) {
    const i2 = row % n2, outer = row / n2;
    const i1 = outer % n1, i0 = outer / n1;
    let x = r.x + (<usize>i0 * r.x0 + <usize>i1 * r.x1 << 2) + <usize>i2 * x2 + <usize>from * x3;
    let y = r.y + (<usize>i0 * r.y0 + <usize>i1 * r.y1 << 2) + <usize>i2 * y2 + <usize>from * y3;
    const run = min(end - row, n2 - i2);
    for (let i = 0; i < run; i++, x += x2, y += y2) innermost(adding, n, x, x3, y, y3);
    row += run;
  }
}

function copyTicket(record: usize, _workspace: usize, ticket: i32): void {
  boxTicket(changetype<Copy>(record), false, ticket);
}

export function copy(r: Copy): void { shareBox(r, copyTicket); }

function copyAddTicket(record: usize, _workspace: usize, ticket: i32): void {
  boxTicket(changetype<CopyAdd>(record), true, ticket);
}

export function copyAdd(r: CopyAdd): void { shareBox(r, copyAddTicket); }

export function copyIf(r: CopyIf): void {
  if (load<f32>(r.flag) != 0) parallel(ceilDiv(r.n, STREAMED), copyIfTicket, changetype<usize>(r));
}

function copyIfTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<CopyIf>(record);
  const first = ticket * STREAMED, from = <usize>first << 2;
  copyRow(min(STREAMED, r.n - first), r.x + from, r.y + from);
}
