/** Time-major sequences [T, B, C]. */
import { MaskSteps } from '../generated/instructions';
import { copyOrZero } from '../simd/rows';

export function maskSteps(r: MaskSteps): void {
  const T = r.T, B = r.B, C = r.C, lengths = r.lengths;
  const rowBytes = <usize>C << 2;
  let x = r.x, y = r.y;
  for (let t = 0; t < T; t++) {
    for (let b = 0; b < B; b++, x += rowBytes, y += rowBytes) {
      copyOrZero(C, t < load<i32>(lengths + (<usize>b << 2)) ? x : 0, y);
    }
  }
}
