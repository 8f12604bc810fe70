/**
 * The micro-kernel of large products: three rows by up to twelve columns, nine registers of sums. The left factor is read where it
 * lies, as long as its rows are contiguous.
 */
import { laneScratch } from '../team';
import { fma, loadLanes, splat, storeLanes } from './lanes';

export const WIDE_ROWS: i32 = 3;
export const WIDE_COLUMNS: i32 = 12;
export const WIDE_ROW_BYTES: usize = 48;
/** A row of zeros, for sums that begin with nothing. */
export const ZEROS: usize = memory.data(48, 16);

/**
 * c = base + Σ over k of a[row][k]·b[k], for `rows` rows of a and b packed [depth][12], of which the first 4·vectors columns count;
 * depth ≥ 1. c and base, which may be c itself, have room for a multiple of three rows: what is in those that are too many is undefined.
 *
 * V8 up to 12.4 loads all operands of a basic block before it uses the first: nine sums and the six operands of a step just fit
 * its fifteen registers, and nine are what keeps two multiply-adds of four cycles under way in each. The exits between the steps
 * keep blocks that small and leave no remainder loop. Nothing here may be an array or a closure.
 */
@inline function multiply(
  vectors: i32, rows: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  for (; rows > 0; rows -= WIDE_ROWS, a += aRow * WIDE_ROWS, base += baseRow * WIDE_ROWS, c += cRow * WIDE_ROWS) {
    // Rows that are not there are the first one, once more.
    let a0 = a, a1 = rows > 1 ? a + aRow : a, a2 = rows > 2 ? a + aRow * 2 : a, strip = b, left = depth;
    let c00 = splat(0), c04 = splat(0), c08 = splat(0);
    let c10 = splat(0), c14 = splat(0), c18 = splat(0);
    let c20 = splat(0), c24 = splat(0), c28 = splat(0);
    while (true) {
      {
        const b0 = v128.load(strip), b4 = vectors > 1 ? v128.load(strip, 16) : b0, b8 = vectors > 2 ? v128.load(strip, 32) : b0;
        const x0 = v128.load32_splat(a0), x1 = v128.load32_splat(a1), x2 = v128.load32_splat(a2);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      if (left <= 1) break;
      {
        const b0 = v128.load(strip, 48), b4 = vectors > 1 ? v128.load(strip, 64) : b0, b8 = vectors > 2 ? v128.load(strip, 80) : b0;
        const x0 = v128.load32_splat(a0, 4), x1 = v128.load32_splat(a1, 4), x2 = v128.load32_splat(a2, 4);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      if (left <= 2) break;
      {
        const b0 = v128.load(strip, 96), b4 = vectors > 1 ? v128.load(strip, 112) : b0, b8 = vectors > 2 ? v128.load(strip, 128) : b0;
        const x0 = v128.load32_splat(a0, 8), x1 = v128.load32_splat(a1, 8), x2 = v128.load32_splat(a2, 8);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      if (left <= 3) break;
      {
        const b0 = v128.load(strip, 144), b4 = vectors > 1 ? v128.load(strip, 160) : b0, b8 = vectors > 2 ? v128.load(strip, 176) : b0;
        const x0 = v128.load32_splat(a0, 12), x1 = v128.load32_splat(a1, 12), x2 = v128.load32_splat(a2, 12);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      if (left <= 4) break;
      {
        const b0 = v128.load(strip, 192), b4 = vectors > 1 ? v128.load(strip, 208) : b0, b8 = vectors > 2 ? v128.load(strip, 224) : b0;
        const x0 = v128.load32_splat(a0, 16), x1 = v128.load32_splat(a1, 16), x2 = v128.load32_splat(a2, 16);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      if (left <= 5) break;
      {
        const b0 = v128.load(strip, 240), b4 = vectors > 1 ? v128.load(strip, 256) : b0, b8 = vectors > 2 ? v128.load(strip, 272) : b0;
        const x0 = v128.load32_splat(a0, 20), x1 = v128.load32_splat(a1, 20), x2 = v128.load32_splat(a2, 20);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      if (left <= 6) break;
      {
        const b0 = v128.load(strip, 288), b4 = vectors > 1 ? v128.load(strip, 304) : b0, b8 = vectors > 2 ? v128.load(strip, 320) : b0;
        const x0 = v128.load32_splat(a0, 24), x1 = v128.load32_splat(a1, 24), x2 = v128.load32_splat(a2, 24);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      if (left <= 7) break;
      {
        const b0 = v128.load(strip, 336), b4 = vectors > 1 ? v128.load(strip, 352) : b0, b8 = vectors > 2 ? v128.load(strip, 368) : b0;
        const x0 = v128.load32_splat(a0, 28), x1 = v128.load32_splat(a1, 28), x2 = v128.load32_splat(a2, 28);
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
      }
      left -= 8;
      if (left <= 0) break;
      a0 += 32, a1 += 32, a2 += 32;
      strip += 384;
    }
    finishRow(vectors, base, c, c00, c04, c08);
    finishRow(vectors, base + baseRow, c + cRow, c10, c14, c18);
    finishRow(vectors, base + baseRow * 2, c + cRow * 2, c20, c24, c28);
  }
}

@inline function finishRow(vectors: i32, base: usize, c: usize, sum0: v128, sum4: v128, sum8: v128): void {
  v128.store(c, f32x4.add(v128.load(base), sum0));
  if (vectors > 1) v128.store(c, f32x4.add(v128.load(base, 16), sum4), 16);
  if (vectors > 2) v128.store(c, f32x4.add(v128.load(base, 32), sum8), 32);
}

function strip12(
  rows: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(3, rows, depth, a, aRow, b, base, baseRow, c, cRow);
}

function strip8(
  rows: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(2, rows, depth, a, aRow, b, base, baseRow, c, cRow);
}

function strip4(
  rows: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(1, rows, depth, a, aRow, b, base, baseRow, c, cRow);
}

/** {@link multiply} for a strip of at most twelve columns; those of its last vector that are too many are computed too. */
export function multiplyRoomyStrip(
  rows: i32, columns: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  if (columns > 8) strip12(rows, depth, a, aRow, b, base, baseRow, c, cRow);
  else if (columns > 4) strip8(rows, depth, a, aRow, b, base, baseRow, c, cRow);
  else strip4(rows, depth, a, aRow, b, base, baseRow, c, cRow);
}

/** As {@link multiplyRoomyStrip}, but no element more is written or read: what is not a whole tile goes by way of the lane's scratch. */
export function multiplyStrip(
  rows: i32, columns: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  const whole = (columns & 3) == 0 ? rows - rows % WIDE_ROWS : 0;
  multiplyRoomyStrip(whole, columns, depth, a, aRow, b, base, baseRow, c, cRow);
  a += aRow * whole, base += baseRow * whole, c += cRow * whole;
  for (let left = rows - whole; left > 0; left -= WIDE_ROWS, a += aRow * WIDE_ROWS) {
    let sums = laneScratch();
    multiplyRoomyStrip(min(left, WIDE_ROWS), columns, depth, a, aRow, b, ZEROS, 0, sums, WIDE_ROW_BYTES);
    for (let i = min(left, WIDE_ROWS); i > 0; i--, sums += WIDE_ROW_BYTES, base += baseRow, c += cRow) {
      for (let at: usize = 0, rest = columns; rest > 0; at += 16, rest -= 4) {
        storeLanes(c + at, f32x4.add(loadLanes(base + at, rest), v128.load(sums + at)), rest);
      }
    }
  }
}
