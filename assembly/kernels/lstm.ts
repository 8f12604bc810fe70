/**
 * An LSTM layer over a sequence. The recurrent weight is packed once and serves every step; the gates are computed where the tile
 * has just left its sums. Rows of the batch are independent over the whole sequence: a block of them is a ticket.
 * Equations and order of sums: the instruction list. Gates are i, f, g, o, each H wide.
 */
import { LstmBackward, LstmForward } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { packLanes } from '../simd/pack';
import { copyOrZero, copyRow, fillRow } from '../simd/rows';
import { rowTile, TILE_COLUMNS, TILE_ROWS, tile } from '../simd/tile';

const TICKET_ROWS: i32 = 32;

/** Units of a group: a cache line of each gate. A group is four times four units, whose sums are rows of i f g o. */
const GROUP: i32 = 16;
const SUMS_ROW: usize = 64;
const SUMS_QUARTER: usize = <usize>TICKET_ROWS * SUMS_ROW;

/** Parts of the workspace: zeros, the sums of a ticket's rows for a group, the weight, and the rows that a ticket packs. */
const SUMS: usize = 128;
const WEIGHT: usize = SUMS + 4 * SUMS_QUARTER;

@inline function ceilDiv(n: i32, size: i32): i32 { return n / size + i32(n % size > 0); }

@inline function isActive(lengths: usize, b: i32, t: i32): bool {
  return !lengths || t < load<i32>(lengths + (<usize>b << 2));
}

/** Rows `first` … `end` − 1 of a matrix with `columns` columns, as strips [columns][4]. */
function packRows(to: usize, matrix: usize, first: i32, end: i32, columns: i32): void {
  const rowBytes = <usize>columns << 2;
  for (let b = first; b < end; b += TILE_ROWS, to += rowBytes * TILE_ROWS) {
    packLanes(to, 16, matrix + <usize>b * rowBytes, rowBytes, 4, end - b, columns);
  }
}

@inline function clearZeros(workspace: usize): void {
  v128.store(workspace, splat(0));
  v128.store(workspace, splat(0), 16);
}

// Forward

/** xGates [T, B, 4H], weightHh [4H, H] → hidden, cell [T+1, B, H], gates [T, B, 4H], tanhCell [T, B, H]. */
export function lstmForward(r: LstmForward, workspace: usize): void {
  const B = r.B, H = r.H;
  clearZeros(workspace);
  packUnits(workspace + WEIGHT, r.weightHh, H);
  const rows = workspace + WEIGHT + (<usize>ceilDiv(H, 4) * 16 * H << 2);
  for (let first = 0; first < B; first += TICKET_ROWS) {
    lstmForwardTicket(r, workspace, rows, first, min(first + TICKET_ROWS, B));
  }
}

/** weightHh [4, H, H] → for every four units, two strips [H][8]: i and f, then g and o. */
function packUnits(to: usize, weightHh: usize, H: i32): void {
  const rowBytes = <usize>H << 2;
  const gateBytes = rowBytes * H;
  const stripBytes = rowBytes * TILE_COLUMNS;
  for (let unit = 0; unit < H; unit += 4, to += stripBytes * 2) {
    const from = weightHh + <usize>unit * rowBytes;
    packLanes(to, 32, from, rowBytes, 4, H - unit, H);
    packLanes(to + 16, 32, from + gateBytes, rowBytes, 4, H - unit, H);
    packLanes(to + stripBytes, 32, from + gateBytes * 2, rowBytes, 4, H - unit, H);
    packLanes(to + stripBytes + 16, 32, from + gateBytes * 3, rowBytes, 4, H - unit, H);
  }
}

function lstmForwardTicket(r: LstmForward, workspace: usize, rows: usize, first: i32, end: i32): void {
  const T = r.T, B = r.B, H = r.H, reverse = r.reverse != 0;
  const stateBytes = <usize>B * H << 2, rowBytes = <usize>H << 2;
  const start: usize = reverse ? <usize>T * stateBytes : 0;
  for (let b = first; b < end; b++) {
    const at = <usize>b * rowBytes;
    copyOrZero(H, r.h0 ? r.h0 + at : 0, r.hidden + start + at);
    copyOrZero(H, r.c0 ? r.c0 + at : 0, r.cell + start + at);
  }
  for (let step = 0; step < T; step++) {
    const t = reverse ? T - 1 - step : step;
    const before = <usize>(reverse ? t + 1 : t) * stateBytes;
    const after = <usize>(reverse ? t : t + 1) * stateBytes;
    packRows(rows, r.hidden + before, first, end, H);
    stepForward(r, workspace, rows, first, end, t, before, after);
  }
}

/** A group of units at a time: four units' part of the weight stays in L1 for all rows, and every line of the gates is used whole. */
function stepForward(
  r: LstmForward, workspace: usize, rows: usize, first: i32, end: i32, t: i32, before: usize, after: usize,
): void {
  const H = r.H;
  for (let unit = 0; unit < H; unit += GROUP) {
    multiplyGroup(H, workspace, rows, unit, min(unit + GROUP, H), end - first);
    if (H - unit >= GROUP) activateGroup(r, workspace + SUMS, first, end, unit, t, before, after);
    else activate(r, workspace + SUMS, first, end, unit, H - unit, false, t, before, after);
  }
}

/** The sums of units `unit` … `lastUnit` − 1 for `count` packed rows. */
function multiplyGroup(H: i32, workspace: usize, rows: usize, unit: i32, lastUnit: i32, count: i32): void {
  const tileBytes = <usize>H * TILE_ROWS << 2, stripBytes = <usize>H * TILE_COLUMNS << 2;
  let weight = workspace + WEIGHT + <usize>(unit >> 2) * stripBytes * 2;
  let quarter = workspace + SUMS;
  for (; unit < lastUnit; unit += 4, weight += stripBytes * 2, quarter += SUMS_QUARTER) {
    let hidden = rows, sums = quarter;
    for (let left = count; left > 0; left -= TILE_ROWS, hidden += tileBytes, sums += SUMS_ROW * TILE_ROWS) {
      if (left == 1) {
        rowTile(H, hidden, weight, weight + stripBytes, sums);
      } else {
        tile(H, hidden, weight, workspace, 0, sums, SUMS_ROW);
        tile(H, hidden, weight + stripBytes, workspace, 0, sums + 32, SUMS_ROW);
      }
    }
  }
}

/**
 * Gates, cell and hidden state of `units` units from `unit` on, for each row, from the row's sums. In two passes, so that no
 * tanh of a cell waits for its gates, and two functions at a time: V8 interleaves what no store separates.
 */
@inline function activate(
  r: LstmForward, sums: usize, first: i32, end: i32, unit: i32, units: i32, whole: bool, t: i32, before: usize, after: usize,
): void {
  const lengths = r.lengths, stateRow = <usize>r.H << 2, gatesRow = stateRow * 4;
  const inState = <usize>first * stateRow + (<usize>unit << 2);
  const inGates = (<usize>t * r.B + first) * gatesRow + (<usize>unit << 2);

  let xRow = r.xGates + inGates, gatesOfRow = r.gates + inGates;
  for (let b = first; b < end; b++, xRow += gatesRow, gatesOfRow += gatesRow, sums += SUMS_ROW) {
    if (!isActive(lengths, b, t)) continue;
    let x = xRow, gates = gatesOfRow, sum = sums;
    for (let done = 0; done < units; done += 4, x += 16, gates += 16, sum += SUMS_QUARTER) {
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

/** A whole group, in a function of its own, so that no question about `left` remains in its loops. */
function activateGroup(
  r: LstmForward, sums: usize, first: i32, end: i32, unit: i32, t: i32, before: usize, after: usize,
): void {
  activate(r, sums, first, end, unit, GROUP, true, t, before, after);
}

// Backward

/** dHidden [T, B, H], dHLast, dCLast [B, H] → dGates [T, B, 4H], dH0, dC0 [B, H], and the inspected derivatives. */
export function lstmBackward(r: LstmBackward, workspace: usize): void {
  const B = r.B, H = r.H;
  clearZeros(workspace);
  packStates(workspace + WEIGHT, r.weightHh, H);
  const rows = workspace + WEIGHT + (<usize>ceilDiv(H, TILE_COLUMNS) * TILE_COLUMNS * 4 * H << 2);
  for (let first = 0; first < B; first += TICKET_ROWS) {
    lstmBackwardTicket(r, workspace, rows, first, min(first + TICKET_ROWS, B));
  }
}

/** weightHh [4H, H] → for every eight hidden states a strip [4H][8]. */
function packStates(to: usize, weightHh: usize, H: i32): void {
  const rowBytes = <usize>H << 2;
  for (let k = 0; k < H; k += TILE_COLUMNS, to += rowBytes * 4 * TILE_COLUMNS) {
    const from = weightHh + (<usize>k << 2);
    packLanes(to, 32, from, 4, rowBytes, H - k, H * 4);
    packLanes(to + 16, 32, from + 16, 4, rowBytes, H - k - 4, H * 4);
  }
}

/**
 * Against the order of the forward steps. dH0 carries `recurrent`, the gradient that reaches a hidden state from the step after
 * it, and dC0 the product dc₊₁·f₊₁; rows that are past their end leave both alone.
 */
function lstmBackwardTicket(r: LstmBackward, workspace: usize, rows: usize, first: i32, end: i32): void {
  const T = r.T, B = r.B, H = r.H, reverse = r.reverse != 0;
  const rowBytes = <usize>H << 2;
  for (let b = first; b < end; b++) {
    const at = <usize>b * rowBytes;
    copyOrZero(H, r.dHLast ? r.dHLast + at : 0, r.dH0 + at);
    copyOrZero(H, r.dCLast ? r.dCLast + at : 0, r.dC0 + at);
  }
  for (let step = 0; step < T; step++) {
    const t = reverse ? step : T - 1 - step;
    for (let b = first; b < end; b++) {
      if (isActive(r.lengths, b, t)) rowGradients(r, t, b, reverse ? t + 1 : t);
      else clearGradients(r, t, b);
    }
    packRows(rows, r.dGates + (<usize>t * B * H * 4 << 2), first, end, H * 4);
    if (end - first == 1) rowBackward(r, workspace, rows, first, t);
    else stepBackward(r, workspace, rows, first, end, t);
  }
}

/** dGates and the inspected values of one row of step t; `before` is the index of the state that the step began with. */
function rowGradients(r: LstmBackward, t: i32, b: i32, before: i32): void {
  const B = r.B, gateBytes = <usize>r.H << 2;
  const inState = <usize>b * gateBytes;
  const inStep = <usize>t * B * gateBytes + inState;
  const inGates = inStep * 4;
  const hasHidden = r.dHidden != 0, dHiddenTotal = r.dHiddenTotal, dCellTotal = r.dCellTotal, dGateValues = r.dGateValues;
  let gates = r.gates + inGates, dGates = r.dGates + inGates, values = dGateValues + inGates;
  let dHidden = r.dHidden + inStep, tanhCellAt = r.tanhCell + inStep;
  let cellAt = r.cell + <usize>before * B * gateBytes + inState;
  let dH0 = r.dH0 + inState, dC0 = r.dC0 + inState;
  let dHiddenAt = dHiddenTotal + inStep, dCellAt = dCellTotal + inStep;
  for (let left = r.H; left > 0; left -= 4) {
    const i = loadLanes(gates, left), f = loadLanes(gates + gateBytes, left);
    const g = loadLanes(gates + gateBytes * 2, left), o = loadLanes(gates + gateBytes * 3, left);
    const tanhCell = loadLanes(tanhCellAt, left);
    // hidden = o·tanh(c)
    let dh = loadLanes(dH0, left);
    if (hasHidden) dh = f32x4.add(dh, loadLanes(dHidden, left));
    const dc = fma(f32x4.mul(dh, o), fma(f32x4.neg(tanhCell), tanhCell, splat(1)), loadLanes(dC0, left));
    // c = f·c₋₁ + i·g
    const di = f32x4.mul(dc, g), df = f32x4.mul(dc, loadLanes(cellAt, left));
    const dg = f32x4.mul(dc, i), dOutput = f32x4.mul(dh, tanhCell);
    // i, f, o = sigmoid, g = tanh of what was summed
    storeLanes(dGates, f32x4.mul(di, fma(f32x4.neg(i), i, i)), left);
    storeLanes(dGates + gateBytes, f32x4.mul(df, fma(f32x4.neg(f), f, f)), left);
    storeLanes(dGates + gateBytes * 2, f32x4.mul(dg, fma(f32x4.neg(g), g, splat(1))), left);
    storeLanes(dGates + gateBytes * 3, f32x4.mul(dOutput, fma(f32x4.neg(o), o, o)), left);
    storeLanes(dC0, f32x4.mul(dc, f), left);
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
function clearGradients(r: LstmBackward, t: i32, b: i32): void {
  const H = r.H;
  const inStep = (<usize>t * r.B + b) * H << 2;
  fillRow(H * 4, 0, r.dGates + inStep * 4);
  if (r.dHiddenTotal) fillRow(H, 0, r.dHiddenTotal + inStep);
  if (r.dCellTotal) fillRow(H, 0, r.dCellTotal + inStep);
  if (r.dGateValues) fillRow(H * 4, 0, r.dGateValues + inStep * 4);
}

/** recurrent = dGates·weightHh for the rows that took the step, into dH0. */
function stepBackward(r: LstmBackward, workspace: usize, rows: usize, first: i32, end: i32, t: i32): void {
  const H = r.H, rowBytes = <usize>H << 2, stripBytes = rowBytes * 4 * TILE_COLUMNS;
  let weight = workspace + WEIGHT;
  for (let k = 0; k < H; k += TILE_COLUMNS, weight += stripBytes) {
    let dGates = rows;
    for (let b = first; b < end; b += TILE_ROWS, dGates += rowBytes * 4 * TILE_ROWS) {
      const to = r.dH0 + (<usize>b * H + k << 2);
      if (areActive(r.lengths, b, end, t) && H - k >= TILE_COLUMNS) {
        tile(H * 4, dGates, weight, workspace, 0, to, rowBytes);
      } else {
        tile(H * 4, dGates, weight, workspace, 0, workspace + SUMS, 32);
        for (let i = 0, count = min(TILE_ROWS, end - b); i < count; i++) {
          if (isActive(r.lengths, b + i, t)) copyRow(min(TILE_COLUMNS, H - k), workspace + SUMS + <usize>i * 32, to + <usize>i * rowBytes);
        }
      }
    }
  }
}

/** As {@link stepBackward}, for a ticket of one row. */
function rowBackward(r: LstmBackward, workspace: usize, dGates: usize, b: i32, t: i32): void {
  if (!isActive(r.lengths, b, t)) return;
  const H = r.H, stripBytes = <usize>H * 4 * TILE_COLUMNS << 2;
  const sums = workspace + SUMS;
  let weight = workspace + WEIGHT, to = r.dH0 + (<usize>b * H << 2);
  for (let left = H; left > 0; left -= 16, weight += stripBytes * 2, to += 64) {
    if (left > TILE_COLUMNS) rowTile(H * 4, dGates, weight, weight + stripBytes, sums);
    else tile(H * 4, dGates, weight, workspace, 0, sums, SUMS_ROW);
    copyRow(min(left, 16), sums, to);
  }
}

/** Whether a whole tile of rows starts at b and takes step t. */
@inline function areActive(lengths: usize, b: i32, end: i32, t: i32): bool {
  return end - b >= TILE_ROWS
    && isActive(lengths, b, t) && isActive(lengths, b + 1, t) && isActive(lengths, b + 2, t) && isActive(lengths, b + 3, t);
}
