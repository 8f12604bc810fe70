/**
 * What all recurrences over a sequence share: the order of rows, packed recurrent weights, and how steps are shared out. The weight is
 * packed once and serves every step. Rows of the batch are independent over the whole sequence: some of them are a ticket. Where they
 * are too few for that, units are shared out, step by step.
 *
 * Rows are taken longest first. Those that have a step are then the first of the order, and a step works on these only.
 */
import { packStrips } from '../simd/pack';
import { addRow, copyRow, fillRow } from '../simd/rows';
import { multiplyLoneRow, multiplyRowsOf, STRIP, STRIP_ROW, ZEROS } from '../simd/tile';
import { laneScratch, lanes, parallel, Work } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';
import { lengthOf } from './sequence';

/** Most rows of a ticket, and least if there are so many. */
const TICKET_ROWS: i32 = 32;
const FEWEST_ROWS: i32 = 3;
/** Units of a ticket that has all rows, for one step: two strips. */
export const TICKET_UNITS: i32 = 24;
/** Multiplications of a step that is worth sharing. */
const LEAST_SHARED: i64 = 1 << 16;

// The workspace begins with the step under way where units are shared out. The order of rows, how many are live at each step, and the
// packed weight follow.
const ORDER: usize = 64;

/** The rows in their order, int32 each. */
@inline function orderAt(workspace: usize): usize { return workspace + ORDER; }
/** How many rows have a step t, int32 each, t = 0 … T. */
@inline function liveAt(workspace: usize, B: i32): usize { return workspace + ORDER + (<usize>B << 2); }
/** The packed weight, at a cache line's beginning. */
@inline export function weightAt(workspace: usize, T: i32, B: i32): usize {
  return liveAt(workspace, B) + (<usize>(T + 1) << 2) + 63 & ~63;
}

/** Bytes of the strips of so many columns, each [K][12]. */
@inline export function stripsOf(columns: i32, K: i32): usize { return <usize>ceilDiv(columns, STRIP) * K * STRIP_ROW; }

// Rows, longest first

/** The row at a place of an order. */
@inline export function rowAt(rows: usize, place: i32): i32 { return load<i32>(rows + (<usize>place << 2)); }

/** In how many runs the rows are shared out, two for each lane if there are enough rows. */
@inline export function runsOf(B: i32): i32 {
  return ceilDiv(B, lanes() == 1 ? TICKET_ROWS : min(max(ceilDiv(B, 2 * lanes()), FEWEST_ROWS), TICKET_ROWS));
}

/** The place of the first row of a run, one of so many; the places of all runs, one after another, are those of the order. */
@inline export function placeOf(run: i32, runs: i32, B: i32): i32 { return run * (B / runs) + min(run, B % runs); }

/** The rows of a run from a place on. */
@inline export function rowsFrom(workspace: usize, place: i32): usize { return orderAt(workspace) + (<usize>place << 2); }

/** How many rows of a run have step t: its first ones. */
@inline export function liveRows(workspace: usize, B: i32, t: i32, run: i32, runs: i32): i32 {
  return (rowAt(liveAt(workspace, B), t) + runs - 1 - run) / runs;
}

/**
 * Puts the rows in their order, those of the same length as they come, and counts the live rows of each step. Where rows end early they
 * are dealt to the runs in turn, so that all of these have as much to do; else a run is of neighbours, since lanes disturb each other
 * least that way.
 */
export function orderRows(workspace: usize, T: i32, B: i32, lengths: usize, runs: i32): void {
  const order = orderAt(workspace), live = liveAt(workspace, B);
  memory.fill(live, 0, <usize>(T + 1) << 2);
  for (let b = 0; b < B; b++) {
    const same = live + (<usize>lengthOf(lengths, b, T) << 2);
    store<i32>(same, load<i32>(same) + 1);
  }
  // Rows of t steps or more; while they take their places, counted down to those of more than t.
  for (let t = T - 1; t >= 0; t--) {
    const at = live + (<usize>t << 2);
    store<i32>(at, load<i32>(at) + load<i32>(at, 4));
  }
  const deals = rowAt(live, T) < B;
  for (let b = B - 1; b >= 0; b--) {
    const its = live + (<usize>lengthOf(lengths, b, T) << 2), place = load<i32>(its) - 1;
    store<i32>(its, place);
    store<i32>(order + (<usize>(deals ? placeOf(place % runs, runs, B) + place / runs : place) << 2), b);
  }
}

// Tickets

/** Whether to share out units: where more than a quarter of the lanes would have no rows, and a step is worth a round of tickets. */
@inline function sharesUnits(B: i32, H: i32, multiplications: i64): bool {
  if (lanes() == 1 || H <= TICKET_UNITS || multiplications < LEAST_SHARED) return false;
  const turns = ceilDiv(ceilDiv(B, FEWEST_ROWS), lanes());
  return <i64>B * 4 < <i64>turns * lanes() * FEWEST_ROWS * 3;
}

/**
 * Runs a recurrence whose step takes so many multiplications: all steps of a run of rows as a ticket; or step by step some units as a
 * ticket, after `begin(record, rows, B)`.
 */
export function shareSteps(
  record: usize, workspace: usize, T: i32, B: i32, H: i32, lengths: usize, multiplications: i64, rowsTicket: Work, steps: i32, begin: Work,
  unitsTicket: Work,
): void {
  if (!sharesUnits(B, H, multiplications)) {
    shareRows(record, workspace, T, B, lengths, rowsTicket);
    return;
  }
  orderRows(workspace, T, B, lengths, 1);
  begin(record, rowsFrom(workspace, 0), B);
  for (let step = 0; step < steps; step++) {
    store<i32>(workspace, step);
    parallel(ceilDiv(H, TICKET_UNITS), unitsTicket, record, workspace);
  }
}

/** Runs a recurrence, all steps of a run of rows as a ticket. */
export function shareRows(record: usize, workspace: usize, T: i32, B: i32, lengths: usize, rowsTicket: Work): void {
  const runs = runsOf(B);
  orderRows(workspace, T, B, lengths, runs);
  parallel(runs, rowsTicket, record, workspace, false);
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
 * Σ over k of states · strip for the first `count` of `rows`, whose states lie rowBytes apart, and `columns` columns of each of `strips`
 * strips that lie `step` bytes apart, K ≥ 1: the sums of one strip, [count][12], after those of the other.
 */
export function multiplyStrips(
  K: i32, states: usize, rowBytes: usize, rows: usize, count: i32, columns: i32, weight: usize, strips: i32, step: usize, sums: usize,
): void {
  const size = sumsOf(count);
  if (count == 1) {
    const state = states + rowBytes * rowAt(rows, 0);
    for (let left = strips; left > 0; left -= 2, weight += step * 2, sums += size * 2) {
      multiplyLoneRow(K, state, weight, left > 1 ? weight + step : weight, sums, left > 1 ? sums + size : sums);
    }
    return;
  }
  for (let strip = 0; strip < strips; strip++, weight += step, sums += size) {
    multiplyRowsOf(count, columns, K, rows, states, rowBytes, weight, 0, ZEROS, 0, sums, STRIP_ROW);
  }
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
 * What goes back through the recurrent product of a step, dGates [B, J] · weight, for columns `column` … `end` − 1 of dState [B, W], and
 * the first `count` of `rows`, which have the step: in place of what is there, or added to it. Nothing goes to a row that took its
 * state as 0. The weight is in strips [J][12].
 */
export function carryBack(
  J: i32, dGates: usize, rows: usize, count: i32, weight: usize, column: i32, end: i32, dState: usize, W: i32, adds: bool, cuts: usize,
): void {
  const gatesBytes = <usize>J << 2, rowBytes = <usize>W << 2;
  weight += stripsOf(column, J);
  if (count == 1) {
    const sums = laneScratch(), b = rowAt(rows, 0);
    dGates += gatesBytes * b;
    dState += rowBytes * b;
    for (let k = column; k < end; k += STRIP * 2, weight += stripsOf(STRIP * 2, J)) {
      multiplyLoneRow(J, dGates, weight, end - k > STRIP ? weight + stripsOf(STRIP, J) : weight, sums, sums + STRIP_ROW);
      carryRow(min(end - k, STRIP * 2), sums, dState + (<usize>k << 2), adds, isCut(cuts, b));
    }
    return;
  }
  for (let k = column; k < end; k += STRIP, weight += stripsOf(STRIP, J)) {
    const to = dState + (<usize>k << 2), columns = min(STRIP, end - k);
    if (!cuts && (columns & 3) == 0) {
      multiplyRowsOf(count, columns, J, rows, dGates, gatesBytes, weight, rows, adds ? to : ZEROS, adds ? rowBytes : 0, to, rowBytes);
    } else {
      carryRows(J, dGates, rows, count, weight, columns, to, rowBytes, adds, cuts);
    }
  }
}

/** A strip of columns that are no whole vectors, or where some rows took their state as 0. */
function carryRows(
  J: i32, dGates: usize, rows: usize, count: i32, weight: usize, columns: i32, to: usize, rowBytes: usize, adds: bool, cuts: usize,
): void {
  const sums = laneScratch(), gatesBytes = <usize>J << 2;
  for (; count > 0; count -= AT_ONCE, rows += AT_ONCE << 2) {
    const some = min(AT_ONCE, count);
    multiplyRowsOf(some, columns, J, rows, dGates, gatesBytes, weight, 0, ZEROS, 0, sums, STRIP_ROW);
    for (let i = 0; i < some; i++) {
      const b = rowAt(rows, i);
      carryRow(columns, sums + <usize>i * STRIP_ROW, to + rowBytes * b, adds, isCut(cuts, b));
    }
  }
}

/** Rows whose sums the scratch of a lane holds. */
const AT_ONCE: i32 = 24;

@inline function carryRow(columns: i32, sums: usize, to: usize, adds: bool, cut: bool): void {
  if (cut) {
    if (!adds) fillRow(columns, 0, to);
  } else if (adds) {
    addRow(columns, sums, to);
  } else {
    copyRow(columns, sums, to);
  }
}
