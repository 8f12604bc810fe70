/**
 * An LSTM layer over a sequence. Equations and order of sums: the instruction list. Gates are i, f, g, o, each H wide; so are the strips
 * of the weight: for every twelve units one of each gate. The gates are computed where the tiles have just left their sums.
 */
import { LstmBackward, LstmForward } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { copyOrZero, copyRow, fillRow } from '../simd/rows';
import { STRIP, STRIP_ROW } from '../simd/tile';
import { parallel } from '../team';
import { ceilDiv } from '../tickets';
import {
  carryBack, clearSums, cutsOf, isCut, liveRows, multiplyStrips, packedUnits, packUnits, placeOf, rowAt, rowsFrom, runsOf, shareSteps,
  stripsOf, sumsOf, TICKET_UNITS, weightAt,
} from './recurrence';

const GATES: i32 = 4;

/** Cells of a strip that a row which starts anew begins with. */
const NO_CELLS: usize = memory.data(48, 16);

/** Behind the weight: the sums of four strips, for the rows of the order from a place on. */
@inline function sumsAt(weight: usize, H: i32, place: i32): usize { return weight + (stripsOf(H, H) + sumsOf(place)) * GATES; }

// Forward

/** xGates [T, B, 4H], weightHh [4H, H] → hidden, cell [T+1, B, H], gates [T, B, 4H], tanhCell [T, B, H]. */
export function lstmForward(r: LstmForward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(GATES, H)), packForwardTicket, record, workspace);
  const work = <i64>B * H * H * GATES;
  shareSteps(record, workspace, r.T, B, H, r.lengths, work, forwardRowsTicket, r.T, initialStates, forwardUnitsTicket);
}

/** weightHh [4, H, H] → for each gate, for every twelve units, a strip [H][12]. */
function packForwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmForward>(record), H = r.H, units = packedUnits(GATES, H), rowBytes = <usize>H << 2;
  let to = weightAt(workspace, r.T, r.B), from = r.weightHh;
  for (let gate = 0; gate < GATES; gate++, to += stripsOf(H, H), from += rowBytes * H) {
    packUnits(to, from, rowBytes, 4, H, ticket * units, units, H);
  }
}

function initialStates(record: usize, rows: usize, count: i32): void {
  const r = changetype<LstmForward>(record), rowBytes = <usize>r.H << 2;
  const start: usize = r.reverse ? <usize>r.T * r.B * rowBytes : 0;
  for (let i = 0; i < count; i++) {
    const at = <usize>rowAt(rows, i) * rowBytes;
    copyOrZero(r.H, r.h0 ? r.h0 + at : 0, r.hidden + start + at);
    copyOrZero(r.H, r.c0 ? r.c0 + at : 0, r.cell + start + at);
  }
}

@inline function forwardTimeOf(r: LstmForward, step: i32): i32 { return r.reverse ? r.T - 1 - step : step; }

/** All steps of a run of rows. */
function forwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmForward>(record), T = r.T, B = r.B, H = r.H, runs = runsOf(B);
  const place = placeOf(ticket, runs, B), rows = rowsFrom(workspace, place), all = placeOf(ticket + 1, runs, B) - place;
  const weight = weightAt(workspace, T, B), sums = sumsAt(weight, H, place);
  initialStates(record, rows, all);
  for (let step = 0; step < T; step++) {
    const t = forwardTimeOf(r, step);
    stepForward(r, weight, sums, rows, liveRows(workspace, B, t, ticket, runs), all, 0, H, t);
  }
}

/** One step of all rows for some units. */
function forwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmForward>(record), B = r.B, H = r.H, t = forwardTimeOf(r, load<i32>(workspace));
  const unit = ticket * TICKET_UNITS, weight = weightAt(workspace, r.T, B), sums = sumsAt(weight, H, B * ticket);
  stepForward(r, weight, sums, rowsFrom(workspace, 0), liveRows(workspace, B, t, 0, 1), B, unit, min(H, unit + TICKET_UNITS), t);
}

/**
 * Step t of `all` rows, of which the first `live` have it, for units `unit` … `lastUnit` − 1, a strip of each gate at a time; the others
 * keep their states.
 */
function stepForward(
  r: LstmForward, weight: usize, sums: usize, rows: usize, live: i32, all: i32, unit: i32, lastUnit: i32, t: i32,
): void {
  const H = r.H, rowBytes = <usize>H << 2, stateBytes = rowBytes * r.B, reverse = r.reverse != 0;
  const before = <usize>(reverse ? t + 1 : t) * stateBytes, after = <usize>(reverse ? t : t + 1) * stateBytes;
  for (let i = live; i < all; i++) {
    const at = <usize>rowAt(rows, i) * rowBytes + (<usize>unit << 2);
    copyRow(lastUnit - unit, r.hidden + before + at, r.hidden + after + at);
    copyRow(lastUnit - unit, r.cell + before + at, r.cell + after + at);
  }
  if (live == 0) return;
  for (; unit < lastUnit; unit += STRIP) {
    const units = min(STRIP, lastUnit - unit);
    multiplyStrips(H, r.hidden + before, rowBytes, rows, live, units, weight + stripsOf(unit, H), GATES, stripsOf(H, H), sums);
    if ((units & 3) == 0) activateWhole(r, sums, rows, live, unit, units, t, before, after);
    else activate(r, sums, rows, live, unit, units, false, t, before, after);
  }
}

/**
 * Gates, cell and hidden state of `units` units from `unit` on, for each of `count` rows, from the row's sums.
 * In two passes, so that no tanh of a cell waits for its gates, and two functions at a time: V8 interleaves what no store separates.
 */
@inline function activate(
  r: LstmForward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, whole: bool, t: i32, before: usize, after: usize,
): void {
  const B = r.B, stateRow = <usize>r.H << 2, gatesRow = stateRow * 4, atUnit = <usize>unit << 2, size = sumsOf(count);
  const gatesOfStep = r.gates + <usize>t * B * gatesRow + atUnit, xOfStep = r.xGates + <usize>t * B * gatesRow + atUnit;
  const tanhCellOfStep = r.tanhCell + <usize>t * B * stateRow + atUnit;
  const cuts = cutsOf(r.resets, r.T, B, r.reverse != 0, t);

  for (let place = 0; place < count; place++, sums += STRIP_ROW) {
    const b = rowAt(rows, place), inGates = <usize>b * gatesRow;
    if (isCut(cuts, b)) clearSums(sums, GATES, size);
    let x = xOfStep + inGates, gates = gatesOfStep + inGates, sum = sums;
    for (let done = 0; done < units; done += 4, x += 16, gates += 16, sum += 16) {
      const left = whole ? 4 : units - done;
      const i = math.sigmoid(f32x4.add(loadLanes(x, left), v128.load(sum)));
      const f = math.sigmoid(f32x4.add(loadLanes(x + stateRow, left), v128.load(sum + size)));
      storeLanes(gates, i, left);
      storeLanes(gates + stateRow, f, left);
      const g = math.tanh(f32x4.add(loadLanes(x + stateRow * 2, left), v128.load(sum + size * 2)));
      const o = math.sigmoid(f32x4.add(loadLanes(x + stateRow * 3, left), v128.load(sum + size * 3)));
      storeLanes(gates + stateRow * 2, g, left);
      storeLanes(gates + stateRow * 3, o, left);
    }
  }

  for (let place = 0; place < count; place++) {
    const b = rowAt(rows, place), inState = <usize>b * stateRow, at = inState + atUnit;
    let gates = gatesOfStep + <usize>b * gatesRow, tanhCellAt = tanhCellOfStep + inState;
    let cellBefore = isCut(cuts, b) ? NO_CELLS : r.cell + before + at, cellAfter = r.cell + after + at, hiddenAfter = r.hidden + after + at;
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
  }
}

/** Whole vectors of units, in a function of their own, so that no question about `left` remains in its loops. */
function activateWhole(
  r: LstmForward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, t: i32, before: usize, after: usize,
): void {
  activate(r, sums, rows, count, unit, units, true, t, before, after);
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
  const work = <i64>B * H * H * GATES;
  shareSteps(record, workspace, r.T, B, H, r.lengths, work, backwardRowsTicket, r.T + 1, finalGradients, backwardUnitsTicket);
}

/** weightHh [4H, H] → for every twelve hidden states a strip [4H][12]. */
function packBackwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmBackward>(record), H = r.H, units = packedUnits(GATES, H);
  packUnits(weightAt(workspace, r.T, r.B), r.weightHh, 4, <usize>H << 2, H * GATES, ticket * units, units, H);
}

function finalGradients(record: usize, rows: usize, count: i32): void {
  const r = changetype<LstmBackward>(record), H = r.H;
  for (let i = 0; i < count; i++) {
    const at = <usize>rowAt(rows, i) * H << 2;
    copyOrZero(H, r.dHLast ? r.dHLast + at : 0, r.dH0 + at);
    copyOrZero(H, r.dCLast ? r.dCLast + at : 0, r.dC0 + at);
  }
}

/** The time of the `step`th step backwards. */
@inline function timeOf(r: LstmBackward, step: i32): i32 { return r.reverse ? step : r.T - 1 - step; }

/** All steps of a run of rows. */
function backwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmBackward>(record), T = r.T, B = r.B, H = r.H, runs = runsOf(B);
  const place = placeOf(ticket, runs, B), rows = rowsFrom(workspace, place), all = placeOf(ticket + 1, runs, B) - place;
  const weight = weightAt(workspace, T, B);
  finalGradients(record, rows, all);
  for (let step = 0; step < T; step++) {
    const t = timeOf(r, step), live = liveRows(workspace, B, t, ticket, runs);
    gradients(r, rows, live, all, 0, H, t);
    recurrent(r, weight, rows, live, 0, H, t);
  }
}

/** One step of all rows for some units: what reaches them from the step before this, then their gradients. */
function backwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LstmBackward>(record), B = r.B, H = r.H, step = load<i32>(workspace);
  const rows = rowsFrom(workspace, 0), unit = ticket * TICKET_UNITS, end = min(H, unit + TICKET_UNITS);
  if (step > 0) {
    const t = timeOf(r, step - 1);
    recurrent(r, weightAt(workspace, r.T, B), rows, liveRows(workspace, B, t, 0, 1), unit, end, t);
  }
  if (step < r.T) {
    const t = timeOf(r, step);
    gradients(r, rows, liveRows(workspace, B, t, 0, 1), B, unit, end, t);
  }
}

/** The gradients of step t of `all` rows, of which the first `live` have it. */
function gradients(r: LstmBackward, rows: usize, live: i32, all: i32, unit: i32, lastUnit: i32, t: i32): void {
  const cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  for (let i = 0; i < live; i++) {
    const b = rowAt(rows, i);
    rowGradients(r, t, b, r.reverse ? t + 1 : t, isCut(cuts, b), unit, lastUnit - unit);
  }
  for (let i = live; i < all; i++) clearGradients(r, t, rowAt(rows, i), unit, lastUnit - unit);
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
function recurrent(r: LstmBackward, weight: usize, rows: usize, live: i32, unit: i32, lastUnit: i32, t: i32): void {
  const H = r.H, dGates = r.dGates + (<usize>t * r.B * H * GATES << 2), cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  carryBack(H * GATES, dGates, rows, live, weight, unit, lastUnit, r.dH0, H, false, cuts);
}
