/** BERT with the heads of its tasks, batch-major: position t of row b is row b · T + t. */
import type { Graph } from '../../graph/graph.js';
import type { Tensor } from '../../graph/tensor.js';
import { Bert, type BertInputs, ClassifierHead, LanguageModelHead } from '../../nn/bert.js';
import type { BertConfig } from '../../nn/bert-config.js';
import type { Mode } from '../../nn/mode.js';
import { Parameters } from '../../nn/parameters.js';
import { crossEntropy, divideBy, embedding, matmul, mul, reshape, subtract, sum } from '../../ops/index.js';
import { Arena } from '../../program/variable.js';
import type { BatchShape, Weights } from '../../train/model.js';
import { TaskNetwork, type TaskOutputs } from '../task-model.js';

/** The inputs `tokens`, `types` and `mask`, each [B, T]. */
const encoderInputs = (graph: Graph, { time, batch }: BatchShape): BertInputs => ({
  tokens: graph.input('tokens', [batch, time], 'i32'),
  types: graph.input('types', [batch, time], 'i32'),
  mask: graph.input('mask', [batch, time], 'i32'),
});

/** Rows [B · T, C] of hidden states. */
const rowsOf = (hidden: Tensor): Tensor => {
  const [B, T, C] = hidden.shape as [number, number, number];
  return reshape(hidden, [B * T, C]);
};

/** The encoder alone. */
export class EncoderNetwork implements Weights {
  readonly parameters = new Parameters();
  readonly #bert: Bert;

  constructor(
    readonly config: BertConfig,
    { pooler }: { readonly pooler: boolean },
  ) {
    this.#bert = new Bert(this.parameters.scope, config, { pooler });
  }

  stateArena(name: string): Arena {
    return new Arena(name);
  }

  /** The hidden states [B, T, C]. */
  hidden(graph: Graph, shape: BatchShape): Tensor {
    return this.#bert.forward(graph, encoderInputs(graph, shape), {});
  }

  /** The pooler's vectors [B, C]. */
  pooled(hidden: Tensor): Tensor {
    return this.#bert.pool(hidden);
  }

  /** Sums of hidden states [B, C], by the input `weights` [B, T]. */
  weighted(hidden: Tensor): Tensor {
    const [B, T, C] = hidden.shape as [number, number, number];
    const weights = hidden.graph.input('weights', [B, T]);
    return reshape(matmul(reshape(weights, [B, 1, T]), hidden), [B, C]);
  }
}

export class MaskedLanguageModelNetwork extends TaskNetwork {
  readonly parameters = new Parameters();
  readonly #bert: Bert;
  readonly #head: LanguageModelHead;

  constructor(readonly config: BertConfig) {
    super();
    const { scope } = this.parameters;
    this.#bert = new Bert(scope.child('bert'), config);
    this.#head = new LanguageModelHead(scope.child('cls.predictions'), config, this.#bert.words);
  }

  /**
   * The hidden states [N, C] of the positions that the input `positions` [N] names, of all B · T where the shape has no such input, and the
   * input `labels` [N].
   */
  #asked(graph: Graph, shape: BatchShape, mode: Mode): { rows: Tensor; labels: Tensor } {
    const { batch, time, positions } = shape;
    const hidden = rowsOf(this.#bert.forward(graph, encoderInputs(graph, shape), mode));
    const rows = positions === undefined ? hidden : embedding(hidden, graph.input('positions', [positions], 'i32'));
    return { rows, labels: graph.input('labels', [positions ?? batch * time], 'i32') };
  }

  /** Predictions are logits [N, V], all of them at once. */
  outputs(graph: Graph, shape: BatchShape, denominator: Tensor, mode: Mode): TaskOutputs {
    const { rows, labels } = this.#asked(graph, shape, mode);
    const predictions = graph.within('head', () => this.#head.logits(rows));
    return { loss: graph.within('loss', () => crossEntropy(predictions, labels, denominator)), predictions };
  }

  override loss(
    graph: Graph,
    shape: BatchShape,
    _state: Arena,
    denominator: Tensor,
    mode: Mode,
  ): { loss: Tensor; next: [] } {
    const { rows, labels } = this.#asked(graph, shape, mode);
    return { loss: graph.within('head', () => this.#head.loss(rows, labels, denominator)), next: [] };
  }
}

/** Classes of whole sequences, or with `regression` one number for each. */
export class BertClassifierNetwork extends TaskNetwork {
  readonly parameters = new Parameters();
  readonly #bert: Bert;
  readonly #head: ClassifierHead;

  constructor(readonly config: BertConfig & { readonly task: { readonly classes: number } | 'regression' }) {
    super();
    const { scope } = this.parameters;
    const { task } = config;
    this.#bert = new Bert(scope.child('bert'), config, { pooler: true });
    this.#head = new ClassifierHead(scope, config, task === 'regression' ? 1 : task.classes);
  }

  /**
   * Reads the input `labels` [B]; predictions are logits [B, classes]. In regression labels are numbers, predictions [B, 1], and the input
   * `counts` [B] is 1 for rows that count and 0 for others.
   */
  outputs(graph: Graph, shape: BatchShape, denominator: Tensor, mode: Mode): TaskOutputs {
    const pooled = this.#bert.pool(this.#bert.forward(graph, encoderInputs(graph, shape), mode));
    const predictions = this.#head.forward(pooled, mode);
    const loss = graph.within('loss', () =>
      this.config.task === 'regression'
        ? squaredError(predictions, denominator)
        : crossEntropy(predictions, graph.input('labels', [shape.batch], 'i32'), denominator),
    );
    return { loss, predictions };
  }
}

/** Σ counts · (predictions − labels)² / denominator. */
function squaredError(predictions: Tensor, denominator: Tensor): Tensor {
  const { graph, shape } = predictions;
  const difference = subtract(predictions, graph.input('labels', shape));
  return divideBy(sum(mul(graph.input('counts', shape), mul(difference, difference))), denominator);
}

/** A class for each position. */
export class BertLabellerNetwork extends TaskNetwork {
  readonly parameters = new Parameters();
  readonly #bert: Bert;
  readonly #head: ClassifierHead;

  constructor(readonly config: BertConfig & { readonly classes: number }) {
    super();
    const { scope } = this.parameters;
    this.#bert = new Bert(scope.child('bert'), config);
    this.#head = new ClassifierHead(scope, config, config.classes);
  }

  /** Reads the input `labels` [B · T]; predictions are logits [B · T, classes]. */
  outputs(graph: Graph, shape: BatchShape, denominator: Tensor, mode: Mode): TaskOutputs {
    const hidden = this.#bert.forward(graph, encoderInputs(graph, shape), mode);
    const predictions = this.#head.forward(rowsOf(hidden), mode);
    const labels = graph.input('labels', [shape.batch * shape.time], 'i32');
    return { loss: graph.within('loss', () => crossEntropy(predictions, labels, denominator)), predictions };
  }
}
