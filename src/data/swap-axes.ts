/** Sequences with their batch first, or with their time first. */

/** Swaps the first two axes. */
export function swapFirstAxes<A extends Float32Array | Float64Array | Int32Array>({
  shape,
  values,
}: {
  readonly shape: readonly number[];
  readonly values: A;
}): A {
  const [first = 1, second = 1] = shape;
  const inner = values.length / Math.max(1, first * second);
  const swapped = values.slice() as A;
  for (let i = 0; i < first; i++) {
    for (let j = 0; j < second; j++) {
      swapped.set(values.subarray((i * second + j) * inner, (i * second + j + 1) * inner), (j * first + i) * inner);
    }
  }
  return swapped;
}
