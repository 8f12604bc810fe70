/** Softmax and cross-entropy in one, with the gradient of the logits. */
import { SoftmaxCrossEntropy } from '../generated/instructions';
import { fma, loadLanes, maskOf, splat, storeLanes, sumOf16 } from '../simd/lanes';
import * as math from '../simd/math';
import { fillRow } from '../simd/rows';
import { laneScratch, parallel } from '../team';
import { ceilDiv, COMPUTED, rowsOf } from '../tickets';

/** A label with this value takes no part in loss and gradient. */
const IGNORED: i32 = -100;

/** logits [N, V], labels [N] → rowLoss [N], dLogits [N, V]. Rows are independent of each other. */
export function softmaxCrossEntropy(r: SoftmaxCrossEntropy): void {
  parallel(ceilDiv(r.N, rowsOf(COMPUTED, r.V)), rowsTicket, changetype<usize>(r));
}

function rowsTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<SoftmaxCrossEntropy>(record);
  const V = r.V, rowBytes = <usize>V << 2;
  const rows = rowsOf(COMPUTED, V), first = ticket * rows, end = min(r.N, first + rows);
  const w: f32 = 1 / load<f32>(r.denominator);
  let label = r.labels + (<usize>first << 2), loss = r.rowLoss + (<usize>first << 2);
  let x = r.logits + <usize>first * rowBytes, dx = r.dLogits;
  if (dx) dx += <usize>first * rowBytes;
  for (let i = first; i < end; i++, label += 4, loss += 4, x += rowBytes) {
    store<f32>(loss, row(V, x, load<i32>(label), w, r.smoothing, dx));
    if (dx) dx += rowBytes;
  }
}

/** The loss of one row; its gradient goes to dx, which may be the row itself or absent (0). */
function row(V: i32, x: usize, label: i32, w: f32, smoothing: f32, dx: usize): f32 {
  if (<u32>label >= <u32>V) {
    const result: f32 = label == IGNORED ? 0 : NaN;
    if (dx) fillRow(V, result, dx);
    return result;
  }
  const m = maximum(V, x);
  let shifted: f32 = load<f32>(x + (<usize>label << 2)) - m; // read now: dx may replace x
  if (smoothing != 0) shifted = smoothed(V, x, m, shifted, smoothing);
  const s = expAndSum(V, x, m, dx);
  if (dx) gradient(V, dx, label, 1 / s, smoothing, w);
  return (f32x4.extract_lane(math.log(splat(s)), 0) - shifted) * w;
}

/** NaN if any element is NaN. Four at a time hide the latency of a maximum. */
function maximum(V: i32, x: usize): f32 {
  let most0 = v128.load32_splat(x), most4 = most0, most8 = most0, most12 = most0, left = V;
  for (; left >= 16; left -= 16, x += 64) {
    most0 = f32x4.max(most0, v128.load(x));
    most4 = f32x4.max(most4, v128.load(x, 16));
    most8 = f32x4.max(most8, v128.load(x, 32));
    most12 = f32x4.max(most12, v128.load(x, 48));
  }
  const most = f32x4.max(f32x4.max(most0, most4), f32x4.max(most8, most12));
  let m = max(
    max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  );
  for (; left > 0; left--, x += 4) m = max(m, load<f32>(x));
  return m;
}

/** Elements whose exponentials fit the scratch of the lane, where nobody wants them. */
const CHUNK: i32 = 256;

/** Σ exp(x − m) on sixteen lanes. Subtracting the maximum keeps every e in (0, 1], so nothing overflows. */
function expAndSum(V: i32, x: usize, m: f32, e: usize): f32 {
  const most = laneScratch();
  v128.store(most, splat(m));
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0);
  for (let done = 0; done < V; done += CHUNK, x += CHUNK * 4) {
    let from = e ? e + (<usize>done << 2) : most + 16, left = min(CHUNK, V - done);
    expRow(left, x, most, from);
    for (; left >= 16; left -= 16, from += 64) {
      sum0 = f32x4.add(sum0, v128.load(from));
      sum4 = f32x4.add(sum4, v128.load(from, 16));
      sum8 = f32x4.add(sum8, v128.load(from, 32));
      sum12 = f32x4.add(sum12, v128.load(from, 48));
    }
    sum0 = f32x4.add(sum0, loadLanes(from, left));
    sum4 = f32x4.add(sum4, loadLanes(from + 16, left - 4));
    sum8 = f32x4.add(sum8, loadLanes(from + 32, left - 8));
    sum12 = f32x4.add(sum12, loadLanes(from + 48, left - 12));
  }
  return sumOf16(sum0, sum4, sum8, sum12);
}

function expRow(n: i32, x: usize, most: usize, to: usize): void {
  const whole = n & ~3, at = <usize>whole << 2;
  math.exponentials(x, most, to, 16, whole >> 2);
  if (whole < n) storeLanes(to + at, math.expNonPositive(f32x4.sub(loadLanes(x + at, n - whole), v128.load(most))), n - whole);
}

/** (1 − smoothing) · labelled + smoothing · the mean of x − m. */
function smoothed(V: i32, x: usize, m: f32, labelled: f32, smoothing: f32): f32 {
  const most = splat(m);
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0);
  for (let left = V; left > 0; left -= 16, x += 64) {
    sum0 = f32x4.add(sum0, differences(x, most, left));
    if (left > 4) sum4 = f32x4.add(sum4, differences(x + 16, most, left - 4));
    if (left > 8) sum8 = f32x4.add(sum8, differences(x + 32, most, left - 8));
    if (left > 12) sum12 = f32x4.add(sum12, differences(x + 48, most, left - 12));
  }
  const mean: f32 = sumOf16(sum0, sum4, sum8, sum12) / <f32>V;
  return f32x4.extract_lane(fma(splat(smoothing), splat(mean - labelled), splat(labelled)), 0);
}

/** The first `left` lanes of x − m, the others 0. */
@inline function differences(x: usize, m: v128, left: i32): v128 {
  return v128.and(f32x4.sub(loadLanes(x, left), m), maskOf(left));
}

/** dx = ((e / s − smoothing / V) − [j = label] · (1 − smoothing)) · w, in place over e. */
function gradient(V: i32, dx: usize, label: i32, inverse: f32, smoothing: f32, w: f32): void {
  const atLabel = dx + (<usize>label << 2), share: f32 = smoothing / <f32>V;
  const dLabel: f32 = (load<f32>(atLabel) * inverse - share - (1 - smoothing)) * w;
  let left = V;
  for (; left >= 4; left -= 4, dx += 16) v128.store(dx, scaled(v128.load(dx), inverse, share, w));
  if (left > 0) storeLanes(dx, scaled(loadLanes(dx, left), inverse, share, w), left);
  store<f32>(atLabel, dLabel);
}

@inline function scaled(e: v128, inverse: f32, share: f32, w: f32): v128 {
  return f32x4.mul(f32x4.sub(f32x4.mul(e, splat(inverse)), splat(share)), splat(w));
}
