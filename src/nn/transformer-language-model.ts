/** A language model of transformer layers that see only what is before them (Radford et al. 2018), its head tied to the words' table. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { reshape } from '../ops/copy.js';
import { embedding } from '../ops/embedding.js';
import { Arena } from '../program/variable.js';
import { Bert, LanguageModelHead } from './bert.js';
import type { BertConfig } from './bert-config.js';
import type { Mode } from './mode.js';
import { Parameters } from './parameters.js';

export interface TransformerLanguageModelConfig extends BertConfig {
  /** ε of the training loss. Default 0. */
  readonly labelSmoothing?: number | undefined;
}

interface WindowShape {
  /** Positions, T. */
  readonly time: number;
  /** Rows, B. */
  readonly batch: number;
}

export class TransformerLanguageModelNetwork {
  readonly parameters = new Parameters();
  readonly #decoder: Bert;
  readonly #head: LanguageModelHead;

  constructor(readonly config: TransformerLanguageModelConfig) {
    const { scope } = this.parameters;
    this.#decoder = new Bert(scope.child('transformer'), config);
    this.#head = new LanguageModelHead(scope.child('head'), config, this.#decoder.words);
  }

  /** Nothing is carried from window to window. */
  stateArena(name: string): Arena {
    return new Arena(name);
  }

  /** The hidden states [B · T, C] of the input `tokens` [B, T]. */
  #rows(graph: Graph, { time, batch }: WindowShape, mode: Mode): Tensor {
    const hidden = this.#decoder.forward(graph, { tokens: graph.input('tokens', [batch, time], 'i32') }, mode);
    return reshape(hidden, [batch * time, this.config.hiddenSize]);
  }

  /** The logits [1, V] of what follows the position that the input `position` [1] names, in one row of tokens. */
  next(graph: Graph, time: number): Tensor {
    const row = embedding(this.#rows(graph, { time, batch: 1 }, {}), graph.input('position', [1], 'i32'));
    return graph.within('head', () => this.#head.logits(row));
  }

  /** Reads the inputs `tokens` [B, T] and `labels` [B · T]. */
  loss(
    graph: Graph,
    shape: WindowShape,
    _state: Arena,
    denominator: Tensor,
    mode: Mode,
  ): { loss: Tensor; next: Tensor[] } {
    const rows = this.#rows(graph, shape, mode);
    const labels = graph.input('labels', [shape.batch * shape.time], 'i32');
    const { labelSmoothing = 0 } = this.config;
    const smoothing = mode.random === undefined ? {} : { labelSmoothing };
    return { loss: graph.within('head', () => this.#head.loss(rows, labels, denominator, smoothing)), next: [] };
  }
}
