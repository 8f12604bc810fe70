/** Programs that take their time. */
import { RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import { type AnyCall, encode } from '../../src/program/encode.js';

const SIZE = 256;

/** Elements of heap that {@link longProgram} works on. */
export const LONG_ELEMENTS = RESERVED_ELEMENTS + 3 * SIZE * SIZE;

/** So many matrix products, each of 34 million multiply-adds or so: some milliseconds. */
export function longProgram(products: number): Int32Array {
  const [a, b, c] = [0, 1, 2].map((index) => RESERVED_ELEMENTS + index * SIZE * SIZE) as [number, number, number];
  const call: AnyCall<number> = {
    instruction: 'matmul',
    operands: { a, b, c },
    dims: {
      ...{ batch: 1, M: SIZE, N: SIZE, K: SIZE, aBatch: 0, aRow: SIZE, aColumn: 1 },
      ...{ bBatch: 0, bRow: SIZE, bColumn: 1, cBatch: 0, cRow: SIZE, bfloat16: 0, activation: 0 },
    },
    scalars: {},
  };
  return encode(Array.from({ length: products }, () => call));
}
