/** Looking into a model: values and gradients by name, for batches that go through it without changing it. */
import type { Result, Values } from '../backends/executor.js';
import { swapFirstAxes } from '../data/swap-axes.js';
import { differentiate } from '../graph/differentiate.js';
import type { Graph, Probe } from '../graph/graph.js';
import { partsOf } from '../nn/parameters.js';
import { full } from '../ops/copy.js';
import { OptionError, suggestion } from '../program/options.js';
import type { Arena } from '../program/variable.js';
import { type Model, shapeKey } from '../train/model.js';
import type { Batch } from '../train/trainer.js';
import type { NamedArray, NamedArrays } from './named-arrays.js';

const GRADIENT = 'grad.';

/**
 * Runs batches one after another, state carried from each to the next, and hands out what is asked for by name: the `loss`, values such as
 * `lstm.l0.forget_gate`, and gradients, `grad.` before the name of a value or of a parameter (`grad.lstm.weight_hh_l0`). A gradient is that
 * of the mean loss over the labels of all batches, everything later in its own batch included; 0 where nothing depends on the value.
 * Sequences come batch first, [B, T, ·]. Dropout is off.
 * @returns for each batch the arrays by name.
 * @throws OptionError for a name that the model does not have.
 */
export async function inspect(
  model: Model,
  batches: readonly Batch[],
  names: readonly string[],
): Promise<NamedArrays[]> {
  const labels = batches.reduce((sum, { labelCount }) => sum + labelCount, 0);
  const seen: NamedArrays[] = [];
  // Several inspections may go on at once: each carries its own state in and out of the heap.
  let carried: Result | undefined;
  for (const batch of batches) {
    const state = await model.state('inspected state', batch.batch);
    const program = model.programs.get(`inspect ${names.join()} ${shapeKey(batch)}`, (graph) =>
      trace(graph, model, batch, state, names),
    );
    const results = await model.engine.use(async (session) => {
      const isNew = batch.first || carried === undefined;
      await Promise.all([
        isNew ? session.clear(state) : session.write(state.whole, carried as Values),
        model.writeScalars(session, { lossDenominator: Math.max(1, labels) }),
      ]);
      const outputs = await session.run(program, batch.inputs);
      carried = await session.read(state.whole);
      return outputs;
    });
    seen.push(
      new Map(
        [...program.outputs].map(([name, { shape }]) => [name, batchFirst({ shape, values: results[name] as Result })]),
      ),
    );
  }
  return seen;
}

/** Loss and new state as in training, and everything asked for as an output of the graph. */
function trace(graph: Graph, model: Model, batch: Batch, state: Arena, names: readonly string[]): void {
  const denominator = model.scalar(graph, 'lossDenominator');
  const { loss, next, penalty } = model.network.loss(graph, batch, state, denominator, {});
  for (const [index, variable] of state.variables.entries()) {
    const value = next[index];
    if (value !== undefined) graph.assign(variable, value);
  }
  graph.probe('loss', loss);
  for (const block of model.network.parameters.arena.blocks) {
    const whole = graph.read(block);
    for (const { variable, select } of partsOf(block)) graph.probe(variable.name, whole, select);
  }

  const asked = names.map((name) => [name, probeOf(graph, name)] as const);
  const targets = asked.filter(([name]) => name.startsWith(GRADIENT)).map(([, { of }]) => of);
  const one = full(graph, [1], 1);
  const from = new Map((penalty === undefined ? [loss] : [loss, penalty]).map((tensor) => [tensor, one]));
  const gradients = differentiate(graph, { from, to: targets });
  for (const [name, { of, select }] of asked) {
    const whole = name.startsWith(GRADIENT) ? (gradients.get(of) ?? full(graph, of.shape, 0)) : of;
    graph.output(name, select(whole));
  }
}

function probeOf(graph: Graph, name: string): Probe {
  const value = name.startsWith(GRADIENT) ? name.slice(GRADIENT.length) : name;
  const probe = graph.probes.get(value);
  if (probe !== undefined) return probe;
  throw new OptionError(`inspect: unknown name \`${name}\`${suggestion(value, [...graph.probes.keys()])}`);
}

/** What is inside time-major, [T, B, ·], is batch first outside. */
const batchFirst = (array: NamedArray): NamedArray => {
  const [T, B, ...rest] = array.shape;
  return rest.length === 1 ? { shape: [B as number, T as number, ...rest], values: swapFirstAxes(array) } : array;
};

/** The norm of a sequence [B, T, ·] at each of its steps, over all rows: how much of a gradient reaches step t, for one. */
export function stepNorms({ shape, values }: NamedArray): number[] {
  const [B = 0, T = 0, size = 0] = shape;
  if (shape.length !== 3) throw new TypeError(`stepNorms: Expected [B, T, ·] but received [${shape.join(', ')}]`);
  return Array.from({ length: T }, (_, t) => {
    let sum = 0;
    for (let b = 0; b < B; b++) {
      for (let i = 0; i < size; i++) sum += (values[(b * T + t) * size + i] as number) ** 2;
    }
    return Math.sqrt(sum);
  });
}
