/** A vanilla recurrent layer over a sequence. Equations and order of sums: the instruction list. */
import { RnnBackward, RnnForward } from '../generated/instructions';
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

/** Behind the weight: the sums of a strip, for the rows of the order from a place on. */
@inline function sumsAt(weight: usize, H: i32, place: i32): usize { return weight + stripsOf(H, H) + sumsOf(place); }

// Forward

/** xGates [T, B, H], weightHh [H, H] → hidden [T+1, B, H]. */
export function rnnForward(r: RnnForward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(1, H)), packForwardTicket, record, workspace);
  const work = <i64>B * H * H;
  shareSteps(record, workspace, r.T, B, H, r.lengths, work, forwardRowsTicket, r.T, initialStates, forwardUnitsTicket);
}

/** weightHh [H, H] → for every twelve units a strip [H][12]. */
function packForwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnForward>(record), H = r.H, units = packedUnits(1, H);
  packUnits(weightAt(workspace, r.T, r.B), r.weightHh, <usize>H << 2, 4, H, ticket * units, units, H);
}

function initialStates(record: usize, rows: usize, count: i32): void {
  const r = changetype<RnnForward>(record), H = r.H;
  const start: usize = r.reverse ? <usize>r.T * r.B * H << 2 : 0;
  for (let i = 0; i < count; i++) {
    const at = <usize>rowAt(rows, i) * H << 2;
    copyOrZero(H, r.h0 ? r.h0 + at : 0, r.hidden + start + at);
  }
}

@inline function timeOf(r: RnnForward, step: i32): i32 { return r.reverse ? r.T - 1 - step : step; }
@inline function stateBefore(r: RnnForward, t: i32): usize {
  return r.hidden + (<usize>(r.reverse ? t + 1 : t) * r.B * r.H << 2);
}
@inline function stateAfter(r: RnnForward, t: i32): usize {
  return r.hidden + (<usize>(r.reverse ? t : t + 1) * r.B * r.H << 2);
}

/** All steps of a run of rows. */
function forwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnForward>(record), T = r.T, B = r.B, H = r.H, runs = runsOf(B);
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
  const r = changetype<RnnForward>(record), B = r.B, H = r.H, t = timeOf(r, load<i32>(workspace));
  const unit = ticket * TICKET_UNITS, weight = weightAt(workspace, r.T, B), sums = sumsAt(weight, H, B * ticket);
  stepForward(r, weight, sums, rowsFrom(workspace, 0), liveRows(workspace, B, t, 0, 1), B, unit, min(H, unit + TICKET_UNITS), t);
}

/**
 * Step t of `all` rows, of which the first `live` have it, for units `unit` … `lastUnit` − 1, a strip at a time; the others keep their
 * states.
 */
function stepForward(
  r: RnnForward, weight: usize, sums: usize, rows: usize, live: i32, all: i32, unit: i32, lastUnit: i32, t: i32,
): void {
  const H = r.H, rowBytes = <usize>H << 2, before = stateBefore(r, t), after = stateAfter(r, t);
  for (let i = live; i < all; i++) {
    const at = <usize>rowAt(rows, i) * rowBytes + (<usize>unit << 2);
    copyRow(lastUnit - unit, before + at, after + at);
  }
  if (live == 0) return;
  for (; unit < lastUnit; unit += STRIP) {
    const units = min(STRIP, lastUnit - unit);
    multiplyStrips(H, before, rowBytes, rows, live, units, weight + stripsOf(unit, H), 1, 0, sums);
    if ((units & 3) == 0) activateWhole(r, sums, rows, live, unit, units, t);
    else activate(r, sums, rows, live, unit, units, false, t);
  }
}

/** The hidden states of `units` units from `unit` on, for each of `count` rows, from the row's sums. */
@inline function activate(r: RnnForward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, whole: bool, t: i32): void {
  const B = r.B, rowBytes = <usize>r.H << 2, relu = r.relu != 0, cuts = cutsOf(r.resets, r.T, B, r.reverse != 0, t);
  const atUnit = <usize>unit << 2, xOfStep = r.xGates + <usize>t * B * rowBytes + atUnit, after = stateAfter(r, t) + atUnit;
  for (let i = 0; i < count; i++, sums += STRIP_ROW) {
    const b = rowAt(rows, i), x = xOfStep + <usize>b * rowBytes, h = after + <usize>b * rowBytes;
    if (isCut(cuts, b)) clearSums(sums, 1, 0);
    if (whole && !relu) {
      // Two vectors at a time: V8 interleaves what neither a store nor a branch separates.
      let done: usize = 0;
      const end = <usize>units << 2;
      for (; done + 16 < end; done += 32) {
        const h0 = math.tanh(f32x4.add(v128.load(x + done), v128.load(sums + done)));
        const h4 = math.tanh(f32x4.add(v128.load(x + done, 16), v128.load(sums + done, 16)));
        v128.store(h + done, h0);
        v128.store(h + done, h4, 16);
      }
      if (done < end) v128.store(h + done, math.tanh(f32x4.add(v128.load(x + done), v128.load(sums + done))));
      continue;
    }
    for (let done = 0; done < units; done += 4) {
      const left = whole ? 4 : units - done, at = <usize>done << 2;
      const pre = f32x4.add(loadLanes(x + at, left), v128.load(sums + at));
      storeLanes(h + at, relu ? rectified(pre) : math.tanh(pre), left);
    }
  }
}

/** Whole vectors of units, in a function of their own, so that no question about `left` remains in its loops. */
function activateWhole(r: RnnForward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, t: i32): void {
  activate(r, sums, rows, count, unit, units, true, t);
}

/** +0 for every x ≤ 0; NaN stays NaN. */
@inline function rectified(x: v128): v128 { return v128.andnot(x, f32x4.ge(splat(0), x)); }

// Backward

/**
 * dHidden [T, B, H], dHLast [B, H] → dGates [T, B, H], dH0 [B, H], and the inspected derivatives. Against the order of the forward
 * steps; dH0 carries the gradient that reaches a hidden state from the step after it. Rows that are past their end leave it alone.
 */
export function rnnBackward(r: RnnBackward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(1, H)), packBackwardTicket, record, workspace);
  const work = <i64>B * H * H;
  shareSteps(record, workspace, r.T, B, H, r.lengths, work, backwardRowsTicket, r.T + 1, finalGradients, backwardUnitsTicket);
}

/** weightHh [H, H] → for every twelve hidden states a strip [H][12]. */
function packBackwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnBackward>(record), H = r.H, units = packedUnits(1, H);
  packUnits(weightAt(workspace, r.T, r.B), r.weightHh, 4, <usize>H << 2, H, ticket * units, units, H);
}

function finalGradients(record: usize, rows: usize, count: i32): void {
  const r = changetype<RnnBackward>(record), H = r.H;
  for (let i = 0; i < count; i++) {
    const at = <usize>rowAt(rows, i) * H << 2;
    copyOrZero(H, r.dHLast ? r.dHLast + at : 0, r.dH0 + at);
  }
}

/** The time of the `step`th step backwards. */
@inline function backwardTimeOf(r: RnnBackward, step: i32): i32 { return r.reverse ? step : r.T - 1 - step; }
@inline function dGatesOf(r: RnnBackward, t: i32): usize { return r.dGates + (<usize>t * r.B * r.H << 2); }

/** All steps of a run of rows. */
function backwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnBackward>(record), T = r.T, B = r.B, H = r.H, runs = runsOf(B);
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
  const r = changetype<RnnBackward>(record), B = r.B, H = r.H, step = load<i32>(workspace);
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

/** dGates·weightHh of step t for units `unit` … `lastUnit` − 1 of the rows that took the step, into dH0. */
function recurrent(r: RnnBackward, weight: usize, rows: usize, live: i32, unit: i32, lastUnit: i32, t: i32): void {
  const H = r.H, cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  carryBack(H, dGatesOf(r, t), rows, live, weight, unit, lastUnit, r.dH0, H, false, cuts);
}

/** dGates and the inspected values of step t of `all` rows, of which the first `live` have it. */
function gradients(r: RnnBackward, rows: usize, live: i32, all: i32, unit: i32, lastUnit: i32, t: i32): void {
  const B = r.B, rowBytes = <usize>r.H << 2, relu = r.relu != 0, dHiddenTotal = r.dHiddenTotal, dHidden = r.dHidden;
  for (let i = 0; i < all; i++) {
    const inState = <usize>rowAt(rows, i) * rowBytes + (<usize>unit << 2), inStep = <usize>t * B * rowBytes + inState;
    if (i >= live) {
      fillRow(lastUnit - unit, 0, r.dGates + inStep);
      if (dHiddenTotal) fillRow(lastUnit - unit, 0, dHiddenTotal + inStep);
      continue;
    }
    const after = r.hidden + <usize>(r.reverse ? t : t + 1) * B * rowBytes + inState;
    for (let left = lastUnit - unit, at: usize = 0; left > 0; left -= 4, at += 16) {
      const h = loadLanes(after + at, left);
      let dh = loadLanes(r.dH0 + inState + at, left);
      if (dHidden) dh = f32x4.add(dh, loadLanes(dHidden + inStep + at, left));
      if (dHiddenTotal) storeLanes(dHiddenTotal + inStep + at, dh, left);
      const dGates = relu ? v128.and(dh, f32x4.lt(splat(0), h)) : f32x4.mul(dh, fma(f32x4.neg(h), h, splat(1)));
      storeLanes(r.dGates + inStep + at, dGates, left);
    }
  }
}
