/** A linear layer, with PyTorch's names, layout and initial distribution. */
import type { Tensor } from '../graph/tensor.js';
import { linear } from '../ops/matmul.js';
import type { Variable } from '../program/variable.js';
import { type Scope, within } from './parameters.js';

export interface LinearConfig {
  readonly inputSize: number;
  readonly outputSize: number;
  /** Default true. */
  readonly bias?: boolean;
  /** A parameter [outputSize, inputSize] of another module that serves here too. */
  readonly weight?: Variable;
}

/** y [..., outputSize] = x [..., inputSize] · Wᵀ + b; W and b start uniform within 1 / √inputSize. */
export class Linear {
  readonly weight: Variable;
  readonly bias: Variable | undefined;

  constructor(scope: Scope, { inputSize, outputSize, bias = true, weight }: LinearConfig) {
    const bound = within(1 / Math.sqrt(inputSize));
    this.weight = weight ?? scope.parameter('weight', [outputSize, inputSize], bound);
    this.bias = bias ? scope.parameter('bias', [outputSize], bound) : undefined;
  }

  forward(x: Tensor): Tensor {
    const { graph } = x;
    return linear(x, graph.read(this.weight), this.bias && graph.read(this.bias));
  }
}
