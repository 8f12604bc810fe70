/** Rounding to bfloat16: sign, exponent and the upper 7 of the 23 bits of a float32's fraction. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/**
 * The bfloat16 number nearest to a float32, ties to even; beyond the largest that is ±∞. NaN stays NaN.
 *
 * Half of the last bit's place, and one more where that bit is odd, carry into the upper half where the lower half asks for it, from there
 * into the exponent where the fraction is full, and so to ∞.
 */
export function toBfloat16(value: number): number {
  float[0] = value;
  if (Number.isNaN(value)) return value;
  const word = bits[0] as number;
  bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return float[0] as number;
}
