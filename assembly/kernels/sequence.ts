/** Time-major sequences [T, B, C]. */
import { MaskSteps } from '../generated/instructions';
import { copyOrZero } from '../simd/rows';
import { parallel } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

export function maskSteps(r: MaskSteps): void {
  parallel(ceilDiv(r.T * r.B, rowsOf(STREAMED, r.C)), maskStepsTicket, changetype<usize>(r));
}

function maskStepsTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<MaskSteps>(record);
  const B = r.B, C = r.C, lengths = r.lengths;
  const rowBytes = <usize>C << 2;
  const rows = rowsOf(STREAMED, C), first = ticket * rows, end = min(r.T * B, first + rows);
  let t = first / B, b = first % B;
  let x = r.x + <usize>first * rowBytes, y = r.y + <usize>first * rowBytes;
  for (let row = first; row < end; row++, x += rowBytes, y += rowBytes) {
    copyOrZero(C, t < load<i32>(lengths + (<usize>b << 2)) ? x : 0, y);
    if (++b == B) b = 0, t++;
  }
}
