/** Dropout of sequences, time-major [T, B, C]. */
import type { Tensor } from '../graph/tensor.js';
import { broadcastRows } from '../ops/broadcast.js';
import { full, reshape } from '../ops/copy.js';
import { mul } from '../ops/elementwise.js';
import { Lookup } from '../ops/embedding.js';
import { dropout } from '../ops/random.js';
import type { Mode } from './mode.js';

/**
 * Inverted dropout in training, nothing in prediction. `variational`: one mask for each row, the same at every step (Gal & Ghahramani 2016);
 * otherwise every element is drawn anew.
 * @param stream a number that no other random tensor of the model uses
 */
export function dropoutSteps<X extends Tensor | Lookup>(
  x: X,
  { rate, variational = false }: { readonly rate: number; readonly variational?: boolean },
  { random }: Mode,
  stream: number,
): X | Tensor {
  if (random === undefined || rate === 0) return x;
  const values = x instanceof Lookup ? x.rows() : (x as Tensor);
  if (!variational) return dropout(values, rate, random, stream);
  const [T = 0, B = 0, C = 0] = x.shape;
  const mask = dropout(full(x.graph, [B * C], 1), rate, random, stream);
  return mul(values, reshape(broadcastRows(mask, T), [T, B, C]));
}
