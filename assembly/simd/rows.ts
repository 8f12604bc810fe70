/** Whole rows of n float32 elements. */
import { loadLanes, splat, storeLanes } from './lanes';

export function fillRow(n: i32, value: f32, y: usize): void {
  for (; n >= 4; n -= 4, y += 16) v128.store(y, splat(value));
  storeLanes(y, splat(value), n);
}

export function copyRow(n: i32, x: usize, y: usize): void {
  for (; n >= 4; n -= 4, x += 16, y += 16) v128.store(y, v128.load(x));
  storeLanes(y, loadLanes(x, n), n);
}

/** y += x */
export function addRow(n: i32, x: usize, y: usize): void {
  for (; n >= 4; n -= 4, x += 16, y += 16) v128.store(y, f32x4.add(v128.load(y), v128.load(x)));
  storeLanes(y, f32x4.add(loadLanes(y, n), loadLanes(x, n)), n);
}

/** y = x, or zeros where there is no x. */
export function copyOrZero(n: i32, x: usize, y: usize): void {
  if (x) copyRow(n, x, y);
  else fillRow(n, 0, y);
}
