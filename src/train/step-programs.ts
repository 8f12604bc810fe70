/**
 * What a training step runs, traced and planned once for each shape: a program that accumulates loss and gradients of a micro-batch, and one
 * that updates parameters and carried state; and the memory both need beside the model's.
 */
import { differentiate } from '../graph/differentiate.js';
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { type Part, partsOf } from '../nn/parameters.js';
import { concat, full } from '../ops/copy.js';
import { type Clip, clipByNorm, clipByValue } from '../ops/optimizer.js';
import { squaredNorm } from '../ops/reduce.js';
import type { SegmentTable } from '../optim/groups.js';
import type { Optimizer } from '../optim/optimizer.js';
import type { Dtype } from '../program/dtype.js';
import { inSequence, type Program } from '../program/program.js';
import { Arena, type Variable } from '../program/variable.js';
import { type BatchShape, type Model, shapeKey } from './model.js';
import { ProgramCache } from './program-cache.js';

/** The state that batches carry: what a step starts from, and what it would leave. */
export interface CarriedState {
  readonly current: Arena;
  readonly next: Arena;
}

/** Where a micro-batch stands in its step. */
export type Turn = 'first' | 'later';

export class StepPrograms {
  readonly gradients: Arena;
  readonly moments: readonly Arena[];
  readonly #tables = new Arena('optimizer tables');
  readonly #segments;
  readonly #groups;
  readonly #model: Model;
  readonly #optimizer: Optimizer;
  readonly #table: SegmentTable;
  readonly #clipValue: number;
  readonly #cache: ProgramCache;
  /** By the program of their micro-batch. */
  readonly #last = new WeakMap<Program, Program>();

  constructor(model: Model, optimizer: Optimizer, table: SegmentTable, clipValue: number, dtype: Dtype) {
    const { arena } = model.network.parameters;
    this.#model = model;
    this.#optimizer = optimizer;
    this.#table = table;
    this.#clipValue = clipValue;
    this.#cache = new ProgramCache(dtype);
    this.gradients = arena.like('gradients');
    this.moments = optimizer.moments.map((name) => arena.like(name));
    this.#segments = this.#tables.add('segments', [table.segments.length / 4, 4], 'i32');
    this.#groups = this.#tables.add('groups', [table.groups.length / 2, 2]);
  }

  /** Time spent tracing and planning so far. */
  get planningMilliseconds(): number {
    return this.#cache.planningMilliseconds;
  }

  /** Arenas that training adds to the model's. */
  get arenas(): readonly Arena[] {
    return [this.gradients, ...this.moments, this.#tables];
  }

  /** Gives the arenas their memory. @throws OutOfMemoryError */
  async place(): Promise<void> {
    const { engine } = this.#model;
    await engine.place(...this.arenas);
    await engine.use((session) =>
      Promise.all([
        session.write(this.#segments, this.#table.segments),
        session.write(this.#groups, this.#table.groups),
      ]),
    );
  }

  /** Loss and gradients of one micro-batch. The first writes the gradient arena, later ones add to it. */
  accumulate(shape: BatchShape, turn: Turn, { current, next }: CarriedState): Program {
    const { network } = this.#model;
    return this.#cache.get(`accumulate ${shapeKey(shape)}, ${turn}`, (graph) => {
      const state = turn === 'first' ? current : next;
      const mode = { random: graph.read(this.#model.random) };
      const denominator = this.#model.scalar(graph, 'lossDenominator');
      const { loss, next: nextState, penalty } = network.loss(graph, shape, state, denominator, mode);
      graph.output('loss', loss);
      for (const [index, variable] of next.variables.entries()) {
        const value = nextState[index];
        if (value !== undefined) graph.assign(variable, value);
      }
      this.#assignGradients(graph, penalty === undefined ? [loss] : [loss, penalty], turn);
    });
  }

  #assignGradients(graph: Graph, objective: readonly Tensor[], turn: Turn): void {
    const targets = new Map<Tensor, Variable>();
    for (const [index, block] of this.#model.network.parameters.arena.blocks.entries()) {
      const isTrained = partsOf(block).some(({ variable }) => !this.#table.frozen.has(variable.name));
      if (isTrained) targets.set(graph.read(block), this.gradients.blocks[index] as Variable);
    }
    const onto =
      turn === 'first' ? new Map() : new Map([...targets].map(([tensor, gradient]) => [tensor, graph.read(gradient)]));
    const from = new Map(objective.map((tensor) => [tensor, full(graph, [1], 1)]));
    const gradients = differentiate(graph, { from, to: targets.keys(), onto });
    for (const [tensor, variable] of targets) {
      const gradient = gradients.get(tensor);
      if (gradient !== undefined) graph.assign(variable, this.#withoutFrozen(gradient, variable));
      else if (turn === 'first') graph.assign(variable, full(graph, variable.shape, 0));
    }
  }

  /** A gradient that is 0 in those parts of a variable that are frozen. */
  #withoutFrozen(gradient: Tensor, block: Variable): Tensor {
    const parts = partsOf(block);
    const isFrozen = ({ variable }: Part): boolean => this.#table.frozen.has(variable.name);
    if (!parts.some(isFrozen)) return gradient;
    const kept = parts.map((part) =>
      isFrozen(part) ? full(gradient.graph, part.variable.shape, 0) : part.select(gradient),
    );
    return concat(kept, 0);
  }

  /** `accumulate` for the last micro-batch of a step, and then `update`: one run, one way there and back. */
  last(shape: BatchShape, turn: Turn, states: CarriedState): Program {
    const accumulate = this.accumulate(shape, turn, states);
    const known = this.#last.get(accumulate);
    if (known !== undefined) return known;
    const both = inSequence(accumulate, this.update(states));
    this.#last.set(accumulate, both);
    return both;
  }

  /** The norm of all gradients, clipping, the optimizer's update, and the carried state, all if the norm is finite. */
  update({ current, next }: CarriedState): Program {
    return this.#cache.get(`update, ${current.name}`, (graph) => {
      const { arena } = this.#model.network.parameters;
      const { gradients, clip } = this.#clip(graph);
      const moments = this.moments.map(({ whole }) => whole);
      const updated = this.#optimizer.update(
        {
          parameters: graph.read(arena.whole),
          gradients,
          segments: graph.read(this.#segments),
          groups: graph.read(this.#groups),
          scalars: graph.read(this.#model.scalars),
          clip,
        },
        moments.map((moment) => graph.read(moment)),
      );
      graph.assign(arena.whole, updated.parameters);
      for (const [index, moment] of moments.entries()) {
        const value = updated.state[index];
        if (value !== undefined) graph.assign(moment, value);
      }
      if (current.elements > 0) graph.assign(current.whole, graph.read(next.whole), clip.finite);
      for (const [name, tensor] of Object.entries(clip)) graph.output(name, tensor);
    });
  }

  /** The gradients with their elements limited, what is to be done about the norm of these, and the norm from before. */
  #clip(graph: Graph): { gradients: Tensor; clip: Clip } {
    const gradients = graph.read(this.gradients.whole);
    const maxNorm = this.#model.scalar(graph, 'maxNorm');
    const clip = clipByNorm(squaredNorm(gradients), maxNorm);
    if (this.#clipValue === Number.POSITIVE_INFINITY) return { gradients, clip };
    const limited = clipByValue(gradients, this.#clipValue);
    graph.assign(this.gradients.whole, limited); // in place
    return { gradients: limited, clip: { ...clip, factor: clipByNorm(squaredNorm(limited), maxNorm).factor } };
  }
}
