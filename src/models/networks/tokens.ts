/** What networks over tokens begin with: embedding, dropout, recurrence. */
import type { Graph } from '../../graph/graph.js';
import type { Tensor } from '../../graph/tensor.js';
import { dropoutSteps } from '../../nn/dropout.js';
import { Embedding } from '../../nn/embedding.js';
import type { Mode } from '../../nn/mode.js';
import type { Scope } from '../../nn/parameters.js';
import { Recurrent, type RecurrentResult } from '../../nn/recurrent.js';
import type { BatchShape } from '../../train/model.js';
import { type RecurrentSettings, recurrentIn } from '../recurrent-options.js';

export interface TokenEncoderConfig extends RecurrentSettings {
  /** Tokens of the vocabulary. */
  readonly vocabularySize: number;
  readonly embeddingSize: number;
}

export class TokenEncoder {
  readonly outputSize: number;
  readonly #embedding: Embedding;
  readonly #recurrent: Recurrent;
  readonly #stream: number;

  constructor(
    scope: Scope,
    readonly config: TokenEncoderConfig,
  ) {
    const { kind, vocabularySize, embeddingSize } = config;
    this.#embedding = new Embedding(scope.child('embedding'), { count: vocabularySize, size: embeddingSize });
    this.#recurrent = new Recurrent(scope.child(kind), { ...recurrentIn(config), inputSize: embeddingSize });
    this.#stream = scope.nextStream();
    this.outputSize = this.#recurrent.outputSize;
  }

  /** Reads the inputs `tokens` [T, B] and `lengths` [B]. */
  forward(graph: Graph, { time, batch }: BatchShape, mode: Mode): { result: RecurrentResult; lengths: Tensor } {
    const { dropout: rate, variationalDropout: variational = false } = this.config;
    const tokens = graph.input('tokens', [time, batch], 'i32');
    const lengths = graph.input('lengths', [batch], 'i32');
    const embedded = graph.within('embedding', () =>
      dropoutSteps(this.#embedding.lookUp(tokens), { rate, variational }, mode, this.#stream),
    );
    const result = graph.within(this.config.kind, () => this.#recurrent.forward(embedded, { lengths }, mode));
    return { result, lengths };
  }
}
