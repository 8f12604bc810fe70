/** What the models of tasks without carried state share: batches in, loss and predictions out. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import type { Mode } from '../nn/mode.js';
import { Arena } from '../program/variable.js';
import { type BatchShape, type Network, shapeKey } from '../train/model.js';
import type { Batch } from '../train/trainer.js';
import { SavedModel } from './saved-model.js';

export interface TaskOutputs {
  /** [1], divided by the denominator. */
  readonly loss: Tensor;
  readonly predictions: Tensor;
}

/** A network without a state that batches carry; its loss and its predictions come from one trace. */
export abstract class TaskNetwork implements Network {
  abstract readonly parameters: Network['parameters'];

  abstract outputs(graph: Graph, shape: BatchShape, denominator: Tensor, mode: Mode): TaskOutputs;

  stateArena(name: string): Arena {
    return new Arena(name);
  }

  loss(graph: Graph, shape: BatchShape, _state: Arena, denominator: Tensor, mode: Mode): { loss: Tensor; next: [] } {
    return { loss: this.outputs(graph, shape, denominator, mode).loss, next: [] };
  }
}

export interface BatchResult {
  /** Sum over the labels that count. */
  readonly loss: number;
  readonly predictions: ArrayLike<number>;
}

/** Options of everything that goes over data without training. */
export interface PassOptions {
  /** Rows that are computed together. */
  readonly batch?: number;
  readonly signal?: AbortSignal | undefined;
}

export abstract class TaskModel<N extends TaskNetwork> extends SavedModel<N> {
  /** Loss and predictions of one batch, without dropout. */
  protected async compute({ inputs, labelCount, first: _, ...shape }: Batch): Promise<BatchResult> {
    const program = this.programs.get(`outputs ${shapeKey(shape)}`, (graph) => {
      const outputs = this.network.outputs(graph, shape, this.scalar(graph, 'lossDenominator'), {});
      for (const [name, tensor] of Object.entries(outputs)) graph.output(name, tensor);
    });
    return this.engine.use(async (session) => {
      await this.writeScalars(session, { lossDenominator: 1 });
      const { loss, predictions } = await session.run(program, inputs);
      return { loss: labelCount === 0 ? 0 : (loss?.[0] as number), predictions: predictions ?? [] };
    });
  }
}
