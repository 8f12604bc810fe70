/**
 * Training: a step runs a program for each micro-batch (loss and gradients), the last with the update behind it (norm, clipping,
 * optimizer, carried state). The update happens only where the gradient norm is finite, so a step that went wrong changed nothing
 * and is replayed to say where.
 */
import type { Session } from '../backends/engine.js';
import type { Values } from '../backends/executor.js';
import { segmentTable } from '../optim/groups.js';
import { createOptimizer, type Optimizer } from '../optim/optimizer.js';
import { OptionError } from '../program/options.js';
import type { Program } from '../program/program.js';
import type { Arena } from '../program/variable.js';
import { locateNonFinite, type NonFinite, NonFiniteError } from './locate.js';
import type { BatchShape, Model } from './model.js';
import { type CarriedState, StepPrograms, type Turn } from './step-programs.js';
import { type TrainerOptions, type TrainerSettings, trainerSettings } from './trainer-options.js';

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
  /** What the gradients were multiplied by, to bring their norm to `clipNorm`. */
  readonly clipFactor: number;
  readonly learningRate: number;
  /** Labels of the step. */
  readonly tokens: number;
  readonly milliseconds: number;
}

/** Trains a model: `for await (const step of trainer.train(batches, { steps }))`, or `await trainer.fit(batches, { steps })`. */
export class Trainer {
  readonly #settings: TrainerSettings;
  readonly #optimizer: Optimizer;
  readonly #programs: StepPrograms;
  #step = 0;
  #placed: Promise<void> | undefined;

  /**
   * @throws OptionError naming the option, what was expected and what came.
   */
  constructor(
    readonly model: Model,
    options: TrainerOptions = {},
  ) {
    const { arena } = model.network.parameters;
    this.#settings = trainerSettings(
      options,
      arena.variables.map(({ name }) => name),
    );
    const { optimizer, groups, weightDecay, clipValue, dtype } = this.#settings;
    this.#optimizer = createOptimizer(optimizer);
    const table = segmentTable(arena, groups, weightDecay);
    this.#programs = new StepPrograms(model, this.#optimizer, table, clipValue, dtype);
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

  /** The program of a step of one batch of a shape, traced and planned but not run: what it will cost in memory and work. */
  async program(shape: BatchShape): Promise<Program> {
    return this.#programs.last(shape, 'first', await this.#states(shape.batch));
  }

  /** Time spent tracing and planning so far. */
  get planningMilliseconds(): number {
    return this.#programs.planningMilliseconds;
  }

  /** Arenas that training adds to the model's. */
  get arenas(): readonly Arena[] {
    return this.#programs.arenas;
  }

  async #states(batch: number): Promise<CarriedState> {
    const { model } = this;
    this.#placed ??= this.#programs.place().catch((error) => {
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
      const [, { loss, norm, factor, finite }] = await Promise.all([
        this.model.writeScalars(session, scalars),
        this.#run(session, batches, states),
      ]);
      if (finite === 1) return { loss, norm, factor };
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

  /** Writes what the program of a micro-batch reads besides its inputs. The program may run at once, behind it. */
  #prepare(session: Session, batch: Batch, index: number, { current, next }: CarriedState): Promise<unknown> {
    const counter = (this.#step + 1) * this.#settings.microBatches + index;
    return Promise.all([
      batch.first ? session.clear(index === 0 ? current : next) : undefined,
      this.model.writeRandom(session, this.#settings.seed, counter),
    ]);
  }

  /** Takes a step: its loss, and what the update says of the gradients. */
  async #run(session: Session, batches: readonly Batch[], states: CarriedState): Promise<StepResults> {
    const results: Record<string, number> = {};
    let loss = 0;
    for (const [index, batch] of batches.entries()) {
      const kind = index === batches.length - 1 ? 'last' : 'accumulate';
      const program = this.#programs[kind](batch, turnOf(index), states);
      const [, outputs] = await Promise.all([
        this.#prepare(session, batch, index, states),
        session.run(program, batch.inputs),
      ]);
      for (const [name, values] of Object.entries(outputs)) results[name] = values[0] as number;
      loss += results.loss as number;
    }
    return { ...results, loss } as StepResults;
  }

  /** Runs the micro-batches again, one instruction at a time: the same numbers, as nothing has changed. */
  async #locate(session: Session, batches: readonly Batch[], states: CarriedState): Promise<NonFinite | undefined> {
    for (const [index, batch] of batches.entries()) {
      await this.#prepare(session, batch, index, states);
      const program = this.#programs.accumulate(batch, turnOf(index), states);
      const where = await locateNonFinite(session, program, batch.inputs);
      if (where !== undefined) return where;
    }
    return undefined;
  }
}

/** What the programs of a step hand out. */
type StepResults = Readonly<Record<'loss' | 'norm' | 'factor' | 'finite', number>>;

const turnOf = (index: number): Turn => (index === 0 ? 'first' : 'later');
