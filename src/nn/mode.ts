/** How a model is traced: for training, where dropout is on, or for prediction. */
import type { Tensor } from '../graph/tensor.js';

export interface Mode {
  /** The Philox key and step [3] i32 that dropout draws from; absent in prediction, where dropout does nothing. */
  readonly random?: Tensor | undefined;
}
