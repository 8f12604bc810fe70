/**
 * Packing: a strip of four lanes (rows of A, columns of B, units of a gate) becomes consecutive groups of four, one group per step
 * of the sum, so that the tile reads memory in order whatever the strides were.
 */
import { splat } from './lanes';
import { STRIP, STRIP_ROW } from './tile';

/**
 * Group k of the strip, at `to + k·toStep` bytes, = the elements of lanes 0 … 3 at depth k. Lanes from `lanes` on become 0: what
 * the tile computes from them is dropped, but stale memory could hold subnormals and cost time. Strides in bytes.
 */
export function packLanes(
  to: usize, toStep: usize, from: usize, laneStride: usize, depthStride: usize, lanes: i32, depth: i32,
): void {
  if (lanes >= 4 && laneStride == 4) packRows(to, toStep, from, depthStride, depth);
  else if (lanes >= 4 && depthStride == 4) packColumns(to, toStep, from, laneStride, depth);
  else packAny(to, toStep, from, laneStride, depthStride, lanes, depth);
}

/** Lanes that lie next to each other: a copy. */
@inline function packRows(to: usize, toStep: usize, from: usize, depthStride: usize, depth: i32): void {
  for (let k = 0; k < depth; k++, to += toStep, from += depthStride) v128.store(to, v128.load(from));
}

/** Lanes that each lie in order: transposed in 4×4 blocks. */
@inline function packColumns(to: usize, toStep: usize, from: usize, laneStride: usize, depth: i32): void {
  let lane0 = from, lane1 = lane0 + laneStride, lane2 = lane1 + laneStride, lane3 = lane2 + laneStride;
  let left = depth;
  for (; left >= 4; left -= 4, lane0 += 16, lane1 += 16, lane2 += 16, lane3 += 16, to += toStep * 4) {
    transpose4(to, toStep, v128.load(lane0), v128.load(lane1), v128.load(lane2), v128.load(lane3));
  }
  packAny(to, toStep, lane0, laneStride, 4, 4, left);
}

function packAny(
  to: usize, toStep: usize, from: usize, laneStride: usize, depthStride: usize, lanes: i32, depth: i32,
): void {
  for (let k = 0; k < depth; k++, to += toStep, from += depthStride) v128.store(to, gather(from, laneStride, lanes));
}

/** Up to four elements that are `stride` bytes apart; lanes from `count` on are 0. */
@inline export function gather(from: usize, stride: usize, count: i32): v128 {
  let group = splat(0);
  if (count > 0) group = v128.load32_zero(from);
  if (count > 1) group = v128.load32_lane(from + stride, group, 1);
  if (count > 2) group = v128.load32_lane(from + stride * 2, group, 2);
  if (count > 3) group = v128.load32_lane(from + stride * 3, group, 3);
  return group;
}

/** Four rows of four, as four columns that are toStep bytes apart. */
@inline export function transpose4(to: usize, toStep: usize, row0: v128, row1: v128, row2: v128, row3: v128): void {
  const low01 = v128.shuffle<f32>(row0, row1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(row0, row1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(row2, row3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(row2, row3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
  v128.store(to + toStep, v128.shuffle<f64>(low01, low23, 1, 3));
  v128.store(to + toStep * 2, v128.shuffle<f64>(high01, high23, 0, 2));
  v128.store(to + toStep * 3, v128.shuffle<f64>(high01, high23, 1, 3));
}

/** Steps that are packed for all strips before the next ones, so that those share cache lines. */
const STEPS: i32 = 8;

/**
 * `columns` columns as strips [depth][12], element (k, j) from `from` + k·depthStride + j·laneStride; columns that are not there are 0.
 */
export function packStrips(to: usize, from: usize, laneStride: usize, depthStride: usize, columns: i32, depth: i32): void {
  const strip = <usize>depth * STRIP_ROW;
  const steps = laneStride == 4 ? STEPS : depth;
  for (let k = 0; k < depth; k += steps, to += <usize>steps * STRIP_ROW, from += <usize>steps * depthStride) {
    const count = min(steps, depth - k);
    let group = to, lanes = from, left = columns;
    if (laneStride == 4) {
      for (; left >= STRIP; left -= STRIP, group += strip, lanes += STRIP_ROW) copyStrip(group, lanes, depthStride, count);
    }
    for (; left > 0; left -= STRIP, group += strip, lanes += laneStride * STRIP) {
      packLanes(group, STRIP_ROW, lanes, laneStride, depthStride, left, count);
      packLanes(group + 16, STRIP_ROW, lanes + laneStride * 4, laneStride, depthStride, left - 4, count);
      packLanes(group + 32, STRIP_ROW, lanes + laneStride * 8, laneStride, depthStride, left - 8, count);
    }
  }
}

@inline function copyStrip(to: usize, from: usize, depthStride: usize, depth: i32): void {
  for (; depth > 0; depth--, to += STRIP_ROW, from += depthStride) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
  }
}

/**
 * `rows` rows [depth], toRow bytes apart, element (i, k) from `from` + i·rowStride + k·depthStride. Rows are filled up to whole vectors,
 * with zeros.
 */
export function packRowMajor(to: usize, toRow: usize, from: usize, rowStride: usize, depthStride: usize, rows: i32, depth: i32): void {
  let k = 0;
  if (rowStride == 4) {
    // Rows that share cache lines one after the other.
    for (; k + 4 <= depth; k += 4, to += 16, from += depthStride * 4) {
      const from1 = from + depthStride, from2 = from1 + depthStride, from3 = from2 + depthStride;
      let row = to, at: usize = 0, left = rows;
      for (; left >= 4; left -= 4, row += toRow * 4, at += 16) {
        transpose4(row, toRow, v128.load(from + at), v128.load(from1 + at), v128.load(from2 + at), v128.load(from3 + at));
      }
      for (; left > 0; left--, row += toRow, at += 4) v128.store(row, gather(from + at, depthStride, 4));
    }
  }
  for (; k < depth; k += 4, to += 16, from += depthStride * 4) packAny(to, toRow, from, depthStride, rowStride, depth - k, rows);
}
