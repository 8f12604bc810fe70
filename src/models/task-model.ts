/** What the models of tasks without carried state share: batches in, loss and predictions out. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import type { Mode } from '../nn/mode.js';
import { Arena } from '../program/variable.js';
import { type BatchShape, type Model, type Network, shapeKey } from '../train/model.js';
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
  /** T and B of the batch. */
  readonly time: number;
  readonly rows: number;
}

/** Options of everything that goes over data without training. */
export interface PassOptions {
  /** Rows that are computed together. */
  readonly batch?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Loss and predictions of one batch, without dropout. */
export async function computeBatch(
  model: Model<TaskNetwork>,
  { inputs, labelCount, first: _, ...shape }: Batch,
): Promise<BatchResult> {
  const program = model.programs.get(`outputs ${shapeKey(shape)}`, (graph) => {
    const outputs = model.network.outputs(graph, shape, model.scalar(graph, 'lossDenominator'), {});
    for (const [name, tensor] of Object.entries(outputs)) graph.output(name, tensor);
  });
  return model.engine.use(async (session) => {
    await model.writeScalars(session, { lossDenominator: 1 });
    const { loss, predictions } = await session.run(program, inputs);
    return {
      loss: labelCount === 0 ? 0 : (loss?.[0] as number),
      predictions: predictions ?? [],
      time: shape.time,
      rows: shape.batch,
    };
  });
}

export abstract class TaskModel<N extends TaskNetwork> extends SavedModel<N> {
  protected compute(batch: Batch): Promise<BatchResult> {
    return computeBatch(this, batch);
  }
}
