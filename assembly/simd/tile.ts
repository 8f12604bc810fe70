/** The micro-kernel: a 4×8 tile of a matrix product, held in eight registers. */
import { laneScratch } from '../team';
import { fma, loadLanes, splat, storeLanes } from './lanes';

export const TILE_ROWS: i32 = 4;
export const TILE_COLUMNS: i32 = 8;
export const TILE_ROW_BYTES: usize = 32;

/** A row of zeros, for sums that begin with nothing. */
export const ZEROS: usize = memory.data(32, 16);

/**
 * c = base + Σ over k of a[k]·b[k], for a packed [depth][4] and b packed [depth][8], depth ≥ 1; rows of base and c are that many
 * bytes apart. base may be c itself.
 *
 * V8 up to 12.4 hoists all loads of a basic block, so eight accumulators and the six operands of one step just fit its registers;
 * the exits between steps keep blocks that small and leave no remainder loop. Nothing here may be an array or a closure.
 */
export function tile(depth: i32, a: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize): void {
  let c00 = splat(0), c04 = splat(0);
  let c10 = splat(0), c14 = splat(0);
  let c20 = splat(0), c24 = splat(0);
  let c30 = splat(0), c34 = splat(0);
  while (true) {
    {
      const b0 = v128.load(b), b4 = v128.load(b, 16);
      const a0 = v128.load32_splat(a);
      c00 = fma(a0, b0, c00);
      c04 = fma(a0, b4, c04);
      const a1 = v128.load32_splat(a, 4);
      c10 = fma(a1, b0, c10);
      c14 = fma(a1, b4, c14);
      const a2 = v128.load32_splat(a, 8);
      c20 = fma(a2, b0, c20);
      c24 = fma(a2, b4, c24);
      const a3 = v128.load32_splat(a, 12);
      c30 = fma(a3, b0, c30);
      c34 = fma(a3, b4, c34);
    }
    if (depth <= 1) break;
    {
      const b0 = v128.load(b, 32), b4 = v128.load(b, 48);
      const a0 = v128.load32_splat(a, 16);
      c00 = fma(a0, b0, c00);
      c04 = fma(a0, b4, c04);
      const a1 = v128.load32_splat(a, 20);
      c10 = fma(a1, b0, c10);
      c14 = fma(a1, b4, c14);
      const a2 = v128.load32_splat(a, 24);
      c20 = fma(a2, b0, c20);
      c24 = fma(a2, b4, c24);
      const a3 = v128.load32_splat(a, 28);
      c30 = fma(a3, b0, c30);
      c34 = fma(a3, b4, c34);
    }
    if (depth <= 2) break;
    {
      const b0 = v128.load(b, 64), b4 = v128.load(b, 80);
      const a0 = v128.load32_splat(a, 32);
      c00 = fma(a0, b0, c00);
      c04 = fma(a0, b4, c04);
      const a1 = v128.load32_splat(a, 36);
      c10 = fma(a1, b0, c10);
      c14 = fma(a1, b4, c14);
      const a2 = v128.load32_splat(a, 40);
      c20 = fma(a2, b0, c20);
      c24 = fma(a2, b4, c24);
      const a3 = v128.load32_splat(a, 44);
      c30 = fma(a3, b0, c30);
      c34 = fma(a3, b4, c34);
    }
    if (depth <= 3) break;
    {
      const b0 = v128.load(b, 96), b4 = v128.load(b, 112);
      const a0 = v128.load32_splat(a, 48);
      c00 = fma(a0, b0, c00);
      c04 = fma(a0, b4, c04);
      const a1 = v128.load32_splat(a, 52);
      c10 = fma(a1, b0, c10);
      c14 = fma(a1, b4, c14);
      const a2 = v128.load32_splat(a, 56);
      c20 = fma(a2, b0, c20);
      c24 = fma(a2, b4, c24);
      const a3 = v128.load32_splat(a, 60);
      c30 = fma(a3, b0, c30);
      c34 = fma(a3, b4, c34);
    }
    depth -= 4;
    if (depth <= 0) break;
    a += 64;
    b += 128;
  }
  v128.store(c, f32x4.add(v128.load(base), c00));
  v128.store(c, f32x4.add(v128.load(base, 16), c04), 16);
  base += baseRow;
  c += cRow;
  v128.store(c, f32x4.add(v128.load(base), c10));
  v128.store(c, f32x4.add(v128.load(base, 16), c14), 16);
  base += baseRow;
  c += cRow;
  v128.store(c, f32x4.add(v128.load(base), c20));
  v128.store(c, f32x4.add(v128.load(base, 16), c24), 16);
  base += baseRow;
  c += cRow;
  v128.store(c, f32x4.add(v128.load(base), c30));
  v128.store(c, f32x4.add(v128.load(base, 16), c34), 16);
}

/** The part of a tile that a matrix has: `rows` × `columns` of it, by way of a whole tile in the scratch of the lane. */
export function edgeTile(
  depth: i32, a: usize, b: usize, base: usize, baseRow: usize, c: usize, cRow: usize, rows: i32, columns: i32,
): void {
  let sums = laneScratch();
  tile(depth, a, b, ZEROS, 0, sums, TILE_ROW_BYTES);
  for (let i = 0; i < rows; i++, sums += TILE_ROW_BYTES, base += baseRow, c += cRow) {
    storeLanes(c, f32x4.add(loadLanes(base, columns), v128.load(sums)), columns);
    if (columns > 4) {
      storeLanes(c + 16, f32x4.add(loadLanes(base + 16, columns - 4), v128.load(sums, 16)), columns - 4);
    }
  }
}

/**
 * c[0 … 15] = Σ over k of a[k]·b[k] for a row a [depth] and two strips of b, depth ≥ 1: the tile for a row that is alone. Four sums
 * under way are too few to hide the latency of an addition, but a lone row waits for its weights more than for that.
 */
export function rowTile(depth: i32, a: usize, b: usize, nextB: usize, c: usize): void {
  let c0 = splat(0), c4 = splat(0), c8 = splat(0), c12 = splat(0);
  while (true) {
    {
      const a0 = v128.load32_splat(a);
      c0 = fma(a0, v128.load(b), c0);
      c4 = fma(a0, v128.load(b, 16), c4);
      c8 = fma(a0, v128.load(nextB), c8);
      c12 = fma(a0, v128.load(nextB, 16), c12);
    }
    if (depth <= 1) break;
    {
      const a0 = v128.load32_splat(a, 4);
      c0 = fma(a0, v128.load(b, 32), c0);
      c4 = fma(a0, v128.load(b, 48), c4);
      c8 = fma(a0, v128.load(nextB, 32), c8);
      c12 = fma(a0, v128.load(nextB, 48), c12);
    }
    if (depth <= 2) break;
    {
      const a0 = v128.load32_splat(a, 8);
      c0 = fma(a0, v128.load(b, 64), c0);
      c4 = fma(a0, v128.load(b, 80), c4);
      c8 = fma(a0, v128.load(nextB, 64), c8);
      c12 = fma(a0, v128.load(nextB, 80), c12);
    }
    if (depth <= 3) break;
    {
      const a0 = v128.load32_splat(a, 12);
      c0 = fma(a0, v128.load(b, 96), c0);
      c4 = fma(a0, v128.load(b, 112), c4);
      c8 = fma(a0, v128.load(nextB, 96), c8);
      c12 = fma(a0, v128.load(nextB, 112), c12);
    }
    depth -= 4;
    if (depth <= 0) break;
    a += 16;
    b += 128;
    nextB += 128;
  }
  v128.store(c, c0);
  v128.store(c, c4, 16);
  v128.store(c, c8, 32);
  v128.store(c, c12, 48);
}
