/** Whole rows of n float32 elements. */
import { loadLanes, splat, storeLanes } from './lanes';

export function fillRow(n: i32, value: f32, y: usize): void {
  for (let left = n; left > 0; left -= 4, y += 16) storeLanes(y, splat(value), left);
}

export function copyRow(n: i32, x: usize, y: usize): void {
  for (let left = n; left > 0; left -= 4, x += 16, y += 16) storeLanes(y, loadLanes(x, left), left);
}

/** y += x */
export function addRow(n: i32, x: usize, y: usize): void {
  for (let left = n; left > 0; left -= 4, x += 16, y += 16) {
    storeLanes(y, f32x4.add(loadLanes(y, left), loadLanes(x, left)), left);
  }
}

/** y = x, or zeros where there is no x. */
export function copyOrZero(n: i32, x: usize, y: usize): void {
  if (x) copyRow(n, x, y);
  else fillRow(n, 0, y);
}
