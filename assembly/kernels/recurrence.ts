/**
 * What all recurrences over a sequence share. The recurrent weight is packed once and serves every step. Rows of the batch are
 * independent over the whole sequence: some of them are a ticket. Where they are too few for that, units are shared out, step by step.
 */
import { packStrips } from '../simd/pack';
import { addRow, copyRow, fillRow } from '../simd/rows';
import { multiplyLoneRow, multiplyRoomyStrip, multiplyStrip, STRIP, STRIP_ROW, ZEROS } from '../simd/tile';
import { laneScratch, lanes, parallel, Work } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

/** Most rows of a ticket, and least if there are so many. */
const TICKET_ROWS: i32 = 32;
const FEWEST_ROWS: i32 = 3;
/** Units of a ticket that has all rows, for one step: two strips. */
export const TICKET_UNITS: i32 = 24;
/** Multiplications of a step that is worth sharing. */
const LEAST_SHARED: i64 = 1 << 16;

/** The workspace begins with the step under way where units are shared out; the packed weight follows. */
export const WEIGHT: usize = 64;

/** Bytes of the strips of so many columns, each [K][12]. */
@inline export function stripsOf(columns: i32, K: i32): usize { return <usize>ceilDiv(columns, STRIP) * K * STRIP_ROW; }

/** Rows of a ticket, two tickets for each lane if there are enough. */
@inline export function rowsOfTicket(B: i32): i32 {
  return lanes() == 1 ? TICKET_ROWS : min(max(ceilDiv(B, 2 * lanes()), FEWEST_ROWS), TICKET_ROWS);
}

/** Whether to share out units: where more than a quarter of the lanes would have no rows, and a step is worth a round of tickets. */
@inline function sharesUnits(B: i32, H: i32, multiplications: i64): bool {
  if (lanes() == 1 || H <= TICKET_UNITS || multiplications < LEAST_SHARED) return false;
  const turns = ceilDiv(ceilDiv(B, FEWEST_ROWS), lanes());
  return <i64>B * 4 < <i64>turns * lanes() * FEWEST_ROWS * 3;
}

/**
 * Runs a recurrence whose step takes so many multiplications: all steps of some rows as a ticket; or step by step some units as a
 * ticket, after `begin(record, 0, B)`.
 */
export function shareSteps(
  record: usize, workspace: usize, B: i32, H: i32, multiplications: i64, rowsTicket: Work, steps: i32, begin: Work,
  unitsTicket: Work,
): void {
  if (!sharesUnits(B, H, multiplications)) {
    parallel(ceilDiv(B, rowsOfTicket(B)), rowsTicket, record, workspace, false);
    return;
  }
  begin(record, 0, B);
  for (let step = 0; step < steps; step++) {
    store<i32>(workspace, step);
    parallel(ceilDiv(H, TICKET_UNITS), unitsTicket, record, workspace);
  }
}

/** Units that one ticket packs the weight of, each with `gates` rows of K: whole strips. */
@inline export function packedUnits(gates: i32, K: i32): i32 { return ceilDiv(rowsOf(STREAMED / gates, K), STRIP) * STRIP; }

/** The part of a factor's strips that a ticket packs: `units` columns from `unit` on, element (k, j) at `from` + k·depthStride + j·laneStride. */
export function packUnits(
  to: usize, from: usize, laneStride: usize, depthStride: usize, K: i32, unit: i32, units: i32, columns: i32,
): void {
  packStrips(to + stripsOf(unit, K), from + <usize>unit * laneStride, laneStride, depthStride, min(units, columns - unit), K);
}

/** Bytes of the sums of `count` rows for a strip. */
@inline export function sumsOf(count: i32): usize { return <usize>count * STRIP_ROW; }

/**
 * Σ over k of rows · strip for `count` rows, rowBytes apart, and `columns` columns of each of `strips` strips that lie `step` bytes apart,
 * K ≥ 1: the sums of one strip, [count][12], after those of the other.
 */
export function multiplyStrips(
  K: i32, rows: usize, rowBytes: usize, count: i32, columns: i32, weight: usize, strips: i32, step: usize, sums: usize,
): void {
  const size = sumsOf(count);
  if (count == 1) {
    for (let left = strips; left > 0; left -= 2, weight += step * 2, sums += size * 2) {
      multiplyLoneRow(K, rows, weight, left > 1 ? weight + step : weight, sums, left > 1 ? sums + size : sums);
    }
    return;
  }
  for (let strip = 0; strip < strips; strip++, weight += step, sums += size) {
    multiplyRoomyStrip(count, columns, K, rows, rowBytes, weight, ZEROS, 0, sums, STRIP_ROW);
  }
}

/** Whether row b has a step t. */
@inline export function isActive(lengths: usize, b: i32, t: i32): bool {
  return !lengths || t < load<i32>(lengths + (<usize>b << 2));
}

/** The flags of step t's rows that say whether they take the state before it as 0; 0 where none does. */
@inline export function cutsOf(resets: usize, T: i32, B: i32, reverse: bool, t: i32): usize {
  const boundary = reverse ? t + 1 : t;
  return resets && boundary < T ? resets + (<usize>boundary * B << 2) : 0;
}
@inline export function isCut(cuts: usize, b: i32): bool { return cuts != 0 && load<i32>(cuts + (<usize>b << 2)) != 0; }

/** Zeros in place of the sums of a row, `strips` of them `size` bytes apart. */
export function clearSums(sums: usize, strips: i32, size: usize): void {
  for (let strip = 0; strip < strips; strip++, sums += size) fillRow(STRIP, 0, sums);
}

/**
 * What goes back through the recurrent product of step t, dGates [B, J] · weight, for columns `column` … `end` − 1 of dState [B, W], and
 * rows `first` … `last` − 1 of those that have the step: in place of what is there, or added to it. Nothing goes to a row that took its
 * state as 0. The weight is in strips [J][12].
 */
export function carryBack(
  J: i32, dGates: usize, first: i32, last: i32, weight: usize, column: i32, end: i32, dState: usize, W: i32, adds: bool, lengths: usize,
  cuts: usize, t: i32,
): void {
  const gatesBytes = <usize>J << 2, rowBytes = <usize>W << 2, sums = laneScratch();
  dGates += <usize>first * gatesBytes;
  dState += <usize>first * rowBytes;
  weight += stripsOf(column, J);
  if (last - first == 1) {
    for (let k = column; k < end; k += STRIP * 2, weight += stripsOf(STRIP * 2, J)) {
      multiplyLoneRow(J, dGates, weight, end - k > STRIP ? weight + stripsOf(STRIP, J) : weight, sums, sums + STRIP_ROW);
      carryRow(min(end - k, STRIP * 2), sums, dState + (<usize>k << 2), adds, lengths, cuts, first, t);
    }
    return;
  }
  const isPlain = !cuts && areActive(lengths, first, last, t);
  for (let k = column; k < end; k += STRIP, weight += stripsOf(STRIP, J)) {
    const to = dState + (<usize>k << 2), columns = min(STRIP, end - k);
    if (isPlain) multiplyStrip(last - first, columns, J, dGates, gatesBytes, weight, adds ? to : ZEROS, adds ? rowBytes : 0, to, rowBytes);
    else carryRows(J, dGates, first, last, weight, columns, to, rowBytes, adds, lengths, cuts, t);
  }
}

/** A strip of columns where some rows are not to be changed. */
function carryRows(
  J: i32, dGates: usize, first: i32, last: i32, weight: usize, columns: i32, to: usize, rowBytes: usize, adds: bool, lengths: usize,
  cuts: usize, t: i32,
): void {
  const sums = laneScratch(), gatesBytes = <usize>J << 2;
  for (let b = first; b < last; b += AT_ONCE, dGates += gatesBytes * AT_ONCE) {
    const count = min(AT_ONCE, last - b);
    multiplyRoomyStrip(count, columns, J, dGates, gatesBytes, weight, ZEROS, 0, sums, STRIP_ROW);
    for (let i = 0; i < count; i++, to += rowBytes) {
      carryRow(columns, sums + <usize>i * STRIP_ROW, to, adds, lengths, cuts, b + i, t);
    }
  }
}

/** Rows whose sums the scratch of a lane holds. */
const AT_ONCE: i32 = 24;

function carryRow(columns: i32, sums: usize, to: usize, adds: bool, lengths: usize, cuts: usize, b: i32, t: i32): void {
  if (!isActive(lengths, b, t)) return;
  if (isCut(cuts, b)) {
    if (!adds) fillRow(columns, 0, to);
  } else if (adds) {
    addRow(columns, sums, to);
  } else {
    copyRow(columns, sums, to);
  }
}

/** Whether rows first … last − 1 all have a step t. */
function areActive(lengths: usize, first: i32, last: i32, t: i32): bool {
  for (let b = first; b < last; b++) if (!isActive(lengths, b, t)) return false;
  return true;
}
