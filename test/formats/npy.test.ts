import test from 'ava';
import { writeNpy } from '../../src/formats/npy.js';

/** numpy.save of numpy.array([[1, 2, 3], [4, 5.5, -6]], '<f4'), NumPy 1.24. */
const saved =
  'k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgIC' +
  'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAIA/AAAAQAAAQEAAAIBAAACwQAAAwMA=';

async function* rowsOf(...rows: readonly number[][]): AsyncGenerator<Float32Array> {
  for (const row of rows) yield Float32Array.from(row);
}

async function written(shape: readonly [number, number], rows: AsyncIterable<Float32Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  await writeNpy(async (bytes) => void pieces.push(bytes), shape, rows);
  return Buffer.concat(pieces);
}

test('the bytes are those of NumPy', async (t) => {
  t.is((await written([2, 3], rowsOf([1, 2, 3], [4, 5.5, -6]))).toString('base64'), saved);
});

test('numbers begin at a multiple of 64 bytes', async (t) => {
  for (const shape of [
    [0, 768],
    [123_456_789, 1024],
  ] as const)
    t.is((await written(shape, rowsOf())).length % 64, 0);
});
