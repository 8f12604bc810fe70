/** A network whose gradient is known: loss = Σ w·x / denominator for parameters w, so ∂loss/∂w = x / denominator. */
import type { Graph } from '../../src/graph/graph.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { Parameters } from '../../src/nn/parameters.js';
import { concat, reshape } from '../../src/ops/copy.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import { mul } from '../../src/ops/elementwise.js';
import { matmul } from '../../src/ops/matmul.js';
import { sum } from '../../src/ops/reduce.js';
import { Arena } from '../../src/program/variable.js';
import type { BatchShape, Network } from '../../src/train/model.js';
import type { Batch } from '../../src/train/trainer.js';

export class LinearNetwork implements Network {
  readonly parameters = new Parameters();

  constructor(readonly shapes: Readonly<Record<string, readonly number[]>>) {
    for (const [name, shape] of Object.entries(shapes)) {
      this.parameters.add(name, shape, { kind: 'uniform', low: -1, high: 1 });
    }
  }

  get count(): number {
    return this.parameters.count;
  }

  stateArena(name: string): Arena {
    return new Arena(name);
  }

  loss(graph: Graph, _shape: BatchShape, _state: Arena, _denominator: Tensor): { loss: Tensor; next: Tensor[] } {
    const flat = this.parameters.arena.variables.map((variable) => reshape(graph.read(variable), [variable.elements]));
    return { loss: sum(mul(concat(flat, 0), graph.input('x', [this.count]))), next: [] };
  }

  /** A batch with which the gradient is `x`. */
  batch(x: readonly number[]): Batch {
    return { inputs: { x }, time: 1, batch: 1, labelCount: 1, first: false };
  }
}

/** Softmax regression over rows of inputs: logits = x·W. Its loss is a mean over labels, so micro-batches must add up. */
export class SoftmaxNetwork implements Network {
  readonly parameters = new Parameters();
  readonly weight = this.parameters.add('weight', [5, 3], { kind: 'uniform', low: -1, high: 1 });

  stateArena(name: string): Arena {
    return new Arena(name);
  }

  loss(graph: Graph, { batch }: BatchShape, _state: Arena, denominator: Tensor): { loss: Tensor; next: Tensor[] } {
    const logits = matmul(graph.input('x', [batch, 5]), graph.read(this.weight));
    return { loss: crossEntropy(logits, graph.input('labels', [batch], 'i32'), denominator), next: [] };
  }
}
