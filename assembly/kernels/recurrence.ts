/**
 * What all recurrences over a sequence share. The recurrent weight is packed once and serves every step. Rows of the batch are
 * independent over the whole sequence: some of them are a ticket. Where they are too few for that, units are shared out, step by step.
 */
import { splat } from '../simd/lanes';
import { packLanes } from '../simd/pack';
import { addRow, copyRow, fillRow } from '../simd/rows';
import { rowTile, TILE_COLUMNS, TILE_ROW_BYTES, TILE_ROWS, tile, ZEROS } from '../simd/tile';
import { laneScratch, lanes, parallel, Work } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

/** Most rows of a ticket. */
const TICKET_ROWS: i32 = 32;
/** Units of a ticket that has all rows, for one step. */
export const TICKET_UNITS: i32 = 32;
/** Multiplications of a step that is worth sharing. */
const LEAST_SHARED: i64 = 1 << 16;

/** The workspace begins with the step under way where units are shared out; the packed weight follows. */
export const WEIGHT: usize = 64;

/** Bytes of `strips` strips of eight columns, each [K][8]. */
@inline export function stripsBytes(strips: i32, K: i32): usize { return <usize>strips * TILE_COLUMNS * K << 2; }

/** Whole tiles of rows for each ticket, two tickets for each lane if there are enough. */
@inline export function rowsOfTicket(B: i32): i32 {
  if (lanes() == 1) return TICKET_ROWS;
  return min(max(B / (2 * lanes()) / TILE_ROWS * TILE_ROWS, TILE_ROWS), TICKET_ROWS);
}

/** Whether to share out units: where more than a quarter of the lanes would have no rows, and a step is worth a round of tickets. */
@inline function sharesUnits(B: i32, H: i32, multiplications: i64): bool {
  if (lanes() == 1 || H <= TICKET_UNITS || multiplications < LEAST_SHARED) return false;
  const turns = ceilDiv(ceilDiv(B, TILE_ROWS), lanes());
  return <i64>B * 4 < <i64>turns * lanes() * TILE_ROWS * 3;
}

/**
 * Runs a recurrence whose step takes so many multiplications: all steps of some rows as a ticket; or step by step some units as a
 * ticket, each of `steps` steps begun by `prepare(record, workspace, step)`, which `begin(record, 0, B)` precedes.
 */
export function shareSteps(
  record: usize, workspace: usize, B: i32, H: i32, multiplications: i64, rowsTicket: Work, steps: i32, begin: Work, prepare: Work,
  unitsTicket: Work,
): void {
  if (!sharesUnits(B, H, multiplications)) {
    parallel(ceilDiv(B, rowsOfTicket(B)), rowsTicket, record, workspace, false);
    return;
  }
  begin(record, 0, B);
  for (let step = 0; step < steps; step++) {
    store<i32>(workspace, step);
    prepare(record, workspace, step);
    parallel(ceilDiv(H, TICKET_UNITS), unitsTicket, record, workspace);
  }
}

/** Units that one ticket packs the weight of, each with `gates` rows of K: whole strips. */
@inline export function packedUnits(gates: i32, K: i32): i32 {
  return ceilDiv(rowsOf(STREAMED / gates, K), TILE_COLUMNS) * TILE_COLUMNS;
}

/** Columns `column` … `end` − 1 of a factor, element (k, j) at `from` + k·depthStride + j·laneStride bytes, as strips [K][8]. */
export function packStrips(
  to: usize, from: usize, laneStride: usize, depthStride: usize, K: i32, column: i32, end: i32, columns: i32,
): void {
  to += <usize>column * K << 2;
  for (let j = column; j < end; j += TILE_COLUMNS, to += <usize>K * TILE_COLUMNS << 2) {
    const strip = from + <usize>j * laneStride;
    packLanes(to, 32, strip, laneStride, depthStride, columns - j, K);
    packLanes(to + 16, 32, strip + laneStride * 4, laneStride, depthStride, columns - j - 4, K);
  }
}

/** Rows `first` … `end` − 1 of a matrix with `columns` columns, as strips [columns][4]. */
export function packRows(to: usize, matrix: usize, first: i32, end: i32, columns: i32): void {
  const rowBytes = <usize>columns << 2;
  for (let b = first; b < end; b += TILE_ROWS, to += rowBytes * TILE_ROWS) {
    packLanes(to, 16, matrix + <usize>b * rowBytes, rowBytes, 4, end - b, columns);
  }
}

/** Bytes of the sums of `count` rows for a strip. */
@inline export function sumsOf(count: i32): usize { return <usize>ceilDiv(count, TILE_ROWS) * TILE_ROWS * TILE_ROW_BYTES; }

/**
 * Σ over k of rows · strip for `count` packed rows, of which the last is needed unpacked as well, and `strips` strips that lie `step`
 * bytes apart, K ≥ 1: the sums of one strip, [rows][8], after those of the other.
 */
export function multiplyStrips(
  K: i32, rows: usize, lastRow: usize, count: i32, weight: usize, strips: i32, step: usize, sums: usize,
): void {
  const tileBytes = <usize>K * TILE_ROWS << 2, size = sumsOf(count);
  if (count == 1) {
    for (let left = strips; left > 0; left -= 2, weight += step * 2, sums += size * 2) {
      rowPair(K, lastRow, weight, left > 1 ? weight + step : weight, sums, left > 1 ? sums + size : sums);
    }
    return;
  }
  for (let strip = 0; strip < strips; strip++, weight += step, sums += size) {
    let from = rows, to = sums;
    for (let left = count; left > 0; left -= TILE_ROWS, from += tileBytes, to += TILE_ROW_BYTES * TILE_ROWS) {
      tile(K, from, weight, ZEROS, 0, to, TILE_ROW_BYTES);
    }
  }
}

/** A lone row times two strips; both may be one. */
@inline function rowPair(K: i32, row: usize, weight: usize, nextWeight: usize, to: usize, nextTo: usize): void {
  const sums = laneScratch();
  rowTile(K, row, weight, nextWeight, sums);
  v128.store(to, v128.load(sums));
  v128.store(to, v128.load(sums, 16), 16);
  v128.store(nextTo, v128.load(sums, 32));
  v128.store(nextTo, v128.load(sums, 48), 16);
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
  for (let strip = 0; strip < strips; strip++, sums += size) {
    v128.store(sums, splat(0));
    v128.store(sums, splat(0), 16);
  }
}

/**
 * What goes back through the recurrent product of step t, dGates [rows, J] · weight, for columns `column` … `end` − 1 of dState
 * [B, W], and rows `first` … `last` − 1 of those that have the step: in place of what is there, or added to it. Nothing goes to a row
 * that took its state as 0. The weight is in strips [J][8], the rows of dGates are packed, the last of them is needed unpacked as well.
 */
export function carryBack(
  J: i32, rows: usize, lastRow: usize, first: i32, last: i32, weight: usize, column: i32, end: i32, dState: usize, W: i32, adds: bool,
  lengths: usize, cuts: usize, t: i32,
): void {
  const stripBytes = <usize>J * TILE_COLUMNS << 2, tileBytes = <usize>J * TILE_ROWS << 2, rowBytes = <usize>W << 2;
  const sums = laneScratch();
  weight += <usize>column * J << 2;
  if (last - first == 1) {
    for (let k = column; k < end; k += TILE_COLUMNS * 2, weight += stripBytes * 2) {
      rowTile(J, lastRow, weight, end - k > TILE_COLUMNS ? weight + stripBytes : weight, sums);
      carryRow(min(end - k, TILE_COLUMNS * 2), sums, dState + (<usize>first * W + k << 2), adds, lengths, cuts, first, t);
    }
    return;
  }
  for (let k = column; k < end; k += TILE_COLUMNS, weight += stripBytes) {
    let from = rows;
    const columns = min(TILE_COLUMNS, end - k);
    for (let b = first; b < last; b += TILE_ROWS, from += tileBytes) {
      const to = dState + (<usize>b * W + k << 2);
      if (columns == TILE_COLUMNS && !cuts && areActive(lengths, b, last, t)) {
        if (adds) tile(J, from, weight, to, rowBytes, to, rowBytes);
        else tile(J, from, weight, ZEROS, 0, to, rowBytes);
        continue;
      }
      tile(J, from, weight, ZEROS, 0, sums, TILE_ROW_BYTES);
      for (let i = 0, count = min(TILE_ROWS, last - b); i < count; i++) {
        carryRow(columns, sums + <usize>i * TILE_ROW_BYTES, to + <usize>i * rowBytes, adds, lengths, cuts, b + i, t);
      }
    }
  }
}

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

/** Whether a whole tile of rows starts at b and takes step t. */
@inline function areActive(lengths: usize, b: i32, end: i32, t: i32): bool {
  return end - b >= TILE_ROWS
    && isActive(lengths, b, t) && isActive(lengths, b + 1, t) && isActive(lengths, b + 2, t) && isActive(lengths, b + 3, t);
}
