/** A forecaster: recurrence over a window of numbers → its last state → linear head over all values to forecast. */
import type { Graph } from '../../graph/graph.js';
import type { Tensor } from '../../graph/tensor.js';
import { dropoutSteps } from '../../nn/dropout.js';
import { Linear } from '../../nn/linear.js';
import type { Mode } from '../../nn/mode.js';
import { Parameters } from '../../nn/parameters.js';
import { pool, Recurrent } from '../../nn/recurrent.js';
import { add, divideBy, mul, relu, scale, slice, subtract, sum } from '../../ops/index.js';
import type { BatchShape } from '../../train/model.js';
import { type RecurrentSettings, recurrentIn } from '../recurrent-options.js';
import { TaskNetwork, type TaskOutputs } from '../task-model.js';

/** What forecasts are trained for: the mean (mse), the median (mae), or quantiles. */
export type ForecastLoss = 'mse' | 'mae' | 'quantile';

export interface ForecasterConfig extends RecurrentSettings {
  /** Numbers at each step, F. */
  readonly inputSize: number;
  /** Numbers to forecast, K: horizon · targets. */
  readonly outputSize: number;
  readonly loss: ForecastLoss;
  /** Of the quantile loss, each between 0 and 1. */
  readonly quantiles: readonly number[];
}

/**
 * Σ of the pinball loss (Koenker & Bassett 1978): q · d where the value is above the forecast, (1 − q) · −d where it is below, with
 * d = value − forecast.
 */
const pinball = (difference: Tensor, quantile: number): Tensor =>
  add(sum(scale(relu(difference), quantile)), sum(scale(relu(scale(difference, -1)), 1 - quantile)));

export class ForecasterNetwork extends TaskNetwork {
  readonly parameters = new Parameters();
  readonly #recurrent: Recurrent;
  readonly #head: Linear;
  readonly #stream: number;

  constructor(readonly config: ForecasterConfig) {
    super();
    const { kind, inputSize, outputSize, quantiles, loss } = config;
    const { scope } = this.parameters;
    this.#recurrent = new Recurrent(scope.child(kind), { ...recurrentIn(config), inputSize });
    this.#head = new Linear(scope.child('head'), {
      inputSize: this.#recurrent.outputSize,
      outputSize: outputSize * (loss === 'quantile' ? quantiles.length : 1),
    });
    this.#stream = scope.nextStream();
  }

  /** Reads `x` [T, B, F] and `targets` [B, K]; predictions are [B, K], or [B, quantiles · K] with the quantile loss. */
  outputs(graph: Graph, { time, batch }: BatchShape, denominator: Tensor, mode: Mode): TaskOutputs {
    const { kind, inputSize, outputSize, dropout: rate } = this.config;
    const x = graph.input('x', [time, batch, inputSize]);
    const targets = graph.input('targets', [batch, outputSize]);
    const result = graph.within(kind, () => this.#recurrent.forward(x, {}, mode));
    const predictions = graph.within('head', () =>
      this.#head.forward(dropoutSteps(pool('last', result), { rate }, mode, this.#stream)),
    );
    const loss = graph.within('loss', () => divideBy(this.#total(predictions, targets), denominator));
    return { loss, predictions };
  }

  /** The loss [1], summed over all values. */
  #total(predictions: Tensor, targets: Tensor): Tensor {
    const { loss, quantiles, outputSize: K } = this.config;
    const difference = (forecast: Tensor): Tensor => subtract(targets, forecast);
    if (loss === 'mse') {
      const d = difference(predictions);
      return sum(mul(d, d));
    }
    if (loss === 'mae') return scale(pinball(difference(predictions), 0.5), 2);
    const losses = quantiles.map((quantile, index) =>
      pinball(difference(slice(predictions, 1, index * K, (index + 1) * K)), quantile),
    );
    return scale(losses.reduce(add), 1 / quantiles.length);
  }
}
