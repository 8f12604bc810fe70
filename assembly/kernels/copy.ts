/** Filling and copying. */
import { Copy, CopyAdd, CopyIf, Fill } from '../generated/instructions';
import { addRow, copyRow, fillRow } from '../simd/rows';

export function fill(r: Fill): void { fillRow(r.n, r.value, r.y); }

/** The last axis of a box: rows that are dense on both sides, one value spread over a row, or any strides. */
@inline function innermost(adding: bool, n: i32, x: usize, xStep: usize, y: usize, yStep: usize): void {
  if (xStep == 4 && yStep == 4) {
    if (adding) addRow(n, x, y);
    else copyRow(n, x, y);
  } else if (!adding && xStep == 0 && yStep == 4) {
    fillRow(n, load<f32>(x), y);
  } else {
    for (let left = n; left > 0; left--, x += xStep, y += yStep) {
      store<f32>(y, adding ? load<f32>(y) + load<f32>(x) : load<f32>(x));
    }
  }
}

/** Walks a box of four axes. `adding` is a constant where this is inlined. */
@inline function overBox<Box>(r: Box, adding: bool): void {
  const n0 = r.n0, n1 = r.n1, n2 = r.n2, n3 = r.n3;
  const x1 = <usize>r.x1 << 2, x2 = <usize>r.x2 << 2, x3 = <usize>r.x3 << 2;
  const y1 = <usize>r.y1 << 2, y2 = <usize>r.y2 << 2, y3 = <usize>r.y3 << 2;
  let xAxis0 = r.x, yAxis0 = r.y;
  for (let i0 = 0; i0 < n0; i0++, xAxis0 += <usize>r.x0 << 2, yAxis0 += <usize>r.y0 << 2) {
    let xAxis1 = xAxis0, yAxis1 = yAxis0;
    for (let i1 = 0; i1 < n1; i1++, xAxis1 += x1, yAxis1 += y1) {
      let xAxis2 = xAxis1, yAxis2 = yAxis1;
      for (let i2 = 0; i2 < n2; i2++, xAxis2 += x2, yAxis2 += y2) innermost(adding, n3, xAxis2, x3, yAxis2, y3);
    }
  }
}

export function copy(r: Copy): void { overBox(r, false); }

export function copyAdd(r: CopyAdd): void { overBox(r, true); }

export function copyIf(r: CopyIf): void {
  if (load<f32>(r.flag) != 0) copyRow(r.n, r.x, r.y);
}
