/**
 * The micro-kernel of every product: two or three rows of a left factor, read where they lie, times a strip of a right factor, [depth][12].
 * Every element is one sum over ascending k, whatever the tile.
 */
import { laneScratch } from '../team';
import { fma, loadLanes, splat, storeLanes } from './lanes';

/** Columns of a strip: three vectors. */
export const STRIP: i32 = 12;
/** Bytes of a row of a strip. */
export const STRIP_ROW: usize = 48;

/** A row of zeros, for sums that begin with nothing. */
export const ZEROS: usize = memory.data(48, 16);

/**
 * c = base + Σ over k of a[row][k]·b[k] for rows `row` … `end` − 1, `tileRows` at a time, and 4·vectors columns; depth ≥ 1. base may be
 * c itself. A row of a that is not there is the one before it, once more. Rows of a are those that `from` names, rows of base and c
 * those that `to` names, int32 each; where there is no such list, they lie one after another.
 *
 * V8 up to 12.4 loads all operands of a basic block before it uses the first: nine sums and the six operands of a step just fit
 * its fifteen registers, and nine are what keeps two multiply-adds under way all the time, of four cycles each. The exits between the
 * steps keep blocks that small and leave no remainder loop. Nothing here may be an array or a closure.
 */
@inline function multiply(
  vectors: i32, tileRows: i32, row: i32, end: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize,
  baseRow: usize, c: usize, cRow: usize,
): void {
  for (; row < end; row += tileRows) {
    let c00 = splat(0), c04 = splat(0), c08 = splat(0);
    let c10 = splat(0), c14 = splat(0), c18 = splat(0);
    let c20 = splat(0), c24 = splat(0), c28 = splat(0);
    let a0 = a + aRow * rowOf(from, row), a1 = a + aRow * rowOf(from, min(row + 1, end - 1));
    let a2 = tileRows > 2 ? a + aRow * rowOf(from, row + 2) : a1, strip = b, left = depth;
    while (true) {
      {
        const b0 = v128.load(strip), b4 = vectors > 1 ? v128.load(strip, 16) : b0, b8 = vectors > 2 ? v128.load(strip, 32) : b0;
        const x0 = v128.load32_splat(a0), x1 = v128.load32_splat(a1), x2 = tileRows > 2 ? v128.load32_splat(a2) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      if (left <= 1) break;
      {
        const b0 = v128.load(strip, 48), b4 = vectors > 1 ? v128.load(strip, 64) : b0, b8 = vectors > 2 ? v128.load(strip, 80) : b0;
        const x0 = v128.load32_splat(a0, 4), x1 = v128.load32_splat(a1, 4), x2 = tileRows > 2 ? v128.load32_splat(a2, 4) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      if (left <= 2) break;
      {
        const b0 = v128.load(strip, 96), b4 = vectors > 1 ? v128.load(strip, 112) : b0, b8 = vectors > 2 ? v128.load(strip, 128) : b0;
        const x0 = v128.load32_splat(a0, 8), x1 = v128.load32_splat(a1, 8), x2 = tileRows > 2 ? v128.load32_splat(a2, 8) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      if (left <= 3) break;
      {
        const b0 = v128.load(strip, 144), b4 = vectors > 1 ? v128.load(strip, 160) : b0, b8 = vectors > 2 ? v128.load(strip, 176) : b0;
        const x0 = v128.load32_splat(a0, 12), x1 = v128.load32_splat(a1, 12), x2 = tileRows > 2 ? v128.load32_splat(a2, 12) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      if (left <= 4) break;
      {
        const b0 = v128.load(strip, 192), b4 = vectors > 1 ? v128.load(strip, 208) : b0, b8 = vectors > 2 ? v128.load(strip, 224) : b0;
        const x0 = v128.load32_splat(a0, 16), x1 = v128.load32_splat(a1, 16), x2 = tileRows > 2 ? v128.load32_splat(a2, 16) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      if (left <= 5) break;
      {
        const b0 = v128.load(strip, 240), b4 = vectors > 1 ? v128.load(strip, 256) : b0, b8 = vectors > 2 ? v128.load(strip, 272) : b0;
        const x0 = v128.load32_splat(a0, 20), x1 = v128.load32_splat(a1, 20), x2 = tileRows > 2 ? v128.load32_splat(a2, 20) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      if (left <= 6) break;
      {
        const b0 = v128.load(strip, 288), b4 = vectors > 1 ? v128.load(strip, 304) : b0, b8 = vectors > 2 ? v128.load(strip, 320) : b0;
        const x0 = v128.load32_splat(a0, 24), x1 = v128.load32_splat(a1, 24), x2 = tileRows > 2 ? v128.load32_splat(a2, 24) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      if (left <= 7) break;
      {
        const b0 = v128.load(strip, 336), b4 = vectors > 1 ? v128.load(strip, 352) : b0, b8 = vectors > 2 ? v128.load(strip, 368) : b0;
        const x0 = v128.load32_splat(a0, 28), x1 = v128.load32_splat(a1, 28), x2 = tileRows > 2 ? v128.load32_splat(a2, 28) : x1;
        c00 = fma(x0, b0, c00), c10 = fma(x1, b0, c10);
        if (vectors > 1) c04 = fma(x0, b4, c04), c14 = fma(x1, b4, c14);
        if (vectors > 2) c08 = fma(x0, b8, c08), c18 = fma(x1, b8, c18);
        if (tileRows > 2) c20 = fma(x2, b0, c20);
        if (tileRows > 2 && vectors > 1) c24 = fma(x2, b4, c24);
        if (tileRows > 2 && vectors > 2) c28 = fma(x2, b8, c28);
      }
      left -= 8;
      if (left <= 0) break;
      a0 += 32, a1 += 32, strip += 384;
      if (tileRows > 2) a2 += 32;
    }
    const c0 = rowOf(to, row), c1 = rowOf(to, row + 1);
    finishRow(vectors, base + baseRow * c0, c + cRow * c0, c00, c04, c08);
    finishRow(vectors, base + baseRow * c1, c + cRow * c1, c10, c14, c18);
    if (tileRows > 2) {
      const c2 = rowOf(to, row + 2);
      finishRow(vectors, base + baseRow * c2, c + cRow * c2, c20, c24, c28);
    }
  }
}

/** The `place`th row, of those that `order` names if there is such a list. */
@inline function rowOf(order: usize, place: i32): usize { return order ? load<i32>(order + (<usize>place << 2)) : place; }

@inline function finishRow(vectors: i32, base: usize, c: usize, sum0: v128, sum4: v128, sum8: v128): void {
  v128.store(c, f32x4.add(v128.load(base), sum0));
  if (vectors > 1) v128.store(c, f32x4.add(v128.load(base, 16), sum4), 16);
  if (vectors > 2) v128.store(c, f32x4.add(v128.load(base, 32), sum8), 32);
}

function triplesOf12(
  row: i32, end: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(3, 3, row, end, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
}
function triplesOf8(
  row: i32, end: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(2, 3, row, end, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
}
function triplesOf4(
  row: i32, end: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(1, 3, row, end, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
}
function pairsOf12(
  row: i32, end: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(3, 2, row, end, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
}
function pairsOf8(
  row: i32, end: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(2, 2, row, end, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
}
function pairsOf4(
  row: i32, end: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiply(1, 2, row, end, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
}

/** How many of so many rows come in threes: all but two or four, so that none is left over. */
@inline function inTriples(rows: i32): i32 {
  const over = rows % 3;
  return over == 0 ? rows : over == 2 ? rows - 2 : max(rows - 4, 0);
}

/**
 * c = base + a·b for `rows` rows of a, aRow bytes apart, and a strip of at most twelve columns, depth ≥ 1; base may be c itself. c and base
 * have room for two rows and for whole vectors: what is computed besides is undefined.
 */
export function multiplyRoomyStrip(
  rows: i32, columns: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  multiplyRowsOf(rows, columns, depth, 0, a, aRow, b, 0, base, baseRow, c, cRow);
}

/**
 * As {@link multiplyRoomyStrip}, for the rows of a that `from` names and the rows of base and c that `to` names, int32 each; without a list,
 * one after another. Rows that `to` names are two or more.
 */
export function multiplyRowsOf(
  rows: i32, columns: i32, depth: i32, from: usize, a: usize, aRow: usize, b: usize, to: usize, base: usize, baseRow: usize, c: usize,
  cRow: usize,
): void {
  const inThrees = inTriples(rows);
  if (columns > 8) {
    triplesOf12(0, inThrees, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
    pairsOf12(inThrees, rows, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
  } else if (columns > 4) {
    triplesOf8(0, inThrees, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
    pairsOf8(inThrees, rows, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
  } else {
    triplesOf4(0, inThrees, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
    pairsOf4(inThrees, rows, depth, from, a, aRow, b, to, base, baseRow, c, cRow);
  }
}

/** As {@link multiplyRoomyStrip}, but nothing else is written or read: what is not a whole tile goes by way of the lane's scratch. */
export function multiplyStrip(
  rows: i32, columns: i32, depth: i32, a: usize, aRow: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize,
): void {
  if ((columns & 3) == 0 && rows > 1) {
    multiplyRoomyStrip(rows, columns, depth, a, aRow, b, base, baseRow, c, cRow);
    return;
  }
  const sums = laneScratch();
  for (let left = rows; left > 0; left -= 3, a += aRow * 3) {
    const count = min(left, 3);
    multiplyRoomyStrip(count, columns, depth, a, aRow, b, ZEROS, 0, sums, STRIP_ROW);
    for (let i = 0; i < count; i++, base += baseRow, c += cRow) addRest(columns, base, sums + <usize>i * STRIP_ROW, c);
  }
}

/** c = base + sums, so many columns and no more. */
@inline function addRest(columns: i32, base: usize, sums: usize, c: usize): void {
  for (let left = columns; left > 0; left -= 4, base += 16, sums += 16, c += 16) {
    storeLanes(c, f32x4.add(loadLanes(base, left), v128.load(sums)), left);
  }
}

/**
 * c[0 … 11] = Σ over k of a[k]·b[k], and nextC the same of nextB, for a row a [depth], depth ≥ 1: the tile for a row that is alone. Six sums
 * are too few to hide the latency of an addition, but a lone row waits for its weights more than for that.
 */
export function multiplyLoneRow(depth: i32, a: usize, b: usize, nextB: usize, c: usize, nextC: usize): void {
  let c0 = splat(0), c4 = splat(0), c8 = splat(0), d0 = splat(0), d4 = splat(0), d8 = splat(0);
  while (true) {
    {
      const x = v128.load32_splat(a);
      c0 = fma(x, v128.load(b), c0), c4 = fma(x, v128.load(b, 16), c4), c8 = fma(x, v128.load(b, 32), c8);
      d0 = fma(x, v128.load(nextB), d0), d4 = fma(x, v128.load(nextB, 16), d4), d8 = fma(x, v128.load(nextB, 32), d8);
    }
    if (depth <= 1) break;
    {
      const x = v128.load32_splat(a, 4);
      c0 = fma(x, v128.load(b, 48), c0), c4 = fma(x, v128.load(b, 64), c4), c8 = fma(x, v128.load(b, 80), c8);
      d0 = fma(x, v128.load(nextB, 48), d0), d4 = fma(x, v128.load(nextB, 64), d4), d8 = fma(x, v128.load(nextB, 80), d8);
    }
    if (depth <= 2) break;
    {
      const x = v128.load32_splat(a, 8);
      c0 = fma(x, v128.load(b, 96), c0), c4 = fma(x, v128.load(b, 112), c4), c8 = fma(x, v128.load(b, 128), c8);
      d0 = fma(x, v128.load(nextB, 96), d0), d4 = fma(x, v128.load(nextB, 112), d4), d8 = fma(x, v128.load(nextB, 128), d8);
    }
    if (depth <= 3) break;
    {
      const x = v128.load32_splat(a, 12);
      c0 = fma(x, v128.load(b, 144), c0), c4 = fma(x, v128.load(b, 160), c4), c8 = fma(x, v128.load(b, 176), c8);
      d0 = fma(x, v128.load(nextB, 144), d0), d4 = fma(x, v128.load(nextB, 160), d4), d8 = fma(x, v128.load(nextB, 176), d8);
    }
    depth -= 4;
    if (depth <= 0) break;
    a += 16, b += 192, nextB += 192;
  }
  v128.store(c, c0);
  v128.store(c, c4, 16);
  v128.store(c, c8, 32);
  v128.store(nextC, d0);
  v128.store(nextC, d4, 16);
  v128.store(nextC, d8, 32);
}
