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
import {
  carryBack, clearSums, cutsOf, isCut, liveRows, multiplyStrips, placeOf, rowAt, rowsFrom, runsOf, shareRows, stripsOf, sumsOf, weightAt,
} from './recurrence';

const GATES: i32 = 4;


// Forward

/** xGates [T, B, 4H], weightHh [4H, P], weightHr [P, H] → hidden [T+1, B, P], cell [T+1, B, H], gates, tanhCell, unprojected. */
export function projectedLstmForward(r: ProjectedLstmForward, workspace: usize): void {
  const B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  let to = weightAt(workspace, r.T, B);
  for (let gate = 0; gate < GATES; gate++, to += stripsOf(H, P)) {
    packStrips(to, r.weightHh + (<usize>gate * H * P << 2), <usize>P << 2, 4, H, P);
  }
  packStrips(to, r.weightHr, <usize>H << 2, 4, P, H);
  shareRows(changetype<usize>(r), workspace, r.T, B, r.lengths, forwardRowsTicket);
}

/** All steps of a run of rows. The sums of four strips, for its rows, lie behind the weights. */
function forwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<ProjectedLstmForward>(record), T = r.T, B = r.B, H = r.H, P = r.P, runs = runsOf(B);
  const place = placeOf(ticket, runs, B), rows = rowsFrom(workspace, place), all = placeOf(ticket + 1, runs, B) - place;
  const weights = weightAt(workspace, T, B), projection = weights + stripsOf(H, P) * GATES;
  const sums = projection + stripsOf(P, H) + sumsOf(place) * GATES;
  initialStates(r, rows, all);
  for (let step = 0; step < T; step++) {
    const t = r.reverse ? T - 1 - step : step, live = liveRows(workspace, B, t, ticket, runs);
    for (let i = live; i < all; i++) keepState(r, rowAt(rows, i), t);
    if (live == 0) continue;
    for (let unit = 0; unit < H; unit += STRIP) {
      const units = min(STRIP, H - unit), weight = weights + stripsOf(unit, P);
      if (P > 0) multiplyStrips(P, hiddenBefore(r, t), <usize>P << 2, rows, live, units, weight, GATES, stripsOf(H, P), sums);
      else fillRow(<i32>(sumsOf(live) >> 2) * GATES, 0, sums);
      activate(r, sums, rows, live, unit, units, t);
    }
    const unprojected = r.unprojected + (<usize>t * B * H << 2);
    for (let p = 0; p < P; p += STRIP) {
      const columns = min(STRIP, P - p), weight = projection + stripsOf(p, H);
      if (H > 0) multiplyStrips(H, unprojected, <usize>H << 2, rows, live, columns, weight, 1, 0, sums);
      else fillRow(<i32>(sumsOf(live) >> 2), 0, sums);
      const hidden = hiddenAfter(r, t) + (<usize>p << 2);
      for (let i = 0; i < live; i++) copyRow(columns, sums + sumsOf(i), hidden + (<usize>rowAt(rows, i) * P << 2));
    }
  }
}

@inline function hiddenBefore(r: ProjectedLstmForward, t: i32): usize { return r.hidden + (<usize>(r.reverse ? t + 1 : t) * r.B * r.P << 2); }
@inline function hiddenAfter(r: ProjectedLstmForward, t: i32): usize { return r.hidden + (<usize>(r.reverse ? t : t + 1) * r.B * r.P << 2); }
@inline function cellBefore(r: ProjectedLstmForward, t: i32): usize { return r.cell + (<usize>(r.reverse ? t + 1 : t) * r.B * r.H << 2); }
@inline function cellAfter(r: ProjectedLstmForward, t: i32): usize { return r.cell + (<usize>(r.reverse ? t : t + 1) * r.B * r.H << 2); }

function initialStates(r: ProjectedLstmForward, rows: usize, count: i32): void {
  const H = r.H, P = r.P, start: usize = r.reverse ? <usize>r.T * r.B : 0;
  for (let i = 0; i < count; i++) {
    const b: usize = rowAt(rows, i);
    copyOrZero(P, r.h0 ? r.h0 + (b * P << 2) : 0, r.hidden + ((start + b) * P << 2));
    copyOrZero(H, r.c0 ? r.c0 + (b * H << 2) : 0, r.cell + ((start + b) * H << 2));
  }
}

/** Step t of a row that does not have it. */
function keepState(r: ProjectedLstmForward, b: usize, t: i32): void {
  const inHidden = b * r.P << 2, inCell = b * r.H << 2;
  copyRow(r.P, hiddenBefore(r, t) + inHidden, hiddenAfter(r, t) + inHidden);
  copyRow(r.H, cellBefore(r, t) + inCell, cellAfter(r, t) + inCell);
  fillRow(r.H, 0, r.unprojected + (<usize>t * r.B * r.H << 2) + inCell);
}

/** Gates, cell and o·tanh(c) of `units` units from `unit` on, for each of `count` rows, from the row's sums. */
function activate(r: ProjectedLstmForward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, t: i32): void {
  const B = r.B, rowBytes = <usize>r.H << 2, atUnit = <usize>unit << 2, size = sumsOf(count);
  const cuts = cutsOf(r.resets, r.T, B, r.reverse != 0, t);
  for (let place = 0; place < count; place++, sums += STRIP_ROW) {
    const b = rowAt(rows, place);
    const inState = <usize>b * rowBytes + atUnit, inGates = (<usize>t * B + b) * rowBytes * GATES + atUnit;
    const inStep = <usize>t * B * rowBytes + inState;
    const before = cellBefore(r, t) + inState, after = cellAfter(r, t) + inState;
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

// Backward

/** dHidden [T, B, P], dHLast [B, P], dCLast [B, H] → dGates, dH0, dC0, dHiddenTotal, and the inspected derivatives, as lstmBackward. */
export function projectedLstmBackward(r: ProjectedLstmBackward, workspace: usize): void {
  const B = r.B, H = r.H, P = r.P;
  if (B == 0) return;
  const weights = weightAt(workspace, r.T, B);
  packStrips(weights, r.weightHh, 4, <usize>P << 2, P, H * GATES);
  packStrips(weights + stripsOf(P, H * GATES), r.weightHr, 4, <usize>H << 2, H, P);
  shareRows(changetype<usize>(r), workspace, r.T, B, r.lengths, backwardRowsTicket);
}

/** All steps of a run of rows, from the last on; dH0 carries what goes back through the recurrent product. */
function backwardRowsTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<ProjectedLstmBackward>(record), T = r.T, B = r.B, H = r.H, P = r.P, J = H * GATES, runs = runsOf(B);
  const place = placeOf(ticket, runs, B), rows = rowsFrom(workspace, place), all = placeOf(ticket + 1, runs, B) - place;
  const weights = weightAt(workspace, T, B), projection = weights + stripsOf(P, J);
  const sums = projection + stripsOf(H, P) + sumsOf(place) * GATES;
  finalGradients(r, rows, all);
  for (let step = 0; step < T; step++) {
    const t = r.reverse ? step : T - 1 - step, live = liveRows(workspace, B, t, ticket, runs);
    for (let i = live; i < all; i++) clearGradients(r, t, rowAt(rows, i));
    if (live == 0) continue;
    hiddenGradients(r, rows, live, t);
    const dHidden = r.dHiddenTotal + (<usize>t * B * P << 2);
    for (let unit = 0; unit < H; unit += STRIP) {
      const units = min(STRIP, H - unit), weight = projection + stripsOf(unit, P);
      if (P > 0) multiplyStrips(P, dHidden, <usize>P << 2, rows, live, units, weight, 1, 0, sums);
      else fillRow(<i32>(sumsOf(live) >> 2), 0, sums);
      cellGradients(r, sums, rows, live, unit, units, t);
    }
    if (H > 0) {
      const dGates = r.dGates + (<usize>t * B * J << 2), cuts = cutsOf(r.resets, T, B, r.reverse != 0, t);
      carryBack(J, dGates, rows, live, weights, 0, P, r.dH0, P, false, cuts);
    } else {
      for (let i = 0; i < live; i++) fillRow(P, 0, r.dH0 + (<usize>rowAt(rows, i) * P << 2));
    }
  }
}

function finalGradients(r: ProjectedLstmBackward, rows: usize, count: i32): void {
  const H = r.H, P = r.P;
  for (let i = 0; i < count; i++) {
    const inHidden = <usize>rowAt(rows, i) * P << 2, inCell = <usize>rowAt(rows, i) * H << 2;
    copyOrZero(P, r.dHLast ? r.dHLast + inHidden : 0, r.dH0 + inHidden);
    copyOrZero(H, r.dCLast ? r.dCLast + inCell : 0, r.dC0 + inCell);
  }
}

/** A step behind the end of a row's sequence. */
function clearGradients(r: ProjectedLstmBackward, t: i32, b: i32): void {
  const H = r.H, row = <usize>t * r.B + b, inGates = row * H * GATES << 2;
  fillRow(r.P, 0, r.dHiddenTotal + (row * r.P << 2));
  fillRow(H * GATES, 0, r.dGates + inGates);
  if (r.dGateValues) fillRow(H * GATES, 0, r.dGateValues + inGates);
  if (r.dCellTotal) fillRow(H, 0, r.dCellTotal + (row * H << 2));
}

/** dHiddenTotal of step t. */
function hiddenGradients(r: ProjectedLstmBackward, rows: usize, count: i32, t: i32): void {
  const P = r.P;
  for (let i = 0; i < count; i++) {
    const b: usize = rowAt(rows, i), inStep = (<usize>t * r.B + b) * P << 2;
    const to = r.dHiddenTotal + inStep, dH0 = r.dH0 + (b * P << 2), dHidden = r.dHidden ? r.dHidden + inStep : 0;
    for (let left = P, at: usize = 0; left > 0; left -= 4, at += 16) {
      let dh = loadLanes(dH0 + at, left);
      if (dHidden) dh = f32x4.add(dh, loadLanes(dHidden + at, left));
      storeLanes(to + at, dh, left);
    }
  }
}

/** Gradients and inspected values of `units` units of step t, from the sums: those of o·tanh(c). */
function cellGradients(r: ProjectedLstmBackward, sums: usize, rows: usize, count: i32, unit: i32, units: i32, t: i32): void {
  const B = r.B, gateBytes = <usize>r.H << 2, atUnit = <usize>unit << 2, reverse = r.reverse != 0;
  const cuts = cutsOf(r.resets, r.T, B, reverse, t), dCellTotal = r.dCellTotal, dGateValues = r.dGateValues;
  for (let place = 0; place < count; place++, sums += STRIP_ROW) {
    const b = rowAt(rows, place);
    const inState = <usize>b * gateBytes + atUnit, inStep = <usize>t * B * gateBytes + inState;
    const inGates = (<usize>t * B + b) * gateBytes * GATES + atUnit;
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
