/**
 * Training: a step runs a program for each micro-batch (loss and gradients), the last with the update behind it (norm, clipping,
 * optimizer, carried state). The update happens only where the gradient norm is finite, so a step that went wrong changed nothing
 * and is replayed to say where.
 */
import type { Session } from '../backends/engine.js';
import type { Result, Values } from '../backends/executor.js';
import { segmentTable } from '../optim/groups.js';
import { createOptimizer, type Optimizer } from '../optim/optimizer.js';
import { OptionError } from '../program/options.js';
import type { Program } from '../program/program.js';
import type { ScalarSlot } from '../program/scalars.js';
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
  /** By number of rows. */
  readonly #states = new Map<number, CarriedState>();

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
    return this.#programs.last(shape, 'first', await this.#statesOf(shape.batch));
  }

  /** Time spent tracing and planning so far. */
  get planningMilliseconds(): number {
    return this.#programs.planningMilliseconds;
  }

  /** Arenas that training adds to the model's. */
  get arenas(): readonly Arena[] {
    return this.#programs.arenas;
  }

  async #statesOf(batch: number): Promise<CarriedState> {
    const known = this.#states.get(batch);
    if (known !== undefined) return known;
    const { model } = this;
    this.#placed ??= this.#programs.place().catch((error) => {
      this.#placed = undefined;
      throw error;
    });
    await this.#placed;
    const states = {
      current: await model.state('training state', batch),
      next: await model.state('next training state', batch),
    };
    this.#states.set(batch, states);
    return states;
  }

  async #take(batches: readonly Batch[]): Promise<TrainingStep> {
    const start = performance.now();
    const states = await this.#statesOf((batches[0] as Batch).batch);
    const step = this.#step + 1;
    const learningRate = this.#learningRate(step);
    const labels = batches.reduce((sum, { labelCount }) => sum + labelCount, 0);
    // Assigned, not spread: V8 takes microseconds to clone an object of numbers.
    const scalars = Object.assign(this.#optimizer.advance(), {
      learningRate,
      maxNorm: this.#settings.clipNorm,
      lossDenominator: Math.max(1, labels),
    });
    const given = { batches, states, scalars };
    const work = this.model.engine.use(async (session) => {
      const results = await this.#run(session, given);
      if (results.finite === 1) return results;
      throw new NonFiniteError(step, await this.#locate(session, given));
    });
    const { loss, norm, factor } = await work.catch((error) => {
      this.#optimizer.retreat();
      throw error;
    });
    this.#step = step;
    return {
      step,
      loss,
      gradientNorm: norm,
      clipFactor: factor,
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
  #prepare(session: Session, { batches, states, scalars }: Given, index: number): Promise<void>[] {
    const counter = (this.#step + 1) * this.#settings.microBatches + index;
    const written = [
      this.model.writeScalars(session, scalars),
      this.model.writeRandom(session, this.#settings.seed, counter),
    ];
    if (batches[index]?.first) written.push(session.clear(index === 0 ? states.current : states.next));
    return written;
  }

  /** Takes a step: its loss, and what the update says of the gradients. */
  async #run(session: Session, given: Given): Promise<StepResults> {
    const { batches, states } = given;
    let outputs: Record<string, Result> = {};
    let loss = 0;
    for (const [index, batch] of batches.entries()) {
      const kind = index === batches.length - 1 ? 'last' : 'accumulate';
      const program = this.#programs[kind](batch, turnOf(index), states);
      const written = this.#prepare(session, given, index);
      [outputs] = await Promise.all([session.run(program, batch.inputs), ...written]);
      loss += scalarOf(outputs, 'loss');
    }
    return {
      loss,
      norm: scalarOf(outputs, 'norm'),
      factor: scalarOf(outputs, 'factor'),
      finite: scalarOf(outputs, 'finite'),
    };
  }

  /** Runs the micro-batches again, one instruction at a time: the same numbers, as nothing has changed. */
  async #locate(session: Session, given: Given): Promise<NonFinite | undefined> {
    const { batches, states } = given;
    for (const [index, batch] of batches.entries()) {
      await Promise.all(this.#prepare(session, given, index));
      const program = this.#programs.accumulate(batch, turnOf(index), states);
      const where = await locateNonFinite(session, program, batch.inputs);
      if (where !== undefined) return where;
    }
    return undefined;
  }
}

/** What a step is taken with. */
interface Given {
  readonly batches: readonly Batch[];
  readonly states: CarriedState;
  readonly scalars: Partial<Record<ScalarSlot, number>>;
}

/** What the programs of a step hand out. */
type StepResults = Readonly<Record<'loss' | 'norm' | 'factor' | 'finite', number>>;

const scalarOf = (outputs: Readonly<Record<string, Result>>, name: keyof StepResults): number =>
  outputs[name]?.[0] as number;

const turnOf = (index: number): Turn => (index === 0 ? 'first' : 'later');
