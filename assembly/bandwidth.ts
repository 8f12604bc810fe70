/** How fast one thread can read and write memory, for benchmarks to be compared with. */
import { splat } from './simd/lanes';

/** Bytes that lengths are multiples of. */
const STRIDE: usize = 128;

/** Reads `bytes` from `from` on; the result depends on each of them. */
export function readMemory(from: usize, bytes: usize): i64 {
  let x0 = splat(0), x1 = splat(0), x2 = splat(0), x3 = splat(0);
  for (const end = from + bytes; from < end; from += STRIDE) {
    x0 = v128.xor(v128.xor(x0, v128.load(from)), v128.load(from, 64));
    x1 = v128.xor(v128.xor(x1, v128.load(from, 16)), v128.load(from, 80));
    x2 = v128.xor(v128.xor(x2, v128.load(from, 32)), v128.load(from, 96));
    x3 = v128.xor(v128.xor(x3, v128.load(from, 48)), v128.load(from, 112));
  }
  const all = v128.xor(v128.xor(x0, x1), v128.xor(x2, x3));
  return i64x2.extract_lane(all, 0) ^ i64x2.extract_lane(all, 1);
}

/** y = a + 3·b over `bytes` of each: STREAM's triad (McCalpin 1995). */
export function triad(y: usize, a: usize, b: usize, bytes: usize): void {
  const factor = splat(3);
  for (const end = y + bytes; y < end; y += STRIDE) {
    v128.store(y, f32x4.add(v128.load(a), f32x4.mul(v128.load(b), factor)));
    v128.store(y, f32x4.add(v128.load(a, 16), f32x4.mul(v128.load(b, 16), factor)), 16);
    v128.store(y, f32x4.add(v128.load(a, 32), f32x4.mul(v128.load(b, 32), factor)), 32);
    v128.store(y, f32x4.add(v128.load(a, 48), f32x4.mul(v128.load(b, 48), factor)), 48);
    v128.store(y, f32x4.add(v128.load(a, 64), f32x4.mul(v128.load(b, 64), factor)), 64);
    v128.store(y, f32x4.add(v128.load(a, 80), f32x4.mul(v128.load(b, 80), factor)), 80);
    v128.store(y, f32x4.add(v128.load(a, 96), f32x4.mul(v128.load(b, 96), factor)), 96);
    v128.store(y, f32x4.add(v128.load(a, 112), f32x4.mul(v128.load(b, 112), factor)), 112);
    a += STRIDE;
    b += STRIDE;
  }
}
