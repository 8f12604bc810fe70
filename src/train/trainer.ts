/**
 * Training: a step runs one accumulate program for each micro-batch (loss and gradients) and one update program (norm, clipping,
 * optimizer, carried state). The update happens only where the gradient norm is finite, so a step that went wrong changed nothing
 * and is replayed to say where.
 */
import type { Session, Values } from '../backends/engine.js';
import { differentiate } from '../graph/differentiate.js';
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { full } from '../ops/copy.js';
import { clipByNorm } from '../ops/optimizer.js';
import { squaredNorm } from '../ops/reduce.js';
import { type ParameterGroup, segmentTable } from '../optim/groups.js';
import { createOptimizer, type OptimizerOptions } from '../optim/optimizer.js';
import {
  above,
  aFunction,
  anything,
  atLeast,
  checkOptions,
  either,
  fraction,
  OptionError,
  type Rule,
  wholeNumber,
} from '../program/options.js';
import type { Program } from '../program/program.js';
import { Arena } from '../program/variable.js';
import { locateNonFinite, type NonFinite } from './locate.js';
import type { BatchShape, Model } from './model.js';
import { ProgramCache } from './programs.js';

export interface TrainerOptions {
  /** Step size, or a function of the step (from 1). Default 1e-3. */
  readonly learningRate?: number | ((step: number) => number);
  /** Decoupled weight decay (L2 for SGD). Default 0.01. */
  readonly weightDecay?: number;
  /** Largest global gradient norm; Infinity switches clipping off. Default 1. */
  readonly clipNorm?: number;
  /** Default AdamW. */
  readonly optimizer?: OptimizerOptions;
  /** Parameters that decay, learn or stay differently. */
  readonly groups?: readonly ParameterGroup[];
  /** Batches whose gradients are summed for one step. Default 1. */
  readonly microBatches?: number;
  /** Of dropout. Default 1. */
  readonly seed?: number;
}

/** What one micro-batch brings. */
export interface Batch extends BatchShape {
  readonly inputs: Readonly<Record<string, Values>>;
  /** Labels that count. */
  readonly labelCount: number;
  /** Whether the carried state starts from zero here. */
  readonly first: boolean;
}

export interface TrainingStep {
  /** From 1. */
  readonly step: number;
  /** Mean over the labels of the step, in nats. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** What the gradients were multiplied by. */
  readonly clipFactor: number;
  readonly learningRate: number;
  /** Labels of the step. */
  readonly tokens: number;
  readonly milliseconds: number;
}

/** A loss or gradient that is not a finite number: which step, and where it began. Nothing was changed by that step. */
export class NonFiniteError extends Error {
  readonly code = 'ERR_SEQGRAD_NON_FINITE';
  override readonly name = 'NonFiniteError';

  constructor(
    readonly step: number,
    /** Undefined where every value is finite and only the squared norm leaves float32. */
    readonly where: NonFinite | undefined,
  ) {
    super(
      where === undefined
        ? `step ${step}: Expected a finite gradient norm but it is too large for float32: lower the learning rate or clipNorm`
        : `step ${step}: Expected finite numbers but ${where.label} ${where.instruction} gave ${where.value} in \`${where.operand}\`` +
            `${where.position === '' ? '' : ` at ${where.position}`}. The parameters are those of step ${step - 1}.`,
    );
  }
}

const rules = {
  learningRate: either(above(0), aFunction),
  weightDecay: atLeast(0),
  clipNorm: above(0),
  optimizer: anything,
  groups: anything,
  microBatches: wholeNumber(1),
  seed: wholeNumber(0),
};

const betas: Rule = {
  expected: 'two numbers from 0 to below 1',
  accepts: (value) => Array.isArray(value) && value.length === 2 && value.every(fraction.accepts),
};

const optimizerRules = {
  adamw: { kind: anything, betas, epsilon: above(0) },
  sgd: { kind: anything, momentum: atLeast(0) },
};

const groupRules = {
  match: { expected: 'a regular expression', accepts: (value: unknown) => value instanceof RegExp },
  rateFactor: atLeast(0),
  weightDecay: atLeast(0),
  frozen: { expected: 'true or false', accepts: (value: unknown) => typeof value === 'boolean' },
};

/** The state that batches carry: what a step starts from, and what it would leave. */
interface CarriedState {
  readonly current: Arena;
  readonly next: Arena;
}

/** Where a micro-batch stands in its step. */
type Turn = 'first' | 'later';

export class Trainer {
  readonly #settings: Required<TrainerOptions>;
  readonly #optimizer;
  readonly #table;
  readonly #gradients: Arena;
  readonly #moments: readonly Arena[];
  readonly #tables = new Arena('optimizer tables');
  readonly #segments;
  readonly #groups;
  readonly #programs = new ProgramCache();
  #step = 0;
  #placed: Promise<void> | undefined;

  /**
   * @throws OptionError naming the option, what was expected and what came.
   */
  constructor(
    readonly model: Model,
    options: TrainerOptions = {},
  ) {
    checkOptions('Trainer', options, rules);
    this.#settings = {
      learningRate: 1e-3,
      weightDecay: 0.01,
      clipNorm: 1,
      optimizer: { kind: 'adamw' },
      groups: [],
      microBatches: 1,
      seed: 1,
      ...options,
    };
    const { optimizer, groups, weightDecay } = this.#settings;
    const known = optimizerRules[optimizer.kind];
    if (known === undefined)
      throw new OptionError(`Trainer: Expected \`optimizer.kind\` to be adamw or sgd but received ${optimizer.kind}`);
    checkOptions('Trainer optimizer', optimizer, known);
    for (const [index, group] of groups.entries()) {
      checkOptions(`Trainer groups[${index}]`, Object.assign({ match: null }, group), groupRules);
    }
    const { arena } = model.network.parameters;
    this.#optimizer = createOptimizer(optimizer);
    this.#table = segmentTable(arena, groups, weightDecay);
    this.#gradients = arena.like('gradients');
    this.#moments = this.#optimizer.moments.map((name) => arena.like(name));
    this.#segments = this.#tables.add('segments', [this.#table.segments.length / 4, 4], 'i32');
    this.#groups = this.#tables.add('groups', [this.#table.groups.length / 2, 2]);
  }

  /** Steps taken so far. */
  get step(): number {
    return this.#step;
  }

  /**
   * Trains on batches as they come, one step for each `microBatches` of them, and yields after every step.
   * A generator of batches stays open: a later call goes on with it.
   * Stops after `steps` steps, when the batches end, or when `signal` aborts (then after a whole step, without an error).
   * @throws NonFiniteError naming step, layer, gate and time step; the model is then as it was before that step.
   */
  async *train(
    batches: Iterable<Batch> | AsyncIterable<Batch>,
    {
      steps = Number.POSITIVE_INFINITY,
      signal,
    }: { readonly steps?: number; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<TrainingStep, void, undefined> {
    const end = this.#step + steps;
    // By hand, not by `for await`: that would close the source, and a later call could not go on with it.
    const source = Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]();
    while (this.#step < end && !signal?.aborted) {
      const together: Batch[] = [];
      while (together.length < this.#settings.microBatches) {
        const { done, value } = await source.next();
        if (done === true || signal?.aborted) return;
        together.push(value);
      }
      yield await this.#take(together);
    }
  }

  /** Trains to the end and returns all steps. */
  async fit(...args: Parameters<Trainer['train']>): Promise<TrainingStep[]> {
    const history: TrainingStep[] = [];
    for await (const step of this.train(...args)) history.push(step);
    return history;
  }

  /** The programs of a step for batches of a shape, traced and planned but not run: what they will cost in memory and work. */
  async programs(shape: BatchShape): Promise<{ readonly accumulate: Program; readonly update: Program }> {
    const states = await this.#states(shape.batch);
    return { accumulate: this.#accumulateProgram(shape, 'first', states), update: this.#updateProgram(states) };
  }

  /** Arenas that training adds to the model's. */
  get arenas(): readonly Arena[] {
    return [this.#gradients, ...this.#moments, this.#tables];
  }

  async #place(): Promise<void> {
    const { engine } = this.model;
    await engine.place(...this.arenas);
    await engine.use(async (session) => {
      session.write(this.#segments, this.#table.segments);
      session.write(this.#groups, this.#table.groups);
    });
  }

  async #states(batch: number): Promise<CarriedState> {
    const { model } = this;
    this.#placed ??= this.#place().catch((error) => {
      this.#placed = undefined;
      throw error;
    });
    await this.#placed;
    return {
      current: await model.state('training state', batch),
      next: await model.state('next training state', batch),
    };
  }

  async #take(batches: readonly Batch[]): Promise<TrainingStep> {
    const start = performance.now();
    const states = await this.#states((batches[0] as Batch).batch);
    const step = this.#step + 1;
    const learningRate = this.#learningRate(step);
    const labels = batches.reduce((sum, { labelCount }) => sum + labelCount, 0);
    const scalars = {
      ...this.#optimizer.advance(),
      learningRate,
      maxNorm: this.#settings.clipNorm,
      lossDenominator: Math.max(1, labels),
    };
    const work = this.model.engine.use(async (session) => {
      this.model.writeScalars(session, scalars);
      let loss = 0;
      for (const [index, batch] of batches.entries()) {
        loss += await this.#accumulate(session, batch, index, states);
      }
      const { norm, factor, finite } = await session.run(this.#updateProgram(states));
      if (finite?.[0] === 1) return { loss, norm: norm?.[0] as number, factor: factor?.[0] as number };
      throw new NonFiniteError(step, await this.#locate(session, batches, states));
    });
    const result = await work.catch((error) => {
      this.#optimizer.retreat();
      throw error;
    });
    this.#step = step;
    return {
      step,
      loss: result.loss,
      gradientNorm: result.norm,
      clipFactor: result.factor,
      learningRate,
      tokens: labels,
      milliseconds: performance.now() - start,
    };
  }

  #learningRate(step: number): number {
    const { learningRate } = this.#settings;
    const rate = typeof learningRate === 'function' ? learningRate(step) : learningRate;
    if (!(rate >= 0 && Number.isFinite(rate))) {
      throw new OptionError(
        `Trainer: Expected \`learningRate\` to be a finite number from 0 at step ${step} but received ${rate}`,
      );
    }
    return rate;
  }

  #prepare(session: Session, batch: Batch, index: number, { current, next }: CarriedState): Program {
    if (batch.first) session.clear(index === 0 ? current : next);
    this.model.writeRandom(session, this.#settings.seed, (this.#step + 1) * this.#settings.microBatches + index);
    return this.#accumulateProgram(batch, index === 0 ? 'first' : 'later', { current, next });
  }

  async #accumulate(session: Session, batch: Batch, index: number, states: CarriedState): Promise<number> {
    const program = this.#prepare(session, batch, index, states);
    const { loss } = await session.run(program, batch.inputs);
    return loss?.[0] as number;
  }

  /** Runs the micro-batches again, one instruction at a time: the same numbers, as nothing has changed. */
  async #locate(session: Session, batches: readonly Batch[], states: CarriedState): Promise<NonFinite | undefined> {
    for (const [index, batch] of batches.entries()) {
      const where = await locateNonFinite(session, this.#prepare(session, batch, index, states), batch.inputs);
      if (where !== undefined) return where;
    }
    return undefined;
  }

  /** Loss and gradients of one micro-batch. The first writes the gradient arena, later ones add to it. */
  #accumulateProgram({ time, batch }: BatchShape, turn: Turn, { current, next }: CarriedState): Program {
    const { network } = this.model;
    return this.#programs.get(`accumulate ${time} × ${batch}, ${turn}`, (graph) => {
      const state = turn === 'first' ? current : next;
      const mode = { random: graph.read(this.model.random) };
      const denominator = this.model.scalar(graph, 'lossDenominator');
      const { loss, next: nextState } = network.loss(graph, { time, batch }, state, denominator, mode);
      graph.output('loss', loss);
      for (const [index, variable] of next.variables.entries()) {
        const value = nextState[index];
        if (value !== undefined) graph.assign(variable, value);
      }
      this.#assignGradients(graph, loss, turn);
    });
  }

  #assignGradients(graph: Graph, loss: Tensor, turn: Turn): void {
    const { variables } = this.model.network.parameters.arena;
    const trained = variables.filter(({ name }) => !this.#table.frozen.has(name));
    const targets = new Map(trained.map((variable) => [graph.read(variable), this.#gradients.get(variable.name)]));
    const onto =
      turn === 'first' ? new Map() : new Map([...targets].map(([tensor, gradient]) => [tensor, graph.read(gradient)]));
    const from = new Map([[loss, full(graph, [1], 1)]]);
    const gradients = differentiate(graph, { from, to: targets.keys(), onto });
    for (const [tensor, variable] of targets) {
      const gradient = gradients.get(tensor);
      if (gradient !== undefined) graph.assign(variable, gradient);
      else if (turn === 'first') graph.assign(variable, full(graph, variable.shape, 0));
    }
  }

  #updateProgram({ current, next }: CarriedState): Program {
    return this.#programs.get(`update, ${current.name}`, (graph) => {
      const { arena } = this.model.network.parameters;
      const gradients = graph.read(this.#gradients.whole);
      const clip = clipByNorm(squaredNorm(gradients), this.model.scalar(graph, 'maxNorm'));
      const moments = this.#moments.map(({ whole }) => whole);
      const updated = this.#optimizer.update(
        {
          parameters: graph.read(arena.whole),
          gradients,
          segments: graph.read(this.#segments),
          groups: graph.read(this.#groups),
          scalars: graph.read(this.model.scalars),
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
}
