/** Arrays by name: what goes into and comes out of computations that people look at. */

export interface NamedArray {
  readonly shape: readonly number[];
  readonly values: Float32Array | Float64Array | Int32Array;
}

export type NamedArrays = ReadonlyMap<string, NamedArray>;

/** The shapes of everything that such a computation takes; names that may be left out are optional. */
export interface ArrayShapes {
  readonly required: ReadonlyMap<string, readonly number[]>;
  readonly optional: ReadonlyMap<string, readonly number[]>;
}
