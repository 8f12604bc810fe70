/** A table of vectors, one for each token. */
import type { Tensor } from '../graph/tensor.js';
import { embedding, Lookup } from '../ops/embedding.js';
import type { Variable } from '../program/variable.js';
import { normally, type Scope } from './parameters.js';

export interface EmbeddingConfig {
  /** Tokens. */
  readonly count: number;
  /** Elements of a token's vector. */
  readonly size: number;
  /** Standard deviation of the table, which starts normal. Default 1, as PyTorch's. */
  readonly deviation?: number;
}

/** y [...ids, size] = the vectors of `ids`. */
export class Embedding {
  readonly weight: Variable;

  constructor(scope: Scope, { count, size, deviation = 1 }: EmbeddingConfig) {
    this.weight = scope.parameter('weight', [count, size], normally(deviation));
  }

  /** @param learnt as of {@link embedding} */
  forward(ids: Tensor, learnt?: Tensor): Tensor {
    return embedding(ids.graph.read(this.weight), ids, learnt);
  }

  /** The same, left to the layer that reads it. */
  lookUp(ids: Tensor): Lookup {
    return new Lookup(ids.graph.read(this.weight), ids);
  }
}
