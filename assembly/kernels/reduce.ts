/**
 * Sums. The cuts (blocks of 64 rows, blocks of 4096 elements) depend on the shape alone: the partial sum of each block
 * goes to the workspace, and the partial sums are folded in order.
 */
import { ColumnSum, ColumnSumAdd, SquaredNorm, Sum } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes, sumOf16 } from '../simd/lanes';
import { addRow, copyOrZero } from '../simd/rows';
import { parallel } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

const ROWS: i32 = 64;
const BLOCK: i32 = 4096;

/** Blocks of a ticket: a few where they are small. */
@inline function blocksOf(C: i32): i32 { return rowsOf(STREAMED / ROWS, C); }
const BLOCKS: i32 = STREAMED / BLOCK;

/** x [R, C] → y [C]. */
export function columnSum(r: ColumnSum, workspace: usize): void {
  parallel(ceilDiv(ceilDiv(r.R, ROWS), blocksOf(r.C)), columnSumTicket, changetype<usize>(r), workspace);
  copyOrZero(r.C, foldRows(r.R, r.C, workspace), r.y);
}

function columnSumTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<ColumnSum>(record);
  sumRows(r.x, r.R, r.C, workspace, ticket);
}

/** x [R, C], y [C]: y = y + Σ. */
export function columnSumAdd(r: ColumnSumAdd, workspace: usize): void {
  parallel(ceilDiv(ceilDiv(r.R, ROWS), blocksOf(r.C)), columnSumAddTicket, changetype<usize>(r), workspace);
  if (r.R > 0) addRow(r.C, foldRows(r.R, r.C, workspace), r.y);
}

function columnSumAddTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<ColumnSumAdd>(record);
  sumRows(r.x, r.R, r.C, workspace, ticket);
}

function sumRows(x: usize, R: i32, C: i32, workspace: usize, ticket: i32): void {
  const each = blocksOf(C), end = min(ceilDiv(R, ROWS), (ticket + 1) * each);
  for (let block = ticket * each; block < end; block++) sumBlockOfRows(x, R, C, workspace, block);
}

/** Row `block` of the workspace = Σ of 64 rows of x, in strips of 16 columns that stay in registers. */
function sumBlockOfRows(x: usize, R: i32, C: i32, workspace: usize, block: i32): void {
  const rowBytes = <usize>C << 2;
  const rows = min(ROWS, R - block * ROWS);
  let strip = x + <usize>(block * ROWS) * rowBytes;
  let y = workspace + <usize>block * rowBytes;
  for (let left = C; left > 0; left -= 16, strip += 64, y += 64) {
    let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0);
    let row = strip;
    if (left >= 16) {
      for (let i = 0; i < rows; i++, row += rowBytes) {
        sum0 = f32x4.add(sum0, v128.load(row));
        sum4 = f32x4.add(sum4, v128.load(row, 16));
        sum8 = f32x4.add(sum8, v128.load(row, 32));
        sum12 = f32x4.add(sum12, v128.load(row, 48));
      }
    } else {
      for (let i = 0; i < rows; i++, row += rowBytes) {
        sum0 = f32x4.add(sum0, loadLanes(row, left));
        sum4 = f32x4.add(sum4, loadLanes(row + 16, left - 4));
        sum8 = f32x4.add(sum8, loadLanes(row + 32, left - 8));
        sum12 = f32x4.add(sum12, loadLanes(row + 48, left - 12));
      }
    }
    storeLanes(y, sum0, left);
    storeLanes(y + 16, sum4, left - 4);
    storeLanes(y + 32, sum8, left - 8);
    storeLanes(y + 48, sum12, left - 12);
  }
}

/** Adds the later rows of partial sums to the first, left to right; 0 when there is none. */
function foldRows(R: i32, C: i32, workspace: usize): usize {
  if (R == 0) return 0;
  for (let block = 1, count = ceilDiv(R, ROWS); block < count; block++) {
    addRow(C, workspace + (<usize>block * <usize>C << 2), workspace);
  }
  return workspace;
}

/** y = Σ x. */
export function sum(r: Sum, workspace: usize): void {
  const n = r.n;
  parallel(ceilDiv(n, STREAMED), sumTicket, changetype<usize>(r), workspace);
  store<f32>(r.y, fold(n, workspace));
}

function sumTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<Sum>(record), end = min(ceilDiv(r.n, BLOCK), (ticket + 1) * BLOCKS);
  for (let block = ticket * BLOCKS; block < end; block++) sumBlock(false, r.x, r.n, workspace, block);
}

/** y = Σ x². */
export function squaredNorm(r: SquaredNorm, workspace: usize): void {
  const n = r.n;
  parallel(ceilDiv(n, STREAMED), squaredNormTicket, changetype<usize>(r), workspace);
  store<f32>(r.y, fold(n, workspace));
}

function squaredNormTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<SquaredNorm>(record), end = min(ceilDiv(r.n, BLOCK), (ticket + 1) * BLOCKS);
  for (let block = ticket * BLOCKS; block < end; block++) sumBlock(true, r.x, r.n, workspace, block);
}

@inline function plus(squared: bool, sum: v128, x: v128): v128 {
  return squared ? fma(x, x, sum) : f32x4.add(sum, x);
}

/** Element `block` of the workspace = Σ of 4096 elements on sixteen lanes. A missing element adds +0, which changes no lane. */
@inline function sumBlock(squared: bool, x: usize, n: i32, workspace: usize, block: i32): void {
  let from = x + (<usize>block * BLOCK << 2);
  let left = min(BLOCK, n - block * BLOCK);
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0);
  for (; left >= 16; left -= 16, from += 64) {
    sum0 = plus(squared, sum0, v128.load(from));
    sum4 = plus(squared, sum4, v128.load(from, 16));
    sum8 = plus(squared, sum8, v128.load(from, 32));
    sum12 = plus(squared, sum12, v128.load(from, 48));
  }
  sum0 = plus(squared, sum0, loadLanes(from, left));
  sum4 = plus(squared, sum4, loadLanes(from + 16, left - 4));
  sum8 = plus(squared, sum8, loadLanes(from + 32, left - 8));
  sum12 = plus(squared, sum12, loadLanes(from + 48, left - 12));
  store<f32>(workspace + (<usize>block << 2), sumOf16(sum0, sum4, sum8, sum12));
}

function fold(n: i32, workspace: usize): f32 {
  if (n == 0) return 0;
  let total = load<f32>(workspace);
  for (let block = 1, count = ceilDiv(n, BLOCK); block < count; block++) total += load<f32>(workspace + (<usize>block << 2));
  return total;
}
