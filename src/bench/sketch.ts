/**
 * Sketches of tensors: so few numbers that they can be sent from process to process, and yet the distance of two tensors can be
 * estimated from theirs. For signs σ drawn at random, the expectation of (Σ σᵢ (aᵢ − bᵢ))² is ‖a − b‖² (Alon, Matias, Szegedy 1996).
 */
export interface Sketch {
  readonly name: string;
  readonly elements: number;
  /** ‖x‖₂ */
  readonly norm: number;
  /** Σ σᵢ xᵢ, each with signs of its own. */
  readonly projections: readonly number[];
}

/** Sixteen give the distance to about 18 %, far less than tolerances leave between right and wrong. */
const PROJECTIONS = 16;

export function sketchOf(name: string, values: ArrayLike<number>): Sketch {
  const projections = new Float64Array(PROJECTIONS);
  let squares = 0;
  let bits = 0x9e3779b9;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number;
    squares += value * value;
    // xorshift32 (Marsaglia 2003); every sketch draws the same signs
    bits ^= bits << 13;
    bits ^= bits >>> 17;
    bits ^= bits << 5;
    for (let projection = 0; projection < PROJECTIONS; projection++) {
      const sum = projections[projection] as number;
      projections[projection] = (bits >>> (projection + 8)) & 1 ? sum + value : sum - value;
    }
  }
  return { name, elements: values.length, norm: Math.sqrt(squares), projections: [...projections] };
}

/** An estimate of ‖a − b‖₂; NaN where either holds a NaN. */
export function distance(a: Sketch, b: Sketch): number {
  const squares = a.projections.map((projection, index) => (projection - (b.projections[index] as number)) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / PROJECTIONS);
}

/** The largest root mean square of some tensors. */
const scaleOf = (sketches: readonly Sketch[]): number =>
  Math.max(0, ...sketches.map(({ norm, elements }) => (elements === 0 ? 0 : norm / Math.sqrt(elements))));

/**
 * What is wrong with tensors of one kind, in words; undefined where each has ‖actual − expected‖ ≤ tolerance · max(‖expected‖,
 * 1e-2 · s · √n), n its elements and s the largest root mean square among those expected: some gradients are mathematically zero and
 * have no relative error.
 */
export function sketchDisagreement(
  expected: readonly Sketch[],
  actual: readonly Sketch[],
  tolerance: number,
): string | undefined {
  const scale = scaleOf(expected);
  for (const wanted of expected) {
    const found = actual.find(({ name }) => name === wanted.name);
    if (found === undefined) return `${wanted.name} is missing`;
    const error = distance(found, wanted) / Math.max(wanted.norm, 1e-2 * scale * Math.sqrt(wanted.elements));
    if (error <= tolerance) continue; // NaN is not
    return `${wanted.name} is ${error.toExponential(1)} off, at most ${tolerance} is right`;
  }
  return undefined;
}
