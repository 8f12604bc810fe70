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
 * c = base + Σ over k of a[row][k]·b[k], for three rows of a and b packed [depth][12], of which the first 4·vectors columns count;
 * depth ≥ 1. base may be c itself.
 *
 * V8 up to 12.4 loads all operands of a basic block before it uses the first: nine sums and the six operands of a step just fit
 * its fifteen registers, and nine are what keeps two multiply-adds of four cycles under way in each. The exits between the steps
 * keep blocks that small and leave no remainder loop. Nothing here may be an array or a closure.
 */
@inline function multiply(
  vectors: i32, depth: i32, a0: usize, a1: usize, a2: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  let c00 = splat(0), c04 = splat(0), c08 = splat(0);
  let c10 = splat(0), c14 = splat(0), c18 = splat(0);
  let c20 = splat(0), c24 = splat(0), c28 = splat(0);
  while (true) {
    {
      const b0 = v128.load(b), b4 = vectors > 1 ? v128.load(b, 16) : b0, b8 = vectors > 2 ? v128.load(b, 32) : b0;
      const x0 = v128.load32_splat(a0), x1 = v128.load32_splat(a1), x2 = v128.load32_splat(a2);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    if (depth <= 1) break;
    {
      const b0 = v128.load(b, 48), b4 = vectors > 1 ? v128.load(b, 64) : b0, b8 = vectors > 2 ? v128.load(b, 80) : b0;
      const x0 = v128.load32_splat(a0, 4), x1 = v128.load32_splat(a1, 4), x2 = v128.load32_splat(a2, 4);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    if (depth <= 2) break;
    {
      const b0 = v128.load(b, 96), b4 = vectors > 1 ? v128.load(b, 112) : b0, b8 = vectors > 2 ? v128.load(b, 128) : b0;
      const x0 = v128.load32_splat(a0, 8), x1 = v128.load32_splat(a1, 8), x2 = v128.load32_splat(a2, 8);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    if (depth <= 3) break;
    {
      const b0 = v128.load(b, 144), b4 = vectors > 1 ? v128.load(b, 160) : b0, b8 = vectors > 2 ? v128.load(b, 176) : b0;
      const x0 = v128.load32_splat(a0, 12), x1 = v128.load32_splat(a1, 12), x2 = v128.load32_splat(a2, 12);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    if (depth <= 4) break;
    {
      const b0 = v128.load(b, 192), b4 = vectors > 1 ? v128.load(b, 208) : b0, b8 = vectors > 2 ? v128.load(b, 224) : b0;
      const x0 = v128.load32_splat(a0, 16), x1 = v128.load32_splat(a1, 16), x2 = v128.load32_splat(a2, 16);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    if (depth <= 5) break;
    {
      const b0 = v128.load(b, 240), b4 = vectors > 1 ? v128.load(b, 256) : b0, b8 = vectors > 2 ? v128.load(b, 272) : b0;
      const x0 = v128.load32_splat(a0, 20), x1 = v128.load32_splat(a1, 20), x2 = v128.load32_splat(a2, 20);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    if (depth <= 6) break;
    {
      const b0 = v128.load(b, 288), b4 = vectors > 1 ? v128.load(b, 304) : b0, b8 = vectors > 2 ? v128.load(b, 320) : b0;
      const x0 = v128.load32_splat(a0, 24), x1 = v128.load32_splat(a1, 24), x2 = v128.load32_splat(a2, 24);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    if (depth <= 7) break;
    {
      const b0 = v128.load(b, 336), b4 = vectors > 1 ? v128.load(b, 352) : b0, b8 = vectors > 2 ? v128.load(b, 368) : b0;
      const x0 = v128.load32_splat(a0, 28), x1 = v128.load32_splat(a1, 28), x2 = v128.load32_splat(a2, 28);
      c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10), c20 = fma(x2, b0, c20);
      if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14), c24 = fma(x2, b4, c24);
      if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18), c28 = fma(x2, b8, c28);
    }
    depth -= 8;
    if (depth <= 0) break;
    a0 += 32, a1 += 32, a2 += 32;
    b += 384;
  }
  finishRow(vectors, base, c, c00, c04, c08);
  finishRow(vectors, base + baseRow, c + cRow, c10, c14, c18);
  finishRow(vectors, base + baseRow * 2, c + cRow * 2, c20, c24, c28);
}

@inline function finishRow(vectors: i32, base: usize, c: usize, sum0: v128, sum4: v128, sum8: v128): void {
  v128.store(c, f32x4.add(v128.load(base), sum0));
  if (vectors > 1) v128.store(c, f32x4.add(v128.load(base, 16), sum4), 16);
  if (vectors > 2) v128.store(c, f32x4.add(v128.load(base, 32), sum8), 32);
}

function tile12(depth: i32, a0: usize, a1: usize, a2: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize): void {
  multiply(3, depth, a0, a1, a2, b, base, baseRow, c, cRow);
}

function tile8(depth: i32, a0: usize, a1: usize, a2: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize): void {
  multiply(2, depth, a0, a1, a2, b, base, baseRow, c, cRow);
}

function tile4(depth: i32, a0: usize, a1: usize, a2: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize): void {
  multiply(1, depth, a0, a1, a2, b, base, baseRow, c, cRow);
}

/** A tile of three rows and four, eight or twelve columns. */
@inline function tile(
  columns: i32, depth: i32, a0: usize, a1: usize, a2: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  if (columns > 8) tile12(depth, a0, a1, a2, b, base, baseRow, c, cRow);
  else if (columns > 4) tile8(depth, a0, a1, a2, b, base, baseRow, c, cRow);
  else tile4(depth, a0, a1, a2, b, base, baseRow, c, cRow);
}

/** Rows that are not there are the first one, once more. */
@inline function second(rows: i32, a: usize, aRow: usize): usize { return rows > 1 ? a + aRow : a; }
@inline function third(rows: i32, a: usize, aRow: usize): usize { return rows > 2 ? a + aRow * 2 : a; }

/** c = base + a·b for `rows` rows of a, aRow bytes apart, and a strip of at most twelve columns: so many of them, and no element more. */
export function multiplyStrip(
  rows: i32, columns: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  const isWhole = (columns & 3) == 0;
  for (let left = rows; left > 0; left -= WIDE_ROWS, a += aRow * WIDE_ROWS, base += baseRow * WIDE_ROWS, c += cRow * WIDE_ROWS) {
    if (isWhole && left >= WIDE_ROWS) tile(columns, depth, a, a + aRow, a + aRow * 2, b, base, baseRow, c, cRow);
    else partOfTile(left, columns, depth, a, aRow, b, base, baseRow, c, cRow);
  }
}

/** {@link multiplyStrip} where base and c have room for whole vectors and a multiple of three rows. */
export function multiplyRoomyStrip(
  rows: i32, columns: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  for (let left = rows; left > 0; left -= WIDE_ROWS, a += aRow * WIDE_ROWS, base += baseRow * WIDE_ROWS, c += cRow * WIDE_ROWS) {
    tile(columns, depth, a, second(left, a, aRow), third(left, a, aRow), b, base, baseRow, c, cRow);
  }
}

/** Some of a tile, by way of a whole tile in the scratch of the lane. */
function partOfTile(
  rows: i32, columns: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  let sums = laneScratch();
  tile(columns, depth, a, second(rows, a, aRow), third(rows, a, aRow), b, ZEROS, 0, sums, WIDE_ROW_BYTES);
  for (let left = min(rows, WIDE_ROWS); left > 0; left--, sums += WIDE_ROW_BYTES, base += baseRow, c += cRow) {
    for (let at: usize = 0, rest = columns; rest > 0; at += 16, rest -= 4) {
      storeLanes(c + at, f32x4.add(loadLanes(base + at, rest), v128.load(sums + at)), rest);
    }
  }
}
