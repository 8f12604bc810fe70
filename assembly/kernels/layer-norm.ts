/** Layer normalisation of rows. Equations and order of sums: the instruction list and the reference. */
import { LayerNorm, LayerNormBackward } from '../generated/instructions';
import { fma, loadLanes, maskOf, splat, storeLanes, sumOf16 } from '../simd/lanes';
import { addRow, fillRow } from '../simd/rows';
import { parallel } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

/** Where the sums of dGain and dBias are cut. */
const ROWS: i32 = 64;

/** x [R, C], gain, bias [C] → y [R, C], mean, inverseDeviation [R]. */
export function layerNorm(r: LayerNorm): void {
  parallel(ceilDiv(r.R, rowsOf(STREAMED, r.C)), rowsTicket, changetype<usize>(r));
}

function rowsTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<LayerNorm>(record);
  const rows = rowsOf(STREAMED, r.C), end = min(r.R, (ticket + 1) * rows);
  for (let row = ticket * rows; row < end; row++) normalise(r, row);
}

function normalise(r: LayerNorm, row: i32): void {
  const C = r.C, x = r.x + (<usize>row * C << 2);
  const mean = sumOfRow(C, x) / <f32>C;
  const variance = squaredDifferences(C, x, splat(mean)) / <f32>C;
  const inverse: f32 = 1 / sqrt<f32>(variance + r.epsilon);
  scaleRow(C, x, splat(mean), splat(inverse), r.gain, r.bias, r.y + (<usize>row * C << 2));
  store<f32>(r.mean + (<usize>row << 2), mean);
  store<f32>(r.inverseDeviation + (<usize>row << 2), inverse);
}

function sumOfRow(C: i32, x: usize): f32 {
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0), left = C;
  for (; left >= 16; left -= 16, x += 64) {
    sum0 = f32x4.add(sum0, v128.load(x));
    sum4 = f32x4.add(sum4, v128.load(x, 16));
    sum8 = f32x4.add(sum8, v128.load(x, 32));
    sum12 = f32x4.add(sum12, v128.load(x, 48));
  }
  sum0 = f32x4.add(sum0, loadLanes(x, left));
  sum4 = f32x4.add(sum4, loadLanes(x + 16, left - 4));
  sum8 = f32x4.add(sum8, loadLanes(x + 32, left - 8));
  sum12 = f32x4.add(sum12, loadLanes(x + 48, left - 12));
  return sumOf16(sum0, sum4, sum8, sum12);
}

@inline function firstOf(lanes: v128, left: i32): v128 { return left >= 4 ? lanes : v128.and(lanes, maskOf(left)); }

/** sum + (x − mean)² for the first `left` lanes. */
@inline function plusSquare(sum: v128, x: usize, mean: v128, left: i32): v128 {
  const d = firstOf(f32x4.sub(loadLanes(x, left), mean), left);
  return fma(d, d, sum);
}

function squaredDifferences(C: i32, x: usize, mean: v128): f32 {
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0), left = C;
  for (; left >= 16; left -= 16, x += 64) {
    sum0 = plusSquare(sum0, x, mean, 4);
    sum4 = plusSquare(sum4, x + 16, mean, 4);
    sum8 = plusSquare(sum8, x + 32, mean, 4);
    sum12 = plusSquare(sum12, x + 48, mean, 4);
  }
  sum0 = plusSquare(sum0, x, mean, left);
  sum4 = plusSquare(sum4, x + 16, mean, left - 4);
  sum8 = plusSquare(sum8, x + 32, mean, left - 8);
  sum12 = plusSquare(sum12, x + 48, mean, left - 12);
  return sumOf16(sum0, sum4, sum8, sum12);
}

/** y = gain ⊙ (x − mean) · inverse + bias; y may be x. */
function scaleRow(C: i32, x: usize, mean: v128, inverse: v128, gain: usize, bias: usize, y: usize): void {
  let at: usize = 0, left = C;
  for (; left >= 4; left -= 4, at += 16) v128.store(y + at, scaled(x + at, mean, inverse, gain, bias, at, 4));
  if (left > 0) storeLanes(y + at, scaled(x + at, mean, inverse, gain, bias, at, left), left);
}

@inline function scaled(x: usize, mean: v128, inverse: v128, gain: usize, bias: usize, at: usize, left: i32): v128 {
  const normal = normalAt(x, mean, inverse, left);
  if (gain && bias) return fma(normal, loadLanes(gain + at, left), loadLanes(bias + at, left));
  if (gain) return f32x4.mul(normal, loadLanes(gain + at, left));
  return bias ? f32x4.add(normal, loadLanes(bias + at, left)) : normal;
}

@inline function normalAt(x: usize, mean: v128, inverse: v128, left: i32): v128 {
  return f32x4.mul(f32x4.sub(loadLanes(x, left), mean), inverse);
}

/** x, dy [R, C], gain [C], mean, inverseDeviation [R] → dx [R, C], which may be dy, dGain, dBias [C]. */
export function layerNormBackward(r: LayerNormBackward, workspace: usize): void {
  const record = changetype<usize>(r), blocks = ceilDiv(r.R, ROWS);
  parallel(ceilDiv(blocks, blocksOf(r.C)), backwardTicket, record, workspace);
  parallel(ceilDiv(r.C, columnsOf(blocks)), foldTicket, record, workspace);
}

/** Blocks of rows of a ticket, and columns of one that adds the blocks up. */
@inline function blocksOf(C: i32): i32 { return rowsOf(STREAMED / ROWS, C); }
@inline function columnsOf(blocks: i32): i32 { return max(rowsOf(STREAMED, blocks) & ~15, 16); }

/** Partial sums: of dGain for each block, then of dBias. */
@inline function partialsOf(workspace: usize, C: i32, block: i32): usize { return workspace + (<usize>block * <usize>C << 2); }

function backwardTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LayerNormBackward>(record);
  const C = r.C, each = blocksOf(C), blocks = ceilDiv(r.R, ROWS);
  for (let block = ticket * each, end = min(blocks, block + each); block < end; block++) {
    const dGain = r.dGain ? partialsOf(workspace, C, block) : 0;
    const dBias = r.dBias ? partialsOf(workspace, C, blocks + block) : 0;
    if (dGain) fillRow(C, 0, dGain);
    if (dBias) fillRow(C, 0, dBias);
    for (let row = block * ROWS, last = min(r.R, row + ROWS); row < last; row++) normaliseBackward(r, row, dGain, dBias);
  }
}

/** One row of dx; its terms are added to dGain and dBias where these are wanted. */
function normaliseBackward(r: LayerNormBackward, row: i32, dGain: usize, dBias: usize): void {
  const C = r.C, gain = r.gain, at = <usize>row * C << 2, ofRow = <usize>row << 2;
  const x = r.x + at, dy = r.dy + at, dx = r.dx + at;
  const mean = v128.load32_splat(r.mean + ofRow), inverse = v128.load32_splat(r.inverseDeviation + ofRow);
  const a = splat(sumOfGradients(C, dy, gain) / <f32>C);
  const b = splat(sumOfProducts(C, x, dy, gain, mean, inverse) / <f32>C);
  if (dGain) addProducts(C, x, dy, mean, inverse, dGain);
  if (dBias) addRow(C, dy, dBias);
  let left = C, done: usize = 0;
  for (; left >= 4; left -= 4, done += 16) v128.store(dx + done, gradient(x + done, dy + done, gain, done, mean, inverse, a, b, 4));
  if (left > 0) storeLanes(dx + done, gradient(x + done, dy + done, gain, done, mean, inverse, a, b, left), left);
}

/** sum + dy · normal */
function addProducts(C: i32, x: usize, dy: usize, mean: v128, inverse: v128, sum: usize): void {
  let left = C;
  for (; left >= 4; left -= 4, x += 16, dy += 16, sum += 16) {
    v128.store(sum, fma(v128.load(dy), normalAt(x, mean, inverse, 4), v128.load(sum)));
  }
  if (left > 0) storeLanes(sum, fma(loadLanes(dy, left), normalAt(x, mean, inverse, left), loadLanes(sum, left)), left);
}

@inline function gradient(
  x: usize, dy: usize, gain: usize, at: usize, mean: v128, inverse: v128, a: v128, b: v128, left: i32,
): v128 {
  const g = gradientAt(dy, gain ? gain + at : 0, left);
  return f32x4.mul(inverse, fma(f32x4.neg(normalAt(x, mean, inverse, left)), b, f32x4.sub(g, a)));
}

/** g = dy ⊙ gain; 0 behind the last element. */
@inline function gradientAt(dy: usize, gain: usize, left: i32): v128 {
  return gain ? f32x4.mul(loadLanes(dy, left), loadLanes(gain, left)) : loadLanes(dy, left);
}

function sumOfGradients(C: i32, dy: usize, gain: usize): f32 {
  const step: usize = gain ? 16 : 0;
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0), left = C;
  for (; left >= 16; left -= 16, dy += 64, gain += step * 4) {
    sum0 = f32x4.add(sum0, gradientAt(dy, gain, 4));
    sum4 = f32x4.add(sum4, gradientAt(dy + 16, gain + step, 4));
    sum8 = f32x4.add(sum8, gradientAt(dy + 32, gain + step * 2, 4));
    sum12 = f32x4.add(sum12, gradientAt(dy + 48, gain + step * 3, 4));
  }
  sum0 = f32x4.add(sum0, gradientAt(dy, gain, left));
  sum4 = f32x4.add(sum4, gradientAt(dy + 16, gain + step, left - 4));
  sum8 = f32x4.add(sum8, gradientAt(dy + 32, gain + step * 2, left - 8));
  sum12 = f32x4.add(sum12, gradientAt(dy + 48, gain + step * 3, left - 12));
  return sumOf16(sum0, sum4, sum8, sum12);
}

/** sum + g · normal for the first `left` lanes. */
@inline function plusProduct(sum: v128, x: usize, dy: usize, gain: usize, mean: v128, inverse: v128, left: i32): v128 {
  return fma(gradientAt(dy, gain, left), firstOf(normalAt(x, mean, inverse, left), left), sum);
}

function sumOfProducts(C: i32, x: usize, dy: usize, gain: usize, mean: v128, inverse: v128): f32 {
  const step: usize = gain ? 16 : 0;
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0), left = C;
  for (; left >= 16; left -= 16, x += 64, dy += 64, gain += step * 4) {
    sum0 = plusProduct(sum0, x, dy, gain, mean, inverse, 4);
    sum4 = plusProduct(sum4, x + 16, dy + 16, gain + step, mean, inverse, 4);
    sum8 = plusProduct(sum8, x + 32, dy + 32, gain + step * 2, mean, inverse, 4);
    sum12 = plusProduct(sum12, x + 48, dy + 48, gain + step * 3, mean, inverse, 4);
  }
  sum0 = plusProduct(sum0, x, dy, gain, mean, inverse, left);
  sum4 = plusProduct(sum4, x + 16, dy + 16, gain + step, mean, inverse, left - 4);
  sum8 = plusProduct(sum8, x + 32, dy + 32, gain + step * 2, mean, inverse, left - 8);
  sum12 = plusProduct(sum12, x + 48, dy + 48, gain + step * 3, mean, inverse, left - 12);
  return sumOf16(sum0, sum4, sum8, sum12);
}

/** Some columns of dGain and dBias: the first partial sum + the second + …, or 0 where there is none. */
function foldTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<LayerNormBackward>(record);
  const C = r.C, blocks = ceilDiv(r.R, ROWS), first = ticket * columnsOf(blocks), count = min(C - first, columnsOf(blocks));
  const from = <usize>first << 2;
  if (r.dGain) fold(blocks, C, count, partialsOf(workspace, C, 0) + from, r.dGain + from);
  if (r.dBias) fold(blocks, C, count, partialsOf(workspace, C, blocks) + from, r.dBias + from);
}

function fold(blocks: i32, C: i32, count: i32, partials: usize, y: usize): void {
  for (let left = count; left > 0; left -= 4, partials += 16, y += 16) {
    let total = blocks > 0 ? loadLanes(partials, left) : splat(0);
    for (let block = 1; block < blocks; block++) total = f32x4.add(total, loadLanes(partials + (<usize>block * <usize>C << 2), left));
    storeLanes(y, total, left);
  }
}
