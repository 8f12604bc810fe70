/** Checks that every metric makes. */
export function sameLength(metric: string, actual: ArrayLike<unknown>, predicted: ArrayLike<unknown>): void {
  if (actual.length === predicted.length) return;
  throw new RangeError(`${metric}: Expected ${actual.length} predictions but received ${predicted.length}`);
}
