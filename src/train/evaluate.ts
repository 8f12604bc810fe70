/** Evaluation: the mean loss over batches, with no gradient, no dropout and no change of the model. */

import type { Result } from '../backends/executor.js';
import { type Model, shapeKey } from './model.js';
import type { Batch } from './trainer.js';

export interface Evaluation {
  /** Mean over all labels, in nats. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** Labels that counted. */
  readonly labels: number;
}

/** Evaluates a model on batches; the state carried from batch to batch is not the one that training carries. */
export async function evaluate(
  model: Model,
  batches: Iterable<Batch> | AsyncIterable<Batch>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Evaluation> {
  let total = 0;
  let labels = 0;
  // Several evaluations may go on at once: each carries its own state in and out of the heap.
  let carried: Result | undefined;
  for await (const batch of batches) {
    if (signal?.aborted) break;
    const state = await model.state('evaluation state', batch.batch);
    const program = model.programs.get(`evaluate ${shapeKey(batch)}`, (graph) => {
      const { loss, next } = model.network.loss(graph, batch, state, model.scalar(graph, 'lossDenominator'), {});
      graph.output('loss', loss);
      for (const [index, variable] of state.variables.entries()) {
        const value = next[index];
        if (value !== undefined) graph.assign(variable, value);
      }
    });
    const count = Math.max(1, batch.labelCount);
    const { loss } = await model.engine.use(async (session) => {
      const isNew = batch.first || carried === undefined;
      await Promise.all([
        isNew ? session.clear(state) : session.write(state.whole, carried as Result),
        model.writeScalars(session, { lossDenominator: count }),
      ]);
      const results = await session.run(program, batch.inputs);
      carried = await session.read(state.whole);
      return results;
    });
    total += (loss?.[0] as number) * count;
    labels += batch.labelCount;
  }
  const loss = total / labels;
  return { loss, perplexity: Math.exp(loss), labels };
}
