/**
 * An LSTM layer over a sequence. The gates are computed where the tile has just left its sums.
 * Equations and order of sums: the instruction list. Gates are i, f, g, o, each H wide.
 */
import { LstmBackward, LstmForward } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { packLanes } from '../simd/pack';
import { copyOrZero, copyRow, fillRow } from '../simd/rows';
import { rowTile, TILE_COLUMNS, TILE_ROWS, tile, ZEROS } from '../simd/tile';
import { parallel } from '../team';
import { ceilDiv } from '../tickets';
import {
  carryBack, cutsOf, isActive, isCut, packedUnits, packRows, packStrips, rowsOfTicket, shareSteps, stripsBytes, TICKET_UNITS, WEIGHT,
} from './recurrence';

const GATES: i32 = 4;

/** Units of a group: a cache line of each gate. A group is four times four units, whose sums are rows of i f g o. */
const GROUP: i32 = 16;
const SUMS_ROW: usize = 64;

/** Cells of a group that a row which starts anew begins with. */
const NO_CELLS: usize = memory.data(64, 16);

/** Behind the weight, for every row of the batch, in tiles: its packed gates, or states, and the sums of a group. */
@inline function rowsAt(workspace: usize, H: i32, first: i32): usize {
  const weight = stripsBytes(ceilDiv(H, TILE_COLUMNS) * GATES, H);
  return workspace + WEIGHT + weight + <usize>first * ((<usize>H << 4) + SUMS_ROW * 4);
}

/** Bytes of a quarter of a group's sums for `count` rows. */
@inline function quarterOf(count: i32): usize { return <usize>ceilDiv(count, TILE_ROWS) * TILE_ROWS * SUMS_ROW; }

// Forward

/** xGates [T, B, 4H], weightHh [4H, H] → hidden, cell [T+1, B, H], gates [T, B, 4H], tanhCell [T, B, H]. */
export function lstmForward(r: LstmForward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(GATES, H)), packForwardTicket, record, workspace);
  shareSteps(record, workspace, B, H, <i64>B * H * H * GATES, forwardRowsTicket, r.T, initialStates, prepareForward, forwardUnitsTicket);
}

/** weightHh [4, H, H] → for every four units, two strips [H][8]: i and f, then g and o. */
function packForwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmForward>(record), H = r.H;
  const rowBytes = <usize>H << 2;
  const gateBytes = rowBytes * H;
  const stripBytes = rowBytes * TILE_COLUMNS;
  const first = ticket * packedUnits(GATES, H), end = min(H, first + packedUnits(GATES, H));
  let to = workspace + WEIGHT + <usize>(first >> 2) * stripBytes * 2;
  for (let unit = first; unit < end; unit += 4, to += stripBytes * 2) {
    const from = r.weightHh + <usize>unit * rowBytes;
    packLanes(to, 32, from, rowBytes, 4, H - unit, H);
    packLanes(to + 16, 32, from + gateBytes, rowBytes, 4, H - unit, H);
    packLanes(to + stripBytes, 32, from + gateBytes * 2, rowBytes, 4, H - unit, H);
    packLanes(to + stripBytes + 16, 32, from + gateBytes * 3, rowBytes, 4, H - unit, H);
  }
}

function initialStates(record: usize, first: usize, end: i32): void {
  const r = changetype<LstmForward>(record), rowBytes = <usize>r.H << 2;
  const start: usize = r.reverse ? <usize>r.T * r.B * rowBytes : 0;
  for (let b = <i32>first; b < end; b++) {
    const at = <usize>b * rowBytes;
    copyOrZero(r.H, r.h0 ? r.h0 + at : 0, r.hidden + start + at);
    copyOrZero(r.H, r.c0 ? r.c0 + at : 0, r.cell + start + at);
  }
}

/** The hidden states that step t begins with. */
@inline function stateBefore(r: LstmForward, t: i32): usize {
  return r.hidden + (<usize>(r.reverse ? t + 1 : t) * r.B * r.H << 2);
}

/** All steps of some rows. */
function forwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmForward>(record);
  const T = r.T, H = r.H;
  const first = ticket * rowsOfTicket(r.B), end = min(r.B, first + rowsOfTicket(r.B));
  const sums = rowsAt(workspace, H, first), rows = sums + quarterOf(end - first) * 4;
  initialStates(record, first, end);
  for (let step = 0; step < T; step++) {
    const t = r.reverse ? T - 1 - step : step;
    if (end - first > 1) packRows(rows, stateBefore(r, t), first, end, H);
    stepForward(r, workspace + WEIGHT, rows, sums, first, end, 0, H, t);
  }
}

function prepareForward(record: usize, workspace: usize, step: i32): void {
  const r = changetype<LstmForward>(record), t = r.reverse ? r.T - 1 - step : step;
  if (r.B > 1) packRows(rowsAt(workspace, r.H, 0), stateBefore(r, t), 0, r.B, r.H);
}

/** One step of all rows for some units. */
function forwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmForward>(record);
  const B = r.B, H = r.H, step = load<i32>(workspace), t = r.reverse ? r.T - 1 - step : step;
  const unit = ticket * TICKET_UNITS, end = min(H, unit + TICKET_UNITS);
  const rows = rowsAt(workspace, H, 0);
  const sums = rows + <usize>ceilDiv(B, TILE_ROWS) * TILE_ROWS * (<usize>H << 2) + quarterOf(B) * 4 * ticket;
  stepForward(r, workspace + WEIGHT, rows, sums, 0, B, unit, end, t);
}

/**
 * Step t of the rows `first` … `end` − 1, packed at `rows`, for units `unit` … `lastUnit` − 1. A group of units at a time: four units'
 * part of the weight stays in L1 for all rows, and every line of the gates is used whole.
 */
function stepForward(
  r: LstmForward, weight: usize, rows: usize, sums: usize, first: i32, end: i32, unit: i32, lastUnit: i32, t: i32,
): void {
  const stateBytes = <usize>r.B * r.H << 2, reverse = r.reverse != 0;
  const before = <usize>(reverse ? t + 1 : t) * stateBytes, after = <usize>(reverse ? t : t + 1) * stateBytes;
  const lastRow = r.hidden + before + (<usize>(end - 1) * r.H << 2), quarter = quarterOf(end - first);
  for (; unit < lastUnit; unit += GROUP) {
    multiplyGroup(r.H, weight, rows, lastRow, sums, quarter, unit, min(unit + GROUP, lastUnit), end - first);
    if (lastUnit - unit >= GROUP) activateGroup(r, sums, quarter, first, end, unit, t, before, after);
    else activate(r, sums, quarter, first, end, unit, lastUnit - unit, false, t, before, after);
  }
}

/** The sums of units `unit` … `lastUnit` − 1 for `count` packed rows, of which the last is needed unpacked as well. */
function multiplyGroup(
  H: i32, weight: usize, rows: usize, lastRow: usize, sums: usize, quarter: usize, unit: i32, lastUnit: i32, count: i32,
): void {
  const tileBytes = <usize>H * TILE_ROWS << 2, stripBytes = <usize>H * TILE_COLUMNS << 2;
  weight += <usize>(unit >> 2) * stripBytes * 2;
  for (; unit < lastUnit; unit += 4, weight += stripBytes * 2, sums += quarter) {
    let hidden = rows, to = sums;
    for (let left = count; left > 0; left -= TILE_ROWS, hidden += tileBytes, to += SUMS_ROW * TILE_ROWS) {
      if (left == 1) {
        rowTile(H, lastRow, weight, weight + stripBytes, to);
      } else {
        tile(H, hidden, weight, ZEROS, 0, to, SUMS_ROW);
        tile(H, hidden, weight + stripBytes, ZEROS, 0, to + 32, SUMS_ROW);
      }
    }
  }
}

/**
 * Gates, cell and hidden state of `units` units from `unit` on, for each row, from the row's sums. In two passes, so that no
 * tanh of a cell waits for its gates, and two functions at a time: V8 interleaves what no store separates.
 */
@inline function activate(
  r: LstmForward, sums: usize, quarter: usize, first: i32, end: i32, unit: i32, units: i32, whole: bool, t: i32, before: usize,
  after: usize,
): void {
  const lengths = r.lengths, stateRow = <usize>r.H << 2, gatesRow = stateRow * 4;
  const inState = <usize>first * stateRow + (<usize>unit << 2);
  const inGates = (<usize>t * r.B + first) * gatesRow + (<usize>unit << 2);

  const cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);

  let xRow = r.xGates + inGates, gatesOfRow = r.gates + inGates;
  for (let b = first; b < end; b++, xRow += gatesRow, gatesOfRow += gatesRow, sums += SUMS_ROW) {
    if (!isActive(lengths, b, t)) continue;
    if (isCut(cuts, b)) clearGroup(sums, quarter);
    let x = xRow, gates = gatesOfRow, sum = sums;
    for (let done = 0; done < units; done += 4, x += 16, gates += 16, sum += quarter) {
      const left = whole ? 4 : units - done;
      const i = math.sigmoid(f32x4.add(loadLanes(x, left), v128.load(sum)));
      const f = math.sigmoid(f32x4.add(loadLanes(x + stateRow, left), v128.load(sum, 16)));
      storeLanes(gates, i, left);
      storeLanes(gates + stateRow, f, left);
      const g = math.tanh(f32x4.add(loadLanes(x + stateRow * 2, left), v128.load(sum, 32)));
      const o = math.sigmoid(f32x4.add(loadLanes(x + stateRow * 3, left), v128.load(sum, 48)));
      storeLanes(gates + stateRow * 2, g, left);
      storeLanes(gates + stateRow * 3, o, left);
    }
  }

  gatesOfRow = r.gates + inGates;
  let tanhCellOfRow = r.tanhCell + <usize>t * r.B * stateRow + inState;
  let at = inState;
  for (let b = first; b < end; b++, gatesOfRow += gatesRow, tanhCellOfRow += stateRow, at += stateRow) {
    let hiddenBefore = r.hidden + before + at, hiddenAfter = r.hidden + after + at;
    let cellBefore = r.cell + before + at, cellAfter = r.cell + after + at;
    if (isActive(lengths, b, t)) {
      if (isCut(cuts, b)) cellBefore = NO_CELLS;
      let gates = gatesOfRow, tanhCellAt = tanhCellOfRow;
      for (let done = 0; done < units; done += 4) {
        const left = whole ? 4 : units - done;
        const i = loadLanes(gates, left), f = loadLanes(gates + stateRow, left), g = loadLanes(gates + stateRow * 2, left);
        const cell = fma(i, g, f32x4.mul(f, loadLanes(cellBefore, left)));
        const tanhCell = math.tanh(cell);
        storeLanes(cellAfter, cell, left);
        storeLanes(tanhCellAt, tanhCell, left);
        storeLanes(hiddenAfter, f32x4.mul(loadLanes(gates + stateRow * 3, left), tanhCell), left);
        gates += 16, tanhCellAt += 16, cellBefore += 16, cellAfter += 16, hiddenAfter += 16;
      }
    } else {
      copyRow(units, hiddenBefore, hiddenAfter);
      copyRow(units, cellBefore, cellAfter);
    }
  }
}

/** Zeros in place of a row's sums. */
function clearGroup(sums: usize, quarter: usize): void {
  for (let four = 0; four < GROUP; four += 4, sums += quarter) fillRow(16, 0, sums);
}

/** A whole group, in a function of its own, so that no question about `left` remains in its loops. */
function activateGroup(
  r: LstmForward, sums: usize, quarter: usize, first: i32, end: i32, unit: i32, t: i32, before: usize, after: usize,
): void {
  activate(r, sums, quarter, first, end, unit, GROUP, true, t, before, after);
}

// Backward

/**
 * dHidden [T, B, H], dHLast, dCLast [B, H] → dGates [T, B, 4H], dH0, dC0 [B, H], and the inspected derivatives. Against the order of
 * the forward steps; dH0 carries `recurrent`, the gradient that reaches a hidden state from the step after it, and dC0 the product
 * dc₊₁·f₊₁. Rows that are past their end leave both alone.
 */
export function lstmBackward(r: LstmBackward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(GATES, H)), packBackwardTicket, record, workspace);
  shareSteps(
    record, workspace, B, H, <i64>B * H * H * GATES, backwardRowsTicket, r.T + 1, finalGradients, prepareBackward, backwardUnitsTicket,
  );
}

/** weightHh [4H, H] → for every eight hidden states a strip [4H][8]. */
function packBackwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmBackward>(record), H = r.H, units = packedUnits(GATES, H);
  packStrips(workspace + WEIGHT, r.weightHh, 4, <usize>H << 2, H * GATES, ticket * units, min(H, (ticket + 1) * units), H);
}

function finalGradients(record: usize, first: usize, end: i32): void {
  const r = changetype<LstmBackward>(record), H = r.H;
  for (let b = <i32>first; b < end; b++) {
    const at = <usize>b * H << 2;
    copyOrZero(H, r.dHLast ? r.dHLast + at : 0, r.dH0 + at);
    copyOrZero(H, r.dCLast ? r.dCLast + at : 0, r.dC0 + at);
  }
}

/** The time of the `step`th step backwards. */
@inline function timeOf(r: LstmBackward, step: i32): i32 { return r.reverse ? step : r.T - 1 - step; }
@inline function dGatesOf(r: LstmBackward, step: i32): usize {
  return r.dGates + (<usize>timeOf(r, step) * r.B * r.H * 4 << 2);
}

/** All steps of some rows. */
function backwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmBackward>(record);
  const T = r.T, H = r.H;
  const first = ticket * rowsOfTicket(r.B), end = min(r.B, first + rowsOfTicket(r.B));
  const rows = rowsAt(workspace, H, first);
  finalGradients(record, first, end);
  for (let step = 0; step < T; step++) {
    const t = timeOf(r, step);
    gradients(r, first, end, 0, H, t);
    if (end - first > 1) packRows(rows, dGatesOf(r, step), first, end, H * 4);
    recurrent(r, workspace + WEIGHT, rows, first, end, 0, H, t);
  }
}

function prepareBackward(record: usize, workspace: usize, step: i32): void {
  const r = changetype<LstmBackward>(record);
  if (step > 0 && r.B > 1) packRows(rowsAt(workspace, r.H, 0), dGatesOf(r, step - 1), 0, r.B, r.H * GATES);
}

/** One step of all rows for some units: what reaches them from the step before this, then their gradients. */
function backwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmBackward>(record);
  const B = r.B, H = r.H, step = load<i32>(workspace);
  const unit = ticket * TICKET_UNITS, end = min(H, unit + TICKET_UNITS);
  if (step > 0) recurrent(r, workspace + WEIGHT, rowsAt(workspace, H, 0), 0, B, unit, end, timeOf(r, step - 1));
  if (step < r.T) gradients(r, 0, B, unit, end, timeOf(r, step));
}

function gradients(r: LstmBackward, first: i32, end: i32, unit: i32, lastUnit: i32, t: i32): void {
  const cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  for (let b = first; b < end; b++) {
    if (isActive(r.lengths, b, t)) rowGradients(r, t, b, r.reverse ? t + 1 : t, isCut(cuts, b), unit, lastUnit - unit);
    else clearGradients(r, t, b, unit, lastUnit - unit);
  }
}

/**
 * dGates and the inspected values of `units` units of one row of step t; `before` is the index of the state that the step began with,
 * `cut` whether it took it as 0.
 */
function rowGradients(r: LstmBackward, t: i32, b: i32, before: i32, cut: bool, unit: i32, units: i32): void {
  const B = r.B, gateBytes = <usize>r.H << 2, atUnit = <usize>unit << 2;
  const inState = <usize>b * gateBytes + atUnit;
  const inStep = <usize>t * B * gateBytes + inState;
  const inGates = (<usize>t * B + b) * gateBytes * 4 + atUnit;
  const hasHidden = r.dHidden != 0, dHiddenTotal = r.dHiddenTotal, dCellTotal = r.dCellTotal, dGateValues = r.dGateValues;
  let gates = r.gates + inGates, dGates = r.dGates + inGates, values = dGateValues + inGates;
  let dHidden = r.dHidden + inStep, tanhCellAt = r.tanhCell + inStep;
  let cellAt = r.cell + <usize>before * B * gateBytes + inState;
  let dH0 = r.dH0 + inState, dC0 = r.dC0 + inState;
  let dHiddenAt = dHiddenTotal + inStep, dCellAt = dCellTotal + inStep;
  for (let left = units; left > 0; left -= 4) {
    const i = loadLanes(gates, left), f = loadLanes(gates + gateBytes, left);
    const g = loadLanes(gates + gateBytes * 2, left), o = loadLanes(gates + gateBytes * 3, left);
    const tanhCell = loadLanes(tanhCellAt, left);
    // hidden = o·tanh(c)
    let dh = loadLanes(dH0, left);
    if (hasHidden) dh = f32x4.add(dh, loadLanes(dHidden, left));
    const dc = fma(f32x4.mul(dh, o), fma(f32x4.neg(tanhCell), tanhCell, splat(1)), loadLanes(dC0, left));
    // c = f·c₋₁ + i·g
    const di = f32x4.mul(dc, g), df = f32x4.mul(dc, cut ? splat(0) : loadLanes(cellAt, left));
    const dg = f32x4.mul(dc, i), dOutput = f32x4.mul(dh, tanhCell);
    // i, f, o = sigmoid, g = tanh of what was summed
    storeLanes(dGates, f32x4.mul(di, fma(f32x4.neg(i), i, i)), left);
    storeLanes(dGates + gateBytes, f32x4.mul(df, fma(f32x4.neg(f), f, f)), left);
    storeLanes(dGates + gateBytes * 2, f32x4.mul(dg, fma(f32x4.neg(g), g, splat(1))), left);
    storeLanes(dGates + gateBytes * 3, f32x4.mul(dOutput, fma(f32x4.neg(o), o, o)), left);
    storeLanes(dC0, cut ? splat(0) : f32x4.mul(dc, f), left);
    if (dHiddenTotal) storeLanes(dHiddenAt, dh, left);
    if (dCellTotal) storeLanes(dCellAt, dc, left);
    if (dGateValues) {
      storeLanes(values, di, left);
      storeLanes(values + gateBytes, df, left);
      storeLanes(values + gateBytes * 2, dg, left);
      storeLanes(values + gateBytes * 3, dOutput, left);
    }
    gates += 16, dGates += 16, values += 16, dHidden += 16, tanhCellAt += 16, cellAt += 16;
    dH0 += 16, dC0 += 16, dHiddenAt += 16, dCellAt += 16;
  }
}

/** A step behind the end of a row's sequence. */
function clearGradients(r: LstmBackward, t: i32, b: i32, unit: i32, units: i32): void {
  const row = (<usize>t * r.B + b) * r.H, inStep = row + unit << 2;
  for (let gate = 0; gate < 4; gate++) {
    const inGates = (row * 4 + <usize>gate * r.H + unit) << 2;
    fillRow(units, 0, r.dGates + inGates);
    if (r.dGateValues) fillRow(units, 0, r.dGateValues + inGates);
  }
  if (r.dHiddenTotal) fillRow(units, 0, r.dHiddenTotal + inStep);
  if (r.dCellTotal) fillRow(units, 0, r.dCellTotal + inStep);
}

/** dGates·weightHh of step t for units `unit` … `lastUnit` − 1 of the rows that took the step, into dH0. */
function recurrent(
  r: LstmBackward, weight: usize, rows: usize, first: i32, end: i32, unit: i32, lastUnit: i32, t: i32,
): void {
  const H = r.H, lastRow = r.dGates + ((<usize>t * r.B + end - 1) * H * GATES << 2);
  const cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  carryBack(H * GATES, rows, lastRow, first, end, weight, unit, lastUnit, r.dH0, H, false, r.lengths, cuts, t);
}
