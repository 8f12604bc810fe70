/** Errors about shapes: the op, the argument, what was expected and what came. */
/** A tensor whose shape or type does not fit the op it was given to. */
export class ShapeError extends Error {
  readonly code = 'ERR_SEQGRAD_SHAPE';
  override readonly name = 'ShapeError';

  constructor(op: string, argument: string, expected: string, received: Shaped | readonly number[] | string) {
    const shape = Array.isArray(received) ? `[${received.join(', ')}]` : String(received);
    super(`${op}: Expected \`${argument}\` to be ${expected} but received ${shape}`);
  }
}

/** What has a shape and can be named in an error. */
interface Shaped {
  readonly shape: readonly number[];
  toString(): string;
}

/**
 * Checks a tensor against a pattern of sizes; a string stands for any size and must come out the same wherever it occurs.
 * @returns the sizes the names stand for.
 * @throws ShapeError
 */
export function matchShapes<Name extends string>(
  op: string,
  patterns: Readonly<Record<string, readonly [tensor: Shaped | undefined, pattern: readonly (Name | number)[]]>>,
): Record<Name, number> {
  const sizes: Partial<Record<Name, number>> = {};
  for (const [argument, [tensor, pattern]] of Object.entries(patterns)) {
    if (tensor === undefined) continue;
    const expected = (): string =>
      `[${pattern.map((size) => (typeof size === 'string' && sizes[size] !== undefined ? `${size} = ${sizes[size]}` : size)).join(', ')}]`;
    if (tensor.shape.length !== pattern.length) throw new ShapeError(op, argument, expected(), tensor);
    for (const [axis, size] of pattern.entries()) {
      const actual = tensor.shape[axis] as number;
      if (typeof size === 'string') {
        const known = sizes[size];
        if (known === undefined) sizes[size] = actual;
        else if (known !== actual) throw new ShapeError(op, argument, expected(), tensor);
      } else if (size !== actual) throw new ShapeError(op, argument, expected(), tensor);
    }
  }
  return sizes as Record<Name, number>;
}
