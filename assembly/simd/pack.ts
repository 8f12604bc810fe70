/**
 * Packing: a strip of four lanes (rows of A, columns of B, units of a gate) becomes consecutive groups of four, one group per step
 * of the sum, so that the tile reads memory in order whatever the strides were.
 */
import { splat } from './lanes';

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
  for (; left >= 4; left -= 4, lane0 += 16, lane1 += 16, lane2 += 16, lane3 += 16) {
    const row0 = v128.load(lane0), row1 = v128.load(lane1), row2 = v128.load(lane2), row3 = v128.load(lane3);
    const low01 = v128.shuffle<f32>(row0, row1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(row0, row1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(row2, row3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(row2, row3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
    v128.store(to + toStep, v128.shuffle<f64>(low01, low23, 1, 3));
    v128.store(to + toStep * 2, v128.shuffle<f64>(high01, high23, 0, 2));
    v128.store(to + toStep * 3, v128.shuffle<f64>(high01, high23, 1, 3));
    to += toStep * 4;
  }
  packAny(to, toStep, lane0, laneStride, 4, 4, left);
}

function packAny(
  to: usize, toStep: usize, from: usize, laneStride: usize, depthStride: usize, lanes: i32, depth: i32,
): void {
  for (let k = 0; k < depth; k++, to += toStep, from += depthStride) {
    let group = splat(0);
    if (lanes > 0) group = v128.load32_zero(from);
    if (lanes > 1) group = v128.load32_lane(from + laneStride, group, 1);
    if (lanes > 2) group = v128.load32_lane(from + laneStride * 2, group, 2);
    if (lanes > 3) group = v128.load32_lane(from + laneStride * 3, group, 3);
    v128.store(to, group);
  }
}
