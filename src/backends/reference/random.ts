/**
 * Random tensors by Philox4x32-10: element e of a tensor is word e mod 4 of the counter (e / 4, stream, step, 0).
 */
import { philox } from '../../program/philox.js';
import type { Definition, Tensor } from './tensor.js';

/** The upper 24 bits of the random word of every element: counter (element / 4, stream, step, 0), word element mod 4. */
export function draw(random: Tensor, stream: number): (element: number) => number {
  const key = [random.at(0), random.at(1)] as const;
  const step = random.at(2);
  return (element) => {
    const words = philox([Math.floor(element / 4), stream, step, 0], key);
    return (words[element % 4] as number) >>> 8;
  };
}

export const UNIT = 2 ** -24;

/** y = x · keepScale with probability 1 − rate, else 0 (Srivastava et al. 2014). Its gradient is dropout(dy): the same draw. */
export const dropout: Definition<'dropout'> = ({
  operands: { x, random, y },
  dims: { n, stream },
  scalars: { rate, keepScale },
}) => {
  const bits = draw(random, stream);
  for (let e = 0; e < n; e++) y.set(bits(e) * UNIT >= rate ? x.at(e) * keepScale : 0, e);
};

export const philoxUniform: Definition<'philoxUniform'> = ({
  operands: { random, y },
  dims: { n, stream },
  scalars: { low, range },
}) => {
  const bits = draw(random, stream);
  for (let e = 0; e < n; e++) y.set(low + bits(e) * UNIT * range, e);
};

/** Two normal deviates from two uniforms (Box & Muller 1958). The logarithm's argument is in (0, 1]: never log 0. */
export const philoxNormal: Definition<'philoxNormal'> = ({
  operands: { random, y },
  dims: { n, stream },
  scalars: { mean, deviation },
}) => {
  const bits = draw(random, stream);
  for (let e = 0; e < n; e++) {
    const even = e - (e % 2);
    const r = Math.sqrt(-2 * Math.log((bits(even) + 1) * UNIT));
    const angle = 2 * Math.PI * bits(even + 1) * UNIT;
    y.set(mean + deviation * r * (e === even ? Math.cos(angle) : Math.sin(angle)), e);
  }
};
