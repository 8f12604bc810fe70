/** A linear layer, with PyTorch's names, layout and initial distribution. */
import type { Tensor } from '../graph/tensor.js';
import { linear } from '../ops/matmul.js';
import type { Variable } from '../program/variable.js';
import { constant, normally, type Scope, within } from './parameters.js';

export interface LinearConfig {
  readonly inputSize: number;
  readonly outputSize: number;
  /** Default true. */
  readonly bias?: boolean;
  /** A parameter [outputSize, inputSize] of another module that serves here too. */
  readonly weight?: Variable;
  /** Standard deviation of W, which starts normal, and b 0. Default: W and b start uniform within 1 / √inputSize. */
  readonly deviation?: number;
}

/** y [..., outputSize] = x [..., inputSize] · Wᵀ + b. */
export class Linear {
  readonly weight: Variable;
  readonly bias: Variable | undefined;

  constructor(scope: Scope, { inputSize, outputSize, bias = true, weight, deviation }: LinearConfig) {
    const bound = within(1 / Math.sqrt(inputSize));
    const [initialWeight, initialBias] = deviation === undefined ? [bound, bound] : [normally(deviation), constant(0)];
    this.weight = weight ?? scope.parameter('weight', [outputSize, inputSize], initialWeight);
    this.bias = bias ? scope.parameter('bias', [outputSize], initialBias) : undefined;
  }

  forward(x: Tensor): Tensor {
    const { graph } = x;
    return linear(x, graph.read(this.weight), this.bias && graph.read(this.bias));
  }
}
