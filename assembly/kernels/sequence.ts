/** Time-major sequences [T, B, C]. */
import { LiveSteps, MaskSteps, MaxSteps, MaxStepsBackward, SelectRows } from '../generated/instructions';
import { loadLanes, splat, storeLanes } from '../simd/lanes';
import { copyOrZero } from '../simd/rows';
import { parallel } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

export function maskSteps(r: MaskSteps): void {
  parallel(ceilDiv(r.T * r.B, rowsOf(STREAMED, r.C)), maskStepsTicket, changetype<usize>(r));
}

function maskStepsTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<MaskSteps>(record);
  const B = r.B, C = r.C, lengths = r.lengths;
  const rowBytes = <usize>C << 2;
  const rows = rowsOf(STREAMED, C), first = ticket * rows, end = min(r.T * B, first + rows);
  let t = first / B, b = first % B;
  let x = r.x + <usize>first * rowBytes, y = r.y + <usize>first * rowBytes;
  for (let row = first; row < end; row++, x += rowBytes, y += rowBytes) {
    const isLive = t < load<i32>(lengths + (<usize>b << 2));
    if (!isLive || x != y) copyOrZero(C, isLive ? x : 0, y);
    if (++b == B) b = 0, t++;
  }
}

/** lengths [B] → y [T, B] */
export function liveSteps(r: LiveSteps): void {
  const T = r.T, B = r.B, lengths = r.lengths;
  let y = r.y;
  for (let t = 0; t < T; t++) {
    for (let b = 0; b < B; b++, y += 4) store<i32>(y, i32(t < load<i32>(lengths + (<usize>b << 2))));
  }
}

/** flags [R], a, b, y [R, C] */
export function selectRows(r: SelectRows): void {
  parallel(ceilDiv(r.R, rowsOf(STREAMED, r.C)), selectRowsTicket, changetype<usize>(r));
}

function selectRowsTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<SelectRows>(record), C = r.C, rowBytes = <usize>C << 2;
  const rows = rowsOf(STREAMED, C), first = ticket * rows, end = min(r.R, first + rows);
  for (let row = first; row < end; row++) {
    const chosen = load<i32>(r.flags + (<usize>row << 2)) ? r.a : r.b, at = <usize>row * rowBytes;
    copyOrZero(C, chosen ? chosen + at : 0, r.y + at);
  }
}

/** The steps that row b has, 0 … T. */
@inline export function lengthOf(lengths: usize, b: i32, T: i32): i32 {
  return lengths ? max(0, min(T, load<i32>(lengths + (<usize>b << 2)))) : T;
}

/** x [T, B, C], lengths [B] → y [B, C] */
export function maxSteps(r: MaxSteps): void {
  parallel(r.B, maxStepsTicket, changetype<usize>(r));
}

function maxStepsTicket(record: usize, _workspace: usize, b: i32): void {
  const r = changetype<MaxSteps>(record), rowBytes = <usize>r.C << 2, step = rowBytes * r.B;
  const length = lengthOf(r.lengths, b, r.T), at = <usize>b * rowBytes;
  let x = r.x + at, y = r.y + at;
  for (let left = r.C; left > 0; left -= 4, x += 16, y += 16) {
    let most = length > 0 ? loadLanes(x, left) : splat(0);
    let from = x;
    for (let t = 1; t < length; t++) {
      from += step;
      const value = loadLanes(from, left);
      // A larger one, or a NaN, takes the place of what is there; nothing takes that of a NaN.
      most = v128.bitselect(value, most, v128.or(f32x4.lt(most, value), f32x4.ne(value, value)));
    }
    storeLanes(y, most, left);
  }
}

/** x [T, B, C], lengths [B], y, dy [B, C] → dx [T, B, C] */
export function maxStepsBackward(r: MaxStepsBackward): void {
  parallel(r.B, maxStepsBackwardTicket, changetype<usize>(r));
}

function maxStepsBackwardTicket(record: usize, _workspace: usize, b: i32): void {
  const r = changetype<MaxStepsBackward>(record), T = r.T, rowBytes = <usize>r.C << 2, step = rowBytes * r.B;
  const length = lengthOf(r.lengths, b, T), at = <usize>b * rowBytes;
  let x = r.x + at, y = r.y + at, dy = r.dy + at, dx = r.dx + at;
  for (let left = r.C; left > 0; left -= 4, x += 16, y += 16, dy += 16, dx += 16) {
    const most = loadLanes(y, left);
    let rest = loadLanes(dy, left); // what no step has been given yet
    let from = x, to = dx;
    for (let t = 0; t < T; t++, from += step, to += step) {
      const has = t < length ? f32x4.eq(loadLanes(from, left), most) : splat(0);
      storeLanes(to, v128.and(rest, has), left);
      rest = v128.andnot(rest, has);
    }
  }
}
