/**
 * When two sets of tensors agree: for each, ‖actual − expected‖₂ ≤ tolerance · max(‖expected‖₂, 1e-2 · s · √n), with n its elements and
 * s the largest root mean square among the expected tensors of its kind. Some gradients are mathematically zero or fade over
 * time, and have no relative error; they are measured against their kind.
 */
export type Tensors = ReadonlyMap<string, ArrayLike<number>>;

const kinds = {
  'probe gradients': /^inspect\.grad\./,
  'input gradients': /^grad\.input\./,
  'parameter gradients': /^grad\./,
  values: /^/,
};

function kindOf(name: string): string {
  return Object.entries(kinds).find(([, pattern]) => pattern.test(name))?.[0] as string;
}

function norm(values: ArrayLike<number>, minus?: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) {
    sum += ((values[index] as number) - (minus === undefined ? 0 : (minus[index] as number))) ** 2;
  }
  return Math.sqrt(sum);
}

/** The largest root mean square of each kind. */
function scales(expected: Tensors): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, values] of expected) {
    const kind = kindOf(name);
    const rms = values.length === 0 ? 0 : norm(values) / Math.sqrt(values.length);
    found.set(kind, Math.max(found.get(kind) ?? 0, rms));
  }
  return found;
}

/** One line for every tensor that is missing, unexpected, of another size, or does not agree; empty when all is well. */
export function disagreements(actual: Tensors, expected: Tensors, tolerance: number): string[] {
  const scale = scales(expected);
  const found = [...actual.keys()].filter((name) => !expected.has(name)).map((name) => `${name}: not expected`);
  for (const [name, wanted] of expected) {
    const values = actual.get(name);
    if (values === undefined) found.push(`${name}: missing`);
    else if (values.length !== wanted.length)
      found.push(`${name}: ${values.length} elements instead of ${wanted.length}`);
    else {
      const error = norm(values, wanted);
      const size = Math.max(norm(wanted), 1e-2 * (scale.get(kindOf(name)) as number) * Math.sqrt(wanted.length));
      // Not `error > …`: a NaN disagrees.
      if (!(error <= tolerance * size)) found.push(`${name}: off by ${error} where ${tolerance * size} is allowed`);
    }
  }
  return found;
}
