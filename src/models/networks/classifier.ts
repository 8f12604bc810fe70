/** A sequence classifier: embedding → recurrence → pooling over time → linear head over the classes. */
import type { Graph } from '../../graph/graph.js';
import type { Tensor } from '../../graph/tensor.js';
import { dropoutSteps } from '../../nn/dropout.js';
import { Linear } from '../../nn/linear.js';
import type { Mode } from '../../nn/mode.js';
import { Parameters } from '../../nn/parameters.js';
import { pool } from '../../nn/recurrent.js';
import { crossEntropy } from '../../ops/index.js';
import type { BatchShape } from '../../train/model.js';
import { TaskNetwork, type TaskOutputs } from '../task-model.js';
import { TokenEncoder, type TokenEncoderConfig } from './tokens.js';

/** What stands for a whole sequence: the last state of each direction, or the mean or maximum of all states. */
export type Pooling = 'last' | 'mean' | 'max';

export interface ClassifierConfig extends TokenEncoderConfig {
  readonly classes: number;
  readonly pooling: Pooling;
}

export class ClassifierNetwork extends TaskNetwork {
  readonly parameters = new Parameters();
  readonly #encoder: TokenEncoder;
  readonly #head: Linear;
  readonly #stream: number;

  constructor(readonly config: ClassifierConfig) {
    super();
    const { scope } = this.parameters;
    this.#encoder = new TokenEncoder(scope, config);
    this.#head = new Linear(scope.child('head'), { inputSize: this.#encoder.outputSize, outputSize: config.classes });
    this.#stream = scope.nextStream();
  }

  /** Reads `tokens` [T, B], `lengths` [B] and `labels` [B]; predictions are logits [B, classes]. */
  outputs(graph: Graph, shape: BatchShape, denominator: Tensor, mode: Mode): TaskOutputs {
    const { result, lengths } = this.#encoder.forward(graph, shape, mode);
    const pooled = graph.within('pooling', () => pool(this.config.pooling, result, lengths));
    const predictions = graph.within('head', () =>
      this.#head.forward(dropoutSteps(pooled, { rate: this.config.dropout }, mode, this.#stream)),
    );
    const labels = graph.input('labels', [shape.batch], 'i32');
    return { loss: graph.within('loss', () => crossEntropy(predictions, labels, denominator)), predictions };
  }
}
