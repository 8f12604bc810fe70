/** Magnitudes of the two forms of GELU and of their slopes, for the tolerance of their results. */
import { density, upperTail } from '../../src/backends/reference/elementwise.js';
import type { Case, Values } from './case.js';

type Magnitude = (testCase: Case, inputs: Values, expected: Values) => Values;
type Curve = (a: number) => number;

const SLOPE = 2 * Math.sqrt(2 / Math.PI);
/** The arguments of the exponentials: a²/2, and 2·√(2/π)·(a + 0.044715·a³). */
const half: Curve = (a) => (a * a) / 2;
const twiceU: Curve = (a) => SLOPE * (a + 0.044715 * a ** 3);

/** Below 0, where the exponential is all there is, the rounding of its argument counts times the argument's size. */
const ofValue =
  (argument: Curve): Magnitude =>
  (_testCase, inputs, expected) => {
    const [x, y] = [inputs.get('x'), expected.get('y')] as [Float64Array, Float64Array];
    const growth = (value: number): number => (value < 0 ? 1 + Math.min(argument(-value), 1e6) : 1);
    return new Map([['y', y.map((value, i) => Math.abs(value) * growth(x[i] as number))]]);
  };

/** `tail` + `term` below 0, where the two have opposite signs, and 1 + `term` above. */
const ofSlope =
  (argument: Curve, tail: Curve, term: Curve): Magnitude =>
  (_testCase, inputs) => {
    const [x, dy] = [inputs.get('x'), inputs.get('dy')] as [Float64Array, Float64Array];
    const slope = (value: number): number => {
      const a = Math.min(Math.abs(value), 40);
      return value < 0 ? (tail(a) + term(a)) * (1 + argument(a)) : 1 + term(a) * (1 + argument(a));
    };
    return new Map([['dx', dy.map((value, i) => Math.abs(value) * slope(x[i] as number))]]);
  };

export const ofGelu = ofValue(half);
export const ofGeluSlope = ofSlope(half, upperTail, (a) => a * density(a));

const logisticTail: Curve = (a) => 1 / (1 + Math.exp(twiceU(a)));
export const ofGeluTanh = ofValue(twiceU);
export const ofGeluTanhSlope = ofSlope(
  twiceU,
  logisticTail,
  (a) => a * logisticTail(a) * SLOPE * (1 + 3 * 0.044715 * a * a),
);
