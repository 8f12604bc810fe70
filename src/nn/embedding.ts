/** A table of vectors, one for each token. */
import type { Tensor } from '../graph/tensor.js';
import { embedding } from '../ops/embedding.js';
import type { Variable } from '../program/variable.js';
import type { Scope } from './parameters.js';

export interface EmbeddingConfig {
  /** Tokens. */
  readonly count: number;
  /** Elements of a token's vector. */
  readonly size: number;
}

/** y [...ids, size] = the vectors of `ids`; the table starts standard normal, as PyTorch's does. */
export class Embedding {
  readonly weight: Variable;

  constructor(scope: Scope, { count, size }: EmbeddingConfig) {
    this.weight = scope.parameter('weight', [count, size], { kind: 'normal', mean: 0, deviation: 1 });
  }

  forward(ids: Tensor): Tensor {
    return embedding(ids.graph.read(this.weight), ids);
  }
}
