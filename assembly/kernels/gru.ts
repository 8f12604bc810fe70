/**
 * A GRU layer over a sequence. Equations and order of sums: the instruction list. Gates are r, z, n, each H wide; so are the strips of
 * the weight: for every twelve units one of r, one of z, one of n.
 */
import { GruBackward, GruForward } from '../generated/instructions';
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

const GATES: i32 = 3;

/** Behind the weight: the sums of three strips, for the rows of the order from a place on. */
@inline function sumsAt(weight: usize, H: i32, place: i32): usize { return weight + (stripsOf(H, H) + sumsOf(place)) * GATES; }

// Forward

/** xGates [T, B, 3H], weightHh [3H, H], biasHh [3H] → hidden [T+1, B, H], gates [T, B, 3H], recurrentN [T, B, H]. */
export function gruForward(r: GruForward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(GATES, H)), packForwardTicket, record, workspace);
  const work = <i64>B * H * H * GATES;
  shareSteps(record, workspace, r.T, B, H, r.lengths, work, forwardRowsTicket, r.T, initialStates, forwardUnitsTicket);
}

/** weightHh [3, H, H] → for each gate, for every twelve units, a strip [H][12]. */
function packForwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<GruForward>(record), H = r.H, units = packedUnits(GATES, H), rowBytes = <usize>H << 2;
  let to = weightAt(workspace, r.T, r.B), from = r.weightHh;
  for (let gate = 0; gate < GATES; gate++, to += stripsOf(H, H), from += rowBytes * H) {
    packUnits(to, from, rowBytes, 4, H, ticket * units, units, H);
  }
}

function initialStates(record: usize, rows: usize, count: i32): void {
  const r = changetype<GruForward>(record), H = r.H;
  const start: usize = r.reverse ? <usize>r.T * r.B * H << 2 : 0;
  for (let i = 0; i < count; i++) {
    const at = <usize>rowAt(rows, i) * H << 2;
    copyOrZero(H, r.h0 ? r.h0 + at : 0, r.hidden + start + at);
  }
}

@inline function timeOf(r: GruForward, step: i32): i32 { return r.reverse ? r.T - 1 - step : step; }
@inline function stateBefore(r: GruForward, t: i32): usize {
  return r.hidden + (<usize>(r.reverse ? t + 1 : t) * r.B * r.H << 2);
}
@inline function stateAfter(r: GruForward, t: i32): usize {
  return r.hidden + (<usize>(r.reverse ? t : t + 1) * r.B * r.H << 2);
}

/** All steps of a run of rows. */
function forwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<GruForward>(record), T = r.T, B = r.B, H = r.H, runs = runsOf(B);
  const place = placeOf(ticket, runs, B), rows = rowsFrom(workspace, place), all = placeOf(ticket + 1, runs, B) - place;
  const weight = weightAt(workspace, T, B), sums = sumsAt(weight, H, place);
  initialStates(record, rows, all);
  for (let step = 0; step < T; step++) {
    const t = timeOf(r, step);
    stepForward(r, weight, sums, rows, liveRows(workspace, B, t, ticket, runs), all, 0, H, t);
  }
}

/** One step of all rows for some units. */
function forwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<GruForward>(record), B = r.B, H = r.H, t = timeOf(r, load<i32>(workspace));
  const unit = ticket * TICKET_UNITS, weight = weightAt(workspace, r.T, B), sums = sumsAt(weight, H, B * ticket);
  stepForward(r, weight, sums, rowsFrom(workspace, 0), liveRows(workspace, B, t, 0, 1), B, unit, min(H, unit + TICKET_UNITS), t);
}

/**
 * Step t of `all` rows, of which the first `live` have it, for units `unit` … `lastUnit` − 1, a strip of each gate at a time; the others
 * keep their states.
 */
function stepForward(
  r: GruForward, weight: usize, sums: usize, rows: usize, live: i32, all: i32, unit: i32, lastUnit: i32, t: i32,
): void {
  const H = r.H, rowBytes = <usize>H << 2, before = stateBefore(r, t), after = stateAfter(r, t);
  for (let i = live; i < all; i++) {
    const at = <usize>rowAt(rows, i) * rowBytes + (<usize>unit << 2);
    copyRow(lastUnit - unit, before + at, after + at);
  }
  if (live == 0) return;
  for (; unit < lastUnit; unit += STRIP) {
    const units = min(STRIP, lastUnit - unit);
    multiplyStrips(H, before, rowBytes, rows, live, units, weight + stripsOf(unit, H), GATES, stripsOf(H, H), sums);
    if ((units & 3) == 0) activateWhole(r, sums, rows, live, unit, units, t);
    else activate(r, sums, rows, live, unit, units, false, t);
  }
}

/** Gates and hidden state of `units` units from `unit` on, for each of `count` rows, from the row's sums. */
@inline function activate(r: GruForward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, whole: bool, t: i32): void {
  const B = r.B, rowBytes = <usize>r.H << 2, bias = r.biasHh, size = sumsOf(count);
  const cuts = cutsOf(r.resets, r.T, B, r.reverse != 0, t), atUnit = <usize>unit << 2;
  for (let i = 0; i < count; i++, sums += STRIP_ROW) {
    const b = rowAt(rows, i);
    const inState = <usize>b * rowBytes + atUnit, inGates = (<usize>t * B + b) * rowBytes * GATES + atUnit;
    const before = stateBefore(r, t) + inState, h = stateAfter(r, t) + inState;
    const cut = isCut(cuts, b);
    if (cut) clearSums(sums, GATES, size);
    for (let done = 0; done < units; done += 4) {
      const left = whole ? 4 : units - done, at = <usize>done << 2;
      const x = r.xGates + inGates + at, gates = r.gates + inGates + at;
      let qr = v128.load(sums + at), qz = v128.load(sums + size + at), qn = v128.load(sums + size * 2 + at);
      if (bias) {
        qr = f32x4.add(qr, loadLanes(bias + atUnit + at, left));
        qz = f32x4.add(qz, loadLanes(bias + rowBytes + atUnit + at, left));
        qn = f32x4.add(qn, loadLanes(bias + rowBytes * 2 + atUnit + at, left));
      }
      const xn = loadLanes(x + rowBytes * 2, left);
      const reset = math.sigmoid(f32x4.add(loadLanes(x, left), qr));
      const z = math.sigmoid(f32x4.add(loadLanes(x + rowBytes, left), qz));
      const n = math.tanh(fma(reset, qn, xn));
      const hBefore = cut ? splat(0) : loadLanes(before + at, left);
      storeLanes(gates, reset, left);
      storeLanes(gates + rowBytes, z, left);
      storeLanes(gates + rowBytes * 2, n, left);
      storeLanes(r.recurrentN + <usize>t * B * rowBytes + inState + at, qn, left);
      storeLanes(h + at, fma(z, f32x4.sub(hBefore, n), n), left);
    }
  }
}

/** Whole vectors of units, in a function of their own, so that no question about `left` remains in its loops. */
function activateWhole(r: GruForward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, t: i32): void {
  activate(r, sums, rows, count, unit, units, true, t);
}

// Backward

/**
 * dHidden [T, B, H], dHLast [B, H] → dGates, dRecurrent [T, B, 3H], dH0 [B, H], and the inspected derivatives. Against the order of the
 * forward steps; dH0 carries z₊₁·dh₊₁ and what goes back through the recurrent product. Rows that are past their end leave it alone.
 */
export function gruBackward(r: GruBackward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(GATES, H)), packBackwardTicket, record, workspace);
  const work = <i64>B * H * H * GATES;
  shareSteps(record, workspace, r.T, B, H, r.lengths, work, backwardRowsTicket, r.T + 1, finalGradients, backwardUnitsTicket);
}

/** weightHh [3H, H] → for every twelve hidden states a strip [3H][12]. */
function packBackwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<GruBackward>(record), H = r.H, units = packedUnits(GATES, H);
  packUnits(weightAt(workspace, r.T, r.B), r.weightHh, 4, <usize>H << 2, H * GATES, ticket * units, units, H);
}

function finalGradients(record: usize, rows: usize, count: i32): void {
  const r = changetype<GruBackward>(record), H = r.H;
  for (let i = 0; i < count; i++) {
    const at = <usize>rowAt(rows, i) * H << 2;
    copyOrZero(H, r.dHLast ? r.dHLast + at : 0, r.dH0 + at);
  }
}

/** The time of the `step`th step backwards. */
@inline function backwardTimeOf(r: GruBackward, step: i32): i32 { return r.reverse ? step : r.T - 1 - step; }
@inline function dRecurrentOf(r: GruBackward, t: i32): usize { return r.dRecurrent + (<usize>t * r.B * r.H * GATES << 2); }

/** All steps of a run of rows. */
function backwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<GruBackward>(record), T = r.T, B = r.B, H = r.H, runs = runsOf(B);
  const place = placeOf(ticket, runs, B), rows = rowsFrom(workspace, place), all = placeOf(ticket + 1, runs, B) - place;
  const weight = weightAt(workspace, T, B);
  finalGradients(record, rows, all);
  for (let step = 0; step < T; step++) {
    const t = backwardTimeOf(r, step), live = liveRows(workspace, B, t, ticket, runs);
    gradients(r, rows, live, all, 0, H, t);
    recurrent(r, weight, rows, live, 0, H, t);
  }
}

/** One step of all rows for some units: what reaches them from the step before this, then their gradients. */
function backwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<GruBackward>(record), B = r.B, H = r.H, step = load<i32>(workspace);
  const rows = rowsFrom(workspace, 0), unit = ticket * TICKET_UNITS, end = min(H, unit + TICKET_UNITS);
  if (step > 0) {
    const t = backwardTimeOf(r, step - 1);
    recurrent(r, weightAt(workspace, r.T, B), rows, liveRows(workspace, B, t, 0, 1), unit, end, t);
  }
  if (step < r.T) {
    const t = backwardTimeOf(r, step);
    gradients(r, rows, liveRows(workspace, B, t, 0, 1), B, unit, end, t);
  }
}

/** dRecurrent·weightHh of step t for units `unit` … `lastUnit` − 1 of the rows that took the step, added to dH0. */
function recurrent(r: GruBackward, weight: usize, rows: usize, live: i32, unit: i32, lastUnit: i32, t: i32): void {
  const H = r.H, cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  carryBack(H * GATES, dRecurrentOf(r, t), rows, live, weight, unit, lastUnit, r.dH0, H, true, cuts);
}

/** The gradients of step t of `all` rows, of which the first `live` have it. */
function gradients(r: GruBackward, rows: usize, live: i32, all: i32, unit: i32, lastUnit: i32, t: i32): void {
  const cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  for (let i = 0; i < live; i++) {
    const b = rowAt(rows, i);
    rowGradients(r, t, b, isCut(cuts, b), unit, lastUnit - unit);
  }
  for (let i = live; i < all; i++) clearGradients(r, t, rowAt(rows, i), unit, lastUnit - unit);
}

/** Gradients and inspected values of `units` units of one row of step t. */
function rowGradients(r: GruBackward, t: i32, b: i32, cut: bool, unit: i32, units: i32): void {
  const B = r.B, gateBytes = <usize>r.H << 2, inState = <usize>b * gateBytes + (<usize>unit << 2);
  const inStep = <usize>t * B * gateBytes + inState, inGates = (<usize>t * B + b) * gateBytes * GATES + (<usize>unit << 2);
  const before = r.hidden + <usize>(r.reverse ? t + 1 : t) * B * gateBytes + inState;
  const dHidden = r.dHidden, dHiddenTotal = r.dHiddenTotal, dGateValues = r.dGateValues;
  for (let left = units, at: usize = 0; left > 0; left -= 4, at += 16) {
    const gates = r.gates + inGates + at, dGates = r.dGates + inGates + at, dRecurrent = r.dRecurrent + inGates + at;
    const reset = loadLanes(gates, left), z = loadLanes(gates + gateBytes, left), n = loadLanes(gates + gateBytes * 2, left);
    const hBefore = cut ? splat(0) : loadLanes(before + at, left), dH0 = r.dH0 + inState + at;
    let dh = loadLanes(dH0, left);
    if (dHidden) dh = f32x4.add(dh, loadLanes(dHidden + inStep + at, left));
    // hidden = (1 − z)·n + z·h₋₁
    const dz = f32x4.mul(dh, f32x4.sub(hBefore, n)), dn = fma(f32x4.neg(z), dh, dh);
    // n = tanh(x + r·recurrentN)
    const preN = f32x4.mul(dn, fma(f32x4.neg(n), n, splat(1)));
    const dr = f32x4.mul(preN, loadLanes(r.recurrentN + inStep + at, left));
    // r, z = sigmoid of what was summed
    const preR = f32x4.mul(dr, fma(f32x4.neg(reset), reset, reset)), preZ = f32x4.mul(dz, fma(f32x4.neg(z), z, z));
    storeLanes(dH0, cut ? splat(0) : f32x4.mul(dh, z), left);
    storeLanes(dGates, preR, left);
    storeLanes(dGates + gateBytes, preZ, left);
    storeLanes(dGates + gateBytes * 2, preN, left);
    storeLanes(dRecurrent, preR, left);
    storeLanes(dRecurrent + gateBytes, preZ, left);
    storeLanes(dRecurrent + gateBytes * 2, f32x4.mul(preN, reset), left);
    if (dHiddenTotal) storeLanes(dHiddenTotal + inStep + at, dh, left);
    if (dGateValues) {
      storeLanes(dGateValues + inGates + at, dr, left);
      storeLanes(dGateValues + inGates + at + gateBytes, dz, left);
      storeLanes(dGateValues + inGates + at + gateBytes * 2, dn, left);
    }
  }
}

/** A step behind the end of a row's sequence. */
function clearGradients(r: GruBackward, t: i32, b: i32, unit: i32, units: i32): void {
  const row = (<usize>t * r.B + b) * r.H;
  for (let gate = 0; gate < GATES; gate++) {
    const inGates = (row * GATES + <usize>gate * r.H + unit) << 2;
    fillRow(units, 0, r.dGates + inGates);
    fillRow(units, 0, r.dRecurrent + inGates);
    if (r.dGateValues) fillRow(units, 0, r.dGateValues + inGates);
  }
  if (r.dHiddenTotal) fillRow(units, 0, r.dHiddenTotal + (row + unit << 2));
}
