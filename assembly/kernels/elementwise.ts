/** Functions of each element. Every loop counts the elements `left`; the last vector may be partial. */
import {
  Add, Mul, Relu, ReluBackward, Scale, ScaleBy, Sigmoid, SigmoidBackward, Tanh, TanhBackward,
} from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';

export function add(r: Add): void {
  let a = r.a, b = r.b, y = r.y;
  for (let left = r.n; left > 0; left -= 4, a += 16, b += 16, y += 16) {
    storeLanes(y, f32x4.add(loadLanes(a, left), loadLanes(b, left)), left);
  }
}

export function mul(r: Mul): void {
  let a = r.a, b = r.b, y = r.y;
  for (let left = r.n; left > 0; left -= 4, a += 16, b += 16, y += 16) {
    storeLanes(y, f32x4.mul(loadLanes(a, left), loadLanes(b, left)), left);
  }
}

function scaled(n: i32, x: usize, y: usize, factor: v128): void {
  for (let left = n; left > 0; left -= 4, x += 16, y += 16) storeLanes(y, f32x4.mul(factor, loadLanes(x, left)), left);
}

export function scale(r: Scale): void { scaled(r.n, r.x, r.y, splat(r.factor)); }

export function scaleBy(r: ScaleBy): void { scaled(r.n, r.x, r.y, v128.load32_splat(r.factor)); }

export function sigmoid(r: Sigmoid): void {
  let x = r.x, y = r.y;
  for (let left = r.n; left > 0; left -= 4, x += 16, y += 16) storeLanes(y, math.sigmoid(loadLanes(x, left)), left);
}

export function sigmoidBackward(r: SigmoidBackward): void {
  let y = r.y, dy = r.dy, dx = r.dx;
  for (let left = r.n; left > 0; left -= 4, y += 16, dy += 16, dx += 16) {
    const value = loadLanes(y, left);
    const slope = fma(f32x4.neg(value), value, value);
    storeLanes(dx, f32x4.mul(loadLanes(dy, left), slope), left);
  }
}

export function tanh(r: Tanh): void {
  let x = r.x, y = r.y;
  for (let left = r.n; left > 0; left -= 4, x += 16, y += 16) storeLanes(y, math.tanh(loadLanes(x, left)), left);
}

export function tanhBackward(r: TanhBackward): void {
  let y = r.y, dy = r.dy, dx = r.dx;
  for (let left = r.n; left > 0; left -= 4, y += 16, dy += 16, dx += 16) {
    const value = loadLanes(y, left);
    const slope = fma(f32x4.neg(value), value, splat(1));
    storeLanes(dx, f32x4.mul(loadLanes(dy, left), slope), left);
  }
}

/** Clears the lanes that are ≤ 0, to +0; NaN is not ≤ 0 and stays. */
export function relu(r: Relu): void {
  let x = r.x, y = r.y;
  for (let left = r.n; left > 0; left -= 4, x += 16, y += 16) {
    const value = loadLanes(x, left);
    storeLanes(y, v128.andnot(value, f32x4.le(value, splat(0))), left);
  }
}

export function reluBackward(r: ReluBackward): void {
  let y = r.y, dy = r.dy, dx = r.dx;
  for (let left = r.n; left > 0; left -= 4, y += 16, dy += 16, dx += 16) {
    storeLanes(dx, v128.and(loadLanes(dy, left), f32x4.gt(loadLanes(y, left), splat(0))), left);
  }
}
