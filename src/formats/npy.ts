/** NumPy's .npy files, version 1.0: a line that describes an array, and its numbers. */
import type { Sink } from './atomic.js';

/** The line, padded so that numbers begin at a multiple of 64 bytes. */
function header(rows: number, columns: number): Uint8Array {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  const before = 10;
  const length = Math.ceil((before + text.length + 1) / 64) * 64 - before;
  const line = new TextEncoder().encode(`${text.padEnd(length - 1)}\n`);
  const bytes = new Uint8Array(before + length);
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, length % 256, length >> 8]);
  bytes.set(line, before);
  return bytes;
}

/** Writes rows of float32 as an array [rows, columns], row by row. */
export async function writeNpy(
  sink: Sink,
  [rows, columns]: readonly [number, number],
  values: AsyncIterable<Float32Array> | Iterable<Float32Array>,
): Promise<void> {
  await sink(header(rows, columns));
  for await (const row of values) {
    const bytes = new DataView(new ArrayBuffer(4 * row.length));
    for (const [index, value] of row.entries()) bytes.setFloat32(4 * index, value, true);
    await sink(new Uint8Array(bytes.buffer));
  }
}
