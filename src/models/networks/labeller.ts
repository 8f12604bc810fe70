/** A sequence labeller: embedding → recurrence → linear head over the labels, at every step. */
import type { Graph } from '../../graph/graph.js';
import type { Tensor } from '../../graph/tensor.js';
import { dropoutSteps } from '../../nn/dropout.js';
import { Linear } from '../../nn/linear.js';
import type { Mode } from '../../nn/mode.js';
import { Parameters } from '../../nn/parameters.js';
import { crossEntropy, reshape } from '../../ops/index.js';
import type { BatchShape } from '../../train/model.js';
import { TaskNetwork, type TaskOutputs } from '../task-model.js';
import { TokenEncoder, type TokenEncoderConfig } from './tokens.js';

export interface LabellerConfig extends TokenEncoderConfig {
  readonly classes: number;
}

export class LabellerNetwork extends TaskNetwork {
  readonly parameters = new Parameters();
  readonly #encoder: TokenEncoder;
  readonly #head: Linear;
  readonly #stream: number;

  constructor(readonly config: LabellerConfig) {
    super();
    const { scope } = this.parameters;
    this.#encoder = new TokenEncoder(scope, config);
    this.#head = new Linear(scope.child('head'), { inputSize: this.#encoder.outputSize, outputSize: config.classes });
    this.#stream = scope.nextStream();
  }

  /** Reads `tokens` [T, B], `lengths` [B] and `labels` [T · B]; predictions are logits [T · B, classes]. */
  outputs(graph: Graph, shape: BatchShape, denominator: Tensor, mode: Mode): TaskOutputs {
    const steps = shape.time * shape.batch;
    const { dropout: rate, variationalDropout: variational = false } = this.config;
    const { result } = this.#encoder.forward(graph, shape, mode);
    const logits = graph.within('head', () =>
      this.#head.forward(dropoutSteps(result.output, { rate, variational }, mode, this.#stream)),
    );
    const predictions = reshape(logits, [steps, this.config.classes]);
    const labels = graph.input('labels', [steps], 'i32');
    return { loss: graph.within('loss', () => crossEntropy(predictions, labels, denominator)), predictions };
  }
}
