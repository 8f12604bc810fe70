/** Magnitudes of layer normalisation, for the tolerance of its results. */
import type { Case, Values } from './case.js';

type Magnitude = (testCase: Case, inputs: Values, expected: Values) => Values;

/** The rows of [R, C] values, by their size, each with its mean of absolute values. */
function rowsOf({ dims: { R = 0, C = 0 } }: Case, x: Float64Array): { row: Float64Array; mean: number }[] {
  return Array.from({ length: R }, (_, r) => {
    const row = x.subarray(r * C, (r + 1) * C).map(Math.abs);
    return { row, mean: row.reduce((sum, value) => sum + value, 0) / C };
  });
}

/** x − mean is off by both; that is seen times 1/deviation, and again in the deviation itself, where it counts at most as much. */
export const ofLayerNorm: Magnitude = (testCase, inputs, expected) => {
  const { C = 0 } = testCase.dims;
  const inverse = expected.get('inverseDeviation') as Float64Array;
  const rows = rowsOf(testCase, inputs.get('x') as Float64Array);
  const error = rows.map(({ row, mean }, r) => row.map((x) => (x + mean) * (inverse[r] as number)));
  const worst = error.map((each) => each.reduce((most, value) => Math.max(most, value), 0));
  const y = error.flatMap((each, r) =>
    [...each].map((value, c) => {
      const gain = Math.abs(inputs.get('gain')?.[c] ?? 1);
      return gain * (value + value * (worst[r] as number)) + Math.abs(inputs.get('bias')?.[c] ?? 0);
    }),
  );
  return new Map([
    ['y', Float64Array.from(y)],
    ['mean', Float64Array.from(rows, ({ mean }) => (C === 0 ? 0 : mean))],
    ['inverseDeviation', inverse.map((value, r) => value * (1 + (worst[r] as number)))],
  ]);
};

/** The sums of layerNormBackward with every term taken by its size. */
export const ofLayerNormBackward: Magnitude = (testCase, inputs) => {
  const { R = 0, C = 0 } = testCase.dims;
  const [mean, inverse] = [inputs.get('mean'), inputs.get('inverseDeviation')] as [Float64Array, Float64Array];
  const dy = rowsOf(testCase, inputs.get('dy') as Float64Array);
  const [dx, dGain, dBias] = [new Float64Array(R * C), new Float64Array(C), new Float64Array(C)];
  for (const [r, { row: x }] of rowsOf(testCase, inputs.get('x') as Float64Array).entries()) {
    const deviation = Math.abs(inverse[r] as number);
    const normal = x.map((value) => (value + Math.abs(mean[r] as number)) * deviation);
    const upstream = dy[r]?.row as Float64Array;
    const g = upstream.map((value, c) => value * Math.abs(inputs.get('gain')?.[c] ?? 1));
    const a = g.reduce((sum, value) => sum + value, 0) / C;
    const b = g.reduce((sum, value, c) => sum + value * (normal[c] as number), 0) / C;
    for (let c = 0; c < C; c++) {
      dx[r * C + c] = deviation * ((g[c] as number) + a + (normal[c] as number) * b);
      dGain[c] = (dGain[c] as number) + (upstream[c] as number) * (normal[c] as number);
      dBias[c] = (dBias[c] as number) + (upstream[c] as number);
    }
  }
  return new Map([
    ['dx', dx],
    ['dGain', dGain],
    ['dBias', dBias],
  ]);
};
