/**
 * A lone row times a matrix that is read where it lies: packing would take longer than the product. As in the tiles, exits keep the
 * basic blocks so small that V8 has registers for all that a block loads; those that are never taken are there for that alone.
 */
import { laneScratch } from '../team';
import { fma, splat } from './lanes';
import { gather } from './pack';

/** c[j] = base[j] + Σ over k of x[k]·w[k][j] for j < `columns`, depth ≥ 1. Strides in bytes; base may be c itself. */
export function multiplyRow(
  depth: i32, x: usize, xStep: usize, w: usize, wDepth: usize, wColumn: usize, columns: i32, base: usize, baseStep: usize, c: usize,
  cStep: usize,
): void {
  for (let left = columns; left > 0; ) {
    const sums = laneScratch();
    let done = min(left, 4);
    if (left >= 32 && wColumn == 4) {
      done = 32;
      times32(depth, x, xStep, w, wDepth, sums);
    } else if (left >= 16 && wDepth == 4) {
      done = 16;
      times16(depth, x, xStep, w, wColumn, sums);
    } else {
      times4(depth, x, xStep, w, wDepth, wColumn, done, sums);
    }
    for (let at = sums, end = sums + (<usize>done << 2); at < end; at += 4, base += baseStep, c += cStep) {
      store<f32>(c, load<f32>(base) + load<f32>(at));
    }
    left -= done;
    w += <usize>done * wColumn;
  }
}

/** 32 columns side by side: eight sums, enough to hide the latency of an addition. */
function times32(depth: i32, x: usize, xStep: usize, w: usize, wDepth: usize, sums: usize): void {
  let c0 = splat(0), c4 = splat(0), c8 = splat(0), c12 = splat(0), c16 = splat(0), c20 = splat(0), c24 = splat(0), c28 = splat(0);
  while (true) {
    const a = v128.load32_splat(x);
    c0 = fma(a, v128.load(w), c0), c4 = fma(a, v128.load(w, 16), c4), c8 = fma(a, v128.load(w, 32), c8);
    c12 = fma(a, v128.load(w, 48), c12), c16 = fma(a, v128.load(w, 64), c16);
    if (depth < 0) break;
    c20 = fma(a, v128.load(w, 80), c20), c24 = fma(a, v128.load(w, 96), c24), c28 = fma(a, v128.load(w, 112), c28);
    if (--depth == 0) break;
    x += xStep, w += wDepth;
  }
  v128.store(sums, c0);
  v128.store(sums, c4, 16);
  v128.store(sums, c8, 32);
  v128.store(sums, c12, 48);
  v128.store(sums, c16, 64);
  v128.store(sums, c20, 80);
  v128.store(sums, c24, 96);
  v128.store(sums, c28, 112);
}

/** 16 columns that each lie in order, transposed on the way in 4×4 blocks. */
function times16(depth: i32, x: usize, xStep: usize, w: usize, wColumn: usize, sums: usize): void {
  let c0 = splat(0), c4 = splat(0), c8 = splat(0), c12 = splat(0);
  const next = wColumn * 4;
  let left = depth;
  while (left >= 4) {
    const x0 = v128.load32_splat(x), x1 = v128.load32_splat(x + xStep);
    const x2 = v128.load32_splat(x + xStep * 2), x3 = v128.load32_splat(x + xStep * 3);
    c0 = plusBlock(c0, x0, x1, x2, x3, w, wColumn);
    if (left == -1) break;
    c4 = plusBlock(c4, x0, x1, x2, x3, w + next, wColumn);
    if (left == -2) break;
    c8 = plusBlock(c8, x0, x1, x2, x3, w + next * 2, wColumn);
    if (left == -3) break;
    c12 = plusBlock(c12, x0, x1, x2, x3, w + next * 3, wColumn);
    left -= 4;
    x += xStep * 4, w += 16;
  }
  for (; left > 0; left--, x += xStep, w += 4) {
    const a = v128.load32_splat(x);
    c0 = fma(a, gather(w, wColumn, 4), c0);
    c4 = fma(a, gather(w + next, wColumn, 4), c4);
    c8 = fma(a, gather(w + next * 2, wColumn, 4), c8);
    c12 = fma(a, gather(w + next * 3, wColumn, 4), c12);
  }
  v128.store(sums, c0);
  v128.store(sums, c4, 16);
  v128.store(sums, c8, 32);
  v128.store(sums, c12, 48);
}

/** sum + four steps for four columns. */
@inline function plusBlock(sum: v128, x0: v128, x1: v128, x2: v128, x3: v128, w: usize, wColumn: usize): v128 {
  const column0 = v128.load(w), column1 = v128.load(w + wColumn), column2 = v128.load(w + wColumn * 2), column3 = v128.load(w + wColumn * 3);
  const low01 = v128.shuffle<f32>(column0, column1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(column0, column1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(column2, column3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(column2, column3, 2, 6, 3, 7);
  sum = fma(x0, v128.shuffle<f64>(low01, low23, 0, 2), sum);
  sum = fma(x1, v128.shuffle<f64>(low01, low23, 1, 3), sum);
  sum = fma(x2, v128.shuffle<f64>(high01, high23, 0, 2), sum);
  return fma(x3, v128.shuffle<f64>(high01, high23, 1, 3), sum);
}

/** At most four columns with any strides. */
function times4(depth: i32, x: usize, xStep: usize, w: usize, wDepth: usize, wColumn: usize, columns: i32, sums: usize): void {
  let c = splat(0);
  for (; depth > 0; depth--, x += xStep, w += wDepth) c = fma(v128.load32_splat(x), gather(w, wColumn, columns), c);
  v128.store(sums, c);
}
