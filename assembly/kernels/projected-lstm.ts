/**
 * The LSTM whose hidden state is projected to P elements. Equations and order of sums: the instruction list. Strips of the weights: for
 * each gate one for every twelve units, and those of the projection. Rows of the batch are shared out, units are not.
 */
import { ProjectedLstmBackward, ProjectedLstmForward } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { packStrips } from '../simd/pack';
import { copyOrZero, copyRow, fillRow } from '../simd/rows';
import { STRIP, STRIP_ROW } from '../simd/tile';
import { parallel } from '../team';
import { ceilDiv } from '../tickets';
import {
  carryBack, clearSums, cutsOf, isActive, isCut, multiplyStrips, rowsOfTicket, stripsOf, sumsOf, WEIGHT,
} from './recurrence';

const GATES: i32 = 4;

/** Behind the weights: the sums of four strips, for the rows from `first` on. */
@inline function sumsAt(workspace: usize, weights: usize, first: i32): usize { return workspace + WEIGHT + weights + sumsOf(first) * GATES; }

// Forward

/** xGates [T, B, 4H], weightHh [4H, P], weightHr [P, H] → hidden [T+1, B, P], cell [T+1, B, H], gates, tanhCell, unprojected. */
export function projectedLstmForward(r: ProjectedLstmForward, workspace: usize): void {
  const B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  const record = changetype<usize>(r);
  let to = workspace + WEIGHT;
  for (let gate = 0; gate < GATES; gate++, to += stripsOf(H, P)) {
    packStrips(to, r.weightHh + (<usize>gate * H * P << 2), <usize>P << 2, 4, H, P);
  }
  packStrips(to, r.weightHr, <usize>H << 2, 4, P, H);
  parallel(ceilDiv(B, rowsOfTicket(B)), forwardRowsTicket, record, workspace, false);
}

/** All steps of some rows. */
function forwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<ProjectedLstmForward>(record), T = r.T, B = r.B, H = r.H, P = r.P, reverse = r.reverse != 0;
  const first = ticket * rowsOfTicket(B), end = min(B, first + rowsOfTicket(B)), count = end - first;
  const projection = stripsOf(H, P) * GATES;
  const sums = sumsAt(workspace, projection + stripsOf(P, H), first);
  initialStates(r, first, end);
  for (let step = 0; step < T; step++) {
    const t = reverse ? T - 1 - step : step;
    const hBefore = r.hidden + ((<usize>(reverse ? t + 1 : t) * B + first) * P << 2);
    for (let unit = 0; unit < H; unit += STRIP) {
      const units = min(STRIP, H - unit), weight = workspace + WEIGHT + stripsOf(unit, P);
      if (P > 0) multiplyStrips(P, hBefore, <usize>P << 2, count, units, weight, GATES, stripsOf(H, P), sums);
      else fillRow(<i32>(sumsOf(count) >> 2) * GATES, 0, sums);
      activate(r, sums, sumsOf(count), first, end, unit, units, t);
    }
    const unprojected = r.unprojected + ((<usize>t * B + first) * H << 2);
    for (let p = 0; p < P; p += STRIP) {
      const columns = min(STRIP, P - p), weight = workspace + WEIGHT + projection + stripsOf(p, H);
      if (H > 0) multiplyStrips(H, unprojected, <usize>H << 2, count, columns, weight, 1, 0, sums);
      else fillRow(<i32>(sumsOf(count) >> 2), 0, sums);
      handOn(r, sums, first, end, p, columns, t);
    }
  }
}

function initialStates(r: ProjectedLstmForward, first: i32, end: i32): void {
  const H = r.H, P = r.P, start: usize = r.reverse ? <usize>r.T * r.B : 0;
  for (let b = first; b < end; b++) {
    copyOrZero(P, r.h0 ? r.h0 + (<usize>b * P << 2) : 0, r.hidden + ((start + b) * P << 2));
    copyOrZero(H, r.c0 ? r.c0 + (<usize>b * H << 2) : 0, r.cell + ((start + b) * H << 2));
  }
}

/** Gates, cell and o·tanh(c) of `units` units from `unit` on, for each row, from the row's sums; those of a gate lie `size` bytes apart. */
function activate(
  r: ProjectedLstmForward, sums: usize, size: usize, first: i32, end: i32, unit: i32, units: i32, t: i32,
): void {
  const B = r.B, rowBytes = <usize>r.H << 2, reverse = r.reverse != 0, atUnit = <usize>unit << 2;
  const cuts = cutsOf(r.resets, r.T, B, reverse, t);
  for (let b = first; b < end; b++, sums += STRIP_ROW) {
    const inState = <usize>b * rowBytes + atUnit, inGates = (<usize>t * B + b) * rowBytes * GATES + atUnit;
    const inStep = <usize>t * B * rowBytes + inState;
    const before = r.cell + <usize>(reverse ? t + 1 : t) * B * rowBytes + inState;
    const after = r.cell + <usize>(reverse ? t : t + 1) * B * rowBytes + inState;
    if (!isActive(r.lengths, b, t)) {
      copyRow(units, before, after);
      fillRow(units, 0, r.unprojected + inStep);
      continue;
    }
    const cut = isCut(cuts, b);
    if (cut) clearSums(sums, GATES, size);
    for (let done = 0; done < units; done += 4) {
      const left = units - done, at = <usize>done << 2, x = r.xGates + inGates + at, gates = r.gates + inGates + at;
      const i = math.sigmoid(f32x4.add(loadLanes(x, left), v128.load(sums + at)));
      const f = math.sigmoid(f32x4.add(loadLanes(x + rowBytes, left), v128.load(sums + size + at)));
      const g = math.tanh(f32x4.add(loadLanes(x + rowBytes * 2, left), v128.load(sums + size * 2 + at)));
      const o = math.sigmoid(f32x4.add(loadLanes(x + rowBytes * 3, left), v128.load(sums + size * 3 + at)));
      const cell = fma(i, g, f32x4.mul(f, cut ? splat(0) : loadLanes(before + at, left)));
      const tanhCell = math.tanh(cell);
      storeLanes(gates, i, left);
      storeLanes(gates + rowBytes, f, left);
      storeLanes(gates + rowBytes * 2, g, left);
      storeLanes(gates + rowBytes * 3, o, left);
      storeLanes(after + at, cell, left);
      storeLanes(r.tanhCell + inStep + at, tanhCell, left);
      storeLanes(r.unprojected + inStep + at, f32x4.mul(o, tanhCell), left);
    }
  }
}

/** The hidden states of step t, for `columns` elements from p on: the sums, or what was there before for rows that have ended. */
function handOn(r: ProjectedLstmForward, sums: usize, first: i32, end: i32, p: i32, columns: i32, t: i32): void {
  const B = r.B, P = r.P, reverse = r.reverse != 0;
  for (let b = first; b < end; b++, sums += STRIP_ROW) {
    const before = r.hidden + ((<usize>(reverse ? t + 1 : t) * B + b) * P + p << 2);
    copyRow(columns, isActive(r.lengths, b, t) ? sums : before, r.hidden + ((<usize>(reverse ? t : t + 1) * B + b) * P + p << 2));
  }
}

// Backward

/** dHidden [T, B, P], dHLast [B, P], dCLast [B, H] → dGates, dH0, dC0, dHiddenTotal, and the inspected derivatives, as lstmBackward. */
export function projectedLstmBackward(r: ProjectedLstmBackward, workspace: usize): void {
  const B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  packStrips(workspace + WEIGHT, r.weightHh, 4, <usize>P << 2, P, H * GATES);
  packStrips(workspace + WEIGHT + stripsOf(P, H * GATES), r.weightHr, 4, <usize>H << 2, H, P);
  parallel(ceilDiv(B, rowsOfTicket(B)), backwardRowsTicket, changetype<usize>(r), workspace, false);
}

/** All steps of some rows, from the last on; dH0 carries what goes back through the recurrent product. */
function backwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<ProjectedLstmBackward>(record), T = r.T, B = r.B, H = r.H, P = r.P, J = H * GATES;
  const first = ticket * rowsOfTicket(B), end = min(B, first + rowsOfTicket(B)), count = end - first;
  const projection = stripsOf(P, J);
  const sums = sumsAt(workspace, projection + stripsOf(H, P), first);
  for (let b = first; b < end; b++) {
    copyOrZero(P, r.dHLast ? r.dHLast + (<usize>b * P << 2) : 0, r.dH0 + (<usize>b * P << 2));
    copyOrZero(H, r.dCLast ? r.dCLast + (<usize>b * H << 2) : 0, r.dC0 + (<usize>b * H << 2));
  }
  for (let step = 0; step < T; step++) {
    const t = r.reverse ? step : T - 1 - step;
    hiddenGradients(r, first, end, t);
    const dHidden = r.dHiddenTotal + ((<usize>t * B + first) * P << 2);
    for (let unit = 0; unit < H; unit += STRIP) {
      const units = min(STRIP, H - unit), weight = workspace + WEIGHT + projection + stripsOf(unit, P);
      if (P > 0) multiplyStrips(P, dHidden, <usize>P << 2, count, units, weight, 1, 0, sums);
      else fillRow(<i32>(sumsOf(count) >> 2), 0, sums);
      cellGradients(r, sums, first, end, unit, units, t);
    }
    const dGates = r.dGates + (<usize>t * B * J << 2), cuts = cutsOf(r.resets, T, B, r.reverse != 0, t);
    if (H == 0) {
      for (let b = first; b < end; b++) if (isActive(r.lengths, b, t)) fillRow(P, 0, r.dH0 + (<usize>b * P << 2));
      continue;
    }
    carryBack(J, dGates, first, end, workspace + WEIGHT, 0, P, r.dH0, P, false, r.lengths, cuts, t);
  }
}

/** dHiddenTotal of step t. */
function hiddenGradients(r: ProjectedLstmBackward, first: i32, end: i32, t: i32): void {
  const P = r.P;
  for (let b = first; b < end; b++) {
    const to = r.dHiddenTotal + ((<usize>t * r.B + b) * P << 2), dH0 = r.dH0 + (<usize>b * P << 2);
    if (!isActive(r.lengths, b, t)) {
      fillRow(P, 0, to);
      continue;
    }
    const dHidden = r.dHidden ? r.dHidden + ((<usize>t * r.B + b) * P << 2) : 0;
    for (let left = P, at: usize = 0; left > 0; left -= 4, at += 16) {
      let dh = loadLanes(dH0 + at, left);
      if (dHidden) dh = f32x4.add(dh, loadLanes(dHidden + at, left));
      storeLanes(to + at, dh, left);
    }
  }
}

/** Gradients and inspected values of `units` units of step t, from the sums: those of o·tanh(c). */
function cellGradients(r: ProjectedLstmBackward, sums: usize, first: i32, end: i32, unit: i32, units: i32, t: i32): void {
  const B = r.B, gateBytes = <usize>r.H << 2, atUnit = <usize>unit << 2, reverse = r.reverse != 0;
  const cuts = cutsOf(r.resets, r.T, B, reverse, t), dCellTotal = r.dCellTotal, dGateValues = r.dGateValues;
  for (let b = first; b < end; b++, sums += STRIP_ROW) {
    const inState = <usize>b * gateBytes + atUnit, inStep = <usize>t * B * gateBytes + inState;
    const inGates = (<usize>t * B + b) * gateBytes * GATES + atUnit;
    if (!isActive(r.lengths, b, t)) {
      for (let gate: usize = 0; gate < 4; gate++) {
        fillRow(units, 0, r.dGates + inGates + gate * gateBytes);
        if (dGateValues) fillRow(units, 0, dGateValues + inGates + gate * gateBytes);
      }
      if (dCellTotal) fillRow(units, 0, dCellTotal + inStep);
      continue;
    }
    const cut = isCut(cuts, b), before = r.cell + <usize>(reverse ? t + 1 : t) * B * gateBytes + inState;
    for (let done = 0; done < units; done += 4) {
      const left = units - done, at = <usize>done << 2, gates = r.gates + inGates + at, dC0 = r.dC0 + inState + at;
      const i = loadLanes(gates, left), f = loadLanes(gates + gateBytes, left);
      const g = loadLanes(gates + gateBytes * 2, left), o = loadLanes(gates + gateBytes * 3, left);
      const tanhCell = loadLanes(r.tanhCell + inStep + at, left), dh = v128.load(sums + at);
      const dc = fma(f32x4.mul(dh, o), fma(f32x4.neg(tanhCell), tanhCell, splat(1)), loadLanes(dC0, left));
      const di = f32x4.mul(dc, g), df = f32x4.mul(dc, cut ? splat(0) : loadLanes(before + at, left));
      const dg = f32x4.mul(dc, i), dOutput = f32x4.mul(dh, tanhCell);
      const dGates = r.dGates + inGates + at, values = dGateValues + inGates + at;
      storeLanes(dGates, f32x4.mul(di, fma(f32x4.neg(i), i, i)), left);
      storeLanes(dGates + gateBytes, f32x4.mul(df, fma(f32x4.neg(f), f, f)), left);
      storeLanes(dGates + gateBytes * 2, f32x4.mul(dg, fma(f32x4.neg(g), g, splat(1))), left);
      storeLanes(dGates + gateBytes * 3, f32x4.mul(dOutput, fma(f32x4.neg(o), o, o)), left);
      storeLanes(dC0, cut ? splat(0) : f32x4.mul(dc, f), left);
      if (dCellTotal) storeLanes(dCellTotal + inStep + at, dc, left);
      if (!dGateValues) continue;
      storeLanes(values, di, left);
      storeLanes(values + gateBytes, df, left);
      storeLanes(values + gateBytes * 2, dg, left);
      storeLanes(values + gateBytes * 3, dOutput, left);
    }
  }
}
