/** A recurrent language model: embedding → LSTM → linear head over the vocabulary. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { reshape } from '../ops/copy.js';
import { crossEntropy } from '../ops/cross-entropy.js';
import { dropout } from '../ops/random.js';
import { Arena } from '../program/variable.js';
import { Embedding } from './embedding.js';
import { Linear } from './linear.js';
import { Lstm } from './lstm.js';
import type { Mode } from './mode.js';
import { Parameters } from './parameters.js';

export interface LstmLanguageModelConfig {
  /** Tokens of the vocabulary. */
  readonly vocabularySize: number;
  readonly embeddingSize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  /** On the embedded tokens, between layers and before the head, in training. */
  readonly dropout: number;
}

/** What a window of text is traced with. */
export interface WindowShape {
  /** Steps, T. */
  readonly time: number;
  /** Rows, B. */
  readonly batch: number;
}

export class LstmLanguageModelNetwork {
  readonly parameters = new Parameters();
  readonly #embedding: Embedding;
  readonly #lstm: Lstm;
  readonly #head: Linear;
  readonly #streams: readonly [embedded: number, output: number];

  constructor(readonly config: LstmLanguageModelConfig) {
    const { vocabularySize, embeddingSize, hiddenSize, layers } = config;
    const { scope } = this.parameters;
    this.#embedding = new Embedding(scope.child('embedding'), { count: vocabularySize, size: embeddingSize });
    this.#lstm = new Lstm(scope.child('lstm'), {
      inputSize: embeddingSize,
      hiddenSize,
      layers,
      dropout: config.dropout,
    });
    this.#head = new Linear(scope.child('head'), { inputSize: hiddenSize, outputSize: vocabularySize });
    this.#streams = [scope.nextStream(), scope.nextStream()];
  }

  /** An arena for the state that `batch` rows carry from window to window: `h.0`, `c.0`, `h.1`, … each [batch, hiddenSize]. */
  stateArena(name: string, batch: number): Arena {
    const arena = new Arena(name);
    for (let layer = 0; layer < this.config.layers; layer++) {
      for (const part of ['h', 'c']) arena.add(`${part}.${layer}`, [batch, this.config.hiddenSize]);
    }
    return arena;
  }

  /**
   * Traces the logits [T · B, V] of one window. Reads the input `tokens` [T, B] and the state; `next` holds the state's new
   * values, in the order of its variables.
   */
  logits(graph: Graph, { time, batch }: WindowShape, state: Arena, mode: Mode): { logits: Tensor; next: Tensor[] } {
    const layers = [...Array(this.config.layers).keys()];
    const read = (part: string): Tensor[] => layers.map((layer) => graph.read(state.get(`${part}.${layer}`)));
    const drop = (x: Tensor, stream: number): Tensor =>
      mode.random === undefined ? x : dropout(x, this.config.dropout, mode.random, stream);
    const tokens = graph.input('tokens', [time, batch], 'i32');
    const embedded = graph.within('embedding', () => drop(this.#embedding.forward(tokens), this.#streams[0]));
    const { output, last } = graph.within('lstm', () =>
      this.#lstm.forward(embedded, { h: read('h'), c: read('c') }, undefined, mode),
    );
    const logits = graph.within('head', () => this.#head.forward(drop(output, this.#streams[1])));
    return {
      logits: reshape(logits, [time * batch, this.config.vocabularySize]),
      next: layers.flatMap((layer) => [last.h[layer] as Tensor, last.c[layer] as Tensor]),
    };
  }

  /** Traces the loss [1] of one window: as {@link logits}, and the input `labels` [T · B], summed and divided by `denominator` [1]. */
  loss(
    graph: Graph,
    shape: WindowShape,
    state: Arena,
    denominator: Tensor,
    mode: Mode,
  ): { loss: Tensor; next: Tensor[] } {
    const { logits, next } = this.logits(graph, shape, state, mode);
    const labels = graph.input('labels', [shape.time * shape.batch], 'i32');
    return { loss: graph.within('loss', () => crossEntropy(logits, labels, denominator)), next };
  }
}
