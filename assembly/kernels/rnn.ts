/** A vanilla recurrent layer over a sequence. Equations and order of sums: the instruction list. */
import { RnnBackward, RnnForward } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { copyOrZero, copyRow, fillRow } from '../simd/rows';
import { STRIP, STRIP_ROW } from '../simd/tile';
import { parallel } from '../team';
import { ceilDiv } from '../tickets';
import {
  carryBack, clearSums, cutsOf, isActive, isCut, multiplyStrips, packedUnits, packUnits, rowsOfTicket, shareSteps, stripsOf, sumsOf,
  TICKET_UNITS, WEIGHT,
} from './recurrence';

/** Behind the weight: the sums of a strip, for the rows from `first` on. */
@inline function sumsAt(workspace: usize, H: i32, first: i32): usize { return workspace + WEIGHT + stripsOf(H, H) + sumsOf(first); }

// Forward

/** xGates [T, B, H], weightHh [H, H] → hidden [T+1, B, H]. */
export function rnnForward(r: RnnForward, workspace: usize): void {
  const B = r.B, H = r.H;
  if (B == 0 || H == 0) return;
  const record = changetype<usize>(r);
  parallel(ceilDiv(H, packedUnits(1, H)), packForwardTicket, record, workspace);
  shareSteps(record, workspace, B, H, <i64>B * H * H, forwardRowsTicket, r.T, initialStates, forwardUnitsTicket);
}

/** weightHh [H, H] → for every twelve units a strip [H][12]. */
function packForwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnForward>(record), H = r.H, units = packedUnits(1, H);
  packUnits(workspace + WEIGHT, r.weightHh, <usize>H << 2, 4, H, ticket * units, units, H);
}

function initialStates(record: usize, first: usize, end: i32): void {
  const r = changetype<RnnForward>(record), H = r.H;
  const start: usize = r.reverse ? <usize>r.T * r.B * H << 2 : 0;
  for (let b = <i32>first; b < end; b++) {
    const at = <usize>b * H << 2;
    copyOrZero(H, r.h0 ? r.h0 + at : 0, r.hidden + start + at);
  }
}

@inline function timeOf(r: RnnForward, step: i32): i32 { return r.reverse ? r.T - 1 - step : step; }
@inline function stateBefore(r: RnnForward, t: i32): usize {
  return r.hidden + (<usize>(r.reverse ? t + 1 : t) * r.B * r.H << 2);
}

/** All steps of some rows. */
function forwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnForward>(record), T = r.T, H = r.H;
  const first = ticket * rowsOfTicket(r.B), end = min(r.B, first + rowsOfTicket(r.B));
  initialStates(record, first, end);
  for (let step = 0; step < T; step++) {
    stepForward(r, workspace + WEIGHT, sumsAt(workspace, H, first), first, end, 0, H, timeOf(r, step));
  }
}

/** One step of all rows for some units. */
function forwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnForward>(record), B = r.B, H = r.H;
  const unit = ticket * TICKET_UNITS, sums = sumsAt(workspace, H, B * ticket);
  stepForward(r, workspace + WEIGHT, sums, 0, B, unit, min(H, unit + TICKET_UNITS), timeOf(r, load<i32>(workspace)));
}

/** Step t of the rows `first` … `end` − 1 for units `unit` … `lastUnit` − 1, a strip at a time. */
function stepForward(r: RnnForward, weight: usize, sums: usize, first: i32, end: i32, unit: i32, lastUnit: i32, t: i32): void {
  const H = r.H, rowBytes = <usize>H << 2, rows = stateBefore(r, t) + <usize>first * rowBytes;
  for (; unit < lastUnit; unit += STRIP) {
    const units = min(STRIP, lastUnit - unit);
    multiplyStrips(H, rows, rowBytes, end - first, units, weight + stripsOf(unit, H), 1, 0, sums);
    activate(r, sums, first, end, unit, units, t);
  }
}

/** The hidden states of `units` units from `unit` on, for each row, from the row's sums. */
function activate(r: RnnForward, sums: usize, first: i32, end: i32, unit: i32, units: i32, t: i32): void {
  const B = r.B, rowBytes = <usize>r.H << 2, reverse = r.reverse != 0, relu = r.relu != 0, lengths = r.lengths;
  const cuts = cutsOf(r.resets, r.T, B, reverse, t), inState = <usize>first * rowBytes + (<usize>unit << 2);
  let x = r.xGates + <usize>t * B * rowBytes + inState, before = stateBefore(r, t) + inState;
  let h = r.hidden + <usize>(reverse ? t : t + 1) * B * rowBytes + inState;
  for (let b = first; b < end; b++, sums += STRIP_ROW, x += rowBytes, before += rowBytes, h += rowBytes) {
    if (!isActive(lengths, b, t)) {
      copyRow(units, before, h);
      continue;
    }
    if (isCut(cuts, b)) clearSums(sums, 1, 0);
    for (let done = 0; done < units; done += 4) {
      const left = units - done, at = <usize>done << 2;
      const pre = f32x4.add(loadLanes(x + at, left), v128.load(sums + at));
      storeLanes(h + at, relu ? rectified(pre) : math.tanh(pre), left);
    }
  }
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
  shareSteps(record, workspace, B, H, <i64>B * H * H, backwardRowsTicket, r.T + 1, finalGradients, backwardUnitsTicket);
}

/** weightHh [H, H] → for every twelve hidden states a strip [H][12]. */
function packBackwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnBackward>(record), H = r.H, units = packedUnits(1, H);
  packUnits(workspace + WEIGHT, r.weightHh, 4, <usize>H << 2, H, ticket * units, units, H);
}

function finalGradients(record: usize, first: usize, end: i32): void {
  const r = changetype<RnnBackward>(record), H = r.H;
  for (let b = <i32>first; b < end; b++) {
    const at = <usize>b * H << 2;
    copyOrZero(H, r.dHLast ? r.dHLast + at : 0, r.dH0 + at);
  }
}

/** The time of the `step`th step backwards. */
@inline function backwardTimeOf(r: RnnBackward, step: i32): i32 { return r.reverse ? step : r.T - 1 - step; }
@inline function dGatesOf(r: RnnBackward, t: i32): usize { return r.dGates + (<usize>t * r.B * r.H << 2); }

/** All steps of some rows. */
function backwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnBackward>(record), T = r.T, H = r.H;
  const first = ticket * rowsOfTicket(r.B), end = min(r.B, first + rowsOfTicket(r.B));
  finalGradients(record, first, end);
  for (let step = 0; step < T; step++) {
    const t = backwardTimeOf(r, step);
    gradients(r, first, end, 0, H, t);
    recurrent(r, workspace + WEIGHT, first, end, 0, H, t);
  }
}

/** One step of all rows for some units: what reaches them from the step before this, then their gradients. */
function backwardUnitsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<RnnBackward>(record), B = r.B, H = r.H, step = load<i32>(workspace);
  const unit = ticket * TICKET_UNITS, end = min(H, unit + TICKET_UNITS);
  if (step > 0) recurrent(r, workspace + WEIGHT, 0, B, unit, end, backwardTimeOf(r, step - 1));
  if (step < r.T) gradients(r, 0, B, unit, end, backwardTimeOf(r, step));
}

/** dGates·weightHh of step t for units `unit` … `lastUnit` − 1 of the rows that took the step, into dH0. */
function recurrent(r: RnnBackward, weight: usize, first: i32, end: i32, unit: i32, lastUnit: i32, t: i32): void {
  const H = r.H, cuts = cutsOf(r.resets, r.T, r.B, r.reverse != 0, t);
  carryBack(H, dGatesOf(r, t), first, end, weight, unit, lastUnit, r.dH0, H, false, r.lengths, cuts, t);
}

/** dGates and the inspected values of step t. */
function gradients(r: RnnBackward, first: i32, end: i32, unit: i32, lastUnit: i32, t: i32): void {
  const B = r.B, rowBytes = <usize>r.H << 2, relu = r.relu != 0, dHiddenTotal = r.dHiddenTotal, dHidden = r.dHidden;
  for (let b = first; b < end; b++) {
    const inState = <usize>b * rowBytes + (<usize>unit << 2), inStep = <usize>t * B * rowBytes + inState;
    if (!isActive(r.lengths, b, t)) {
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
