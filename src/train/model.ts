/** A network with numbers in it: its parameters in an engine's heap, the scalars its programs read, and its programs. */
import { Engine, type Session } from '../backends/engine.js';
import type { Backend, Values } from '../backends/executor.js';
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import type { Mode } from '../nn/mode.js';
import { initialValue, type Parameters } from '../nn/parameters.js';
import { slice } from '../ops/copy.js';
import { OptionError, suggestion } from '../program/options.js';
import { randomWords, type ScalarSlot, scalarSlots } from '../program/scalars.js';
import { Arena, type Variable } from '../program/variable.js';
import { ProgramCache } from './program-cache.js';

/** What a batch is traced for: its steps and rows, how much state it carries on, and which of the optional inputs it has. */
export interface BatchShape {
  /** Steps, T: the window that gradients flow through, k₂ of truncated backpropagation. */
  readonly time: number;
  /** Rows, B. */
  readonly batch: number;
  /** k₁: the next batch begins so many steps after this one, so it goes on from the state after them. All steps when absent. */
  readonly carry?: number | undefined;
  /** Whether there is an input `lengths` [B]: the steps of each row. */
  readonly lengths?: boolean | undefined;
  /** Whether there is an input `resets` [T, B]: not 0 where a row starts anew. */
  readonly resets?: boolean | undefined;
  /** N: how many positions an input `positions` [N] names, where a loss is that of some positions only. */
  readonly positions?: number | undefined;
}

/** Programs are traced once for each of these. */
export const shapeKey = ({ time, batch, carry = time, lengths, resets, positions }: BatchShape): string =>
  `${time} × ${batch}, carry ${carry}${lengths ? ', lengths' : ''}${resets ? ', resets' : ''}` +
  `${positions === undefined ? '' : `, ${positions} positions`}`;

/** What a model is made of. */
export interface Weights {
  readonly parameters: Parameters;
  /** Variables for the state that `batch` rows carry from one batch to the next; none where nothing is carried. */
  stateArena(name: string, batch: number): Arena;
}

/** A model that can be trained: what it is made of, and how its loss is traced. */
export interface Network extends Weights {
  /**
   * Traces the loss [1], the sum over labels divided by `denominator` [1], and the new values of the state's variables. A `penalty` [1] is
   * minimised with the loss, but not part of what is reported.
   */
  loss(
    graph: Graph,
    shape: BatchShape,
    state: Arena,
    denominator: Tensor,
    mode: Mode,
  ): { loss: Tensor; next: readonly Tensor[]; penalty?: Tensor | undefined };
}

/** Random streams from here on are those of initial values; those below belong to dropouts. */
const INITIAL_STREAM = 2 ** 20;

export class Model<N extends Weights = Network> {
  readonly engine: Engine;
  readonly programs = new ProgramCache();
  readonly #controls = new Arena('controls');
  readonly scalars = this.#controls.add('scalars', [scalarSlots.length]);
  readonly random = this.#controls.add('random', [randomWords.length], 'i32');
  readonly #states = new Map<string, Arena>();

  constructor(
    readonly network: N,
    backend: Backend,
  ) {
    this.engine = new Engine(backend);
  }

  /**
   * Gives the parameters their memory; all are 0 then.
   * @throws OutOfMemoryError naming the bytes it would take.
   */
  allocate(): Promise<void> {
    return this.engine.place(this.network.parameters.arena, this.#controls);
  }

  /** Draws initial parameters; the same seed gives the same ones on every backend, in fast numerics up to rounding. */
  async initialise(seed: number): Promise<void> {
    const program = this.programs.get('initialise', (graph) => {
      const random = graph.read(this.random);
      for (const [index, [variable, initializer]] of [...this.network.parameters.initializers].entries()) {
        const value = initialValue(graph, variable.shape, initializer, random, INITIAL_STREAM + index);
        graph.assign(variable, value);
      }
    });
    await this.engine.use(async (session) => {
      await this.writeRandom(session, seed, 0);
      await session.run(program);
    });
  }

  /** The arena of a state for some number of rows, made and filled with zeros when it is first asked for. */
  async state(name: string, batch: number): Promise<Arena> {
    const key = `${name} of ${batch} rows`;
    let arena = this.#states.get(key);
    if (arena === undefined) {
      arena = this.network.stateArena(key, batch);
      this.#states.set(key, arena);
      await this.engine.place(arena).catch((error) => {
        this.#states.delete(key);
        throw error;
      });
    }
    return arena;
  }

  /** The scalar of a slot, [1]. */
  scalar(graph: Graph, slot: ScalarSlot): Tensor {
    const index = scalarSlots.indexOf(slot);
    return slice(graph.read(this.scalars), 0, index, index + 1);
  }

  writeScalars(session: Session, values: Partial<Record<ScalarSlot, number>>): Promise<void> {
    return session.write(
      this.scalars,
      scalarSlots.map((slot) => values[slot] ?? 0),
    );
  }

  /** The Philox key and the step that counters carry. */
  writeRandom(session: Session, seed: number, step: number): Promise<void> {
    return session.write(this.random, [seed | 0, Math.floor(seed / 2 ** 32) | 0, step | 0]);
  }

  /**
   * Gives some of the parameters new values, by name.
   * @throws OptionError for a name that no parameter has, TypeError for a wrong number of values; nothing has changed then.
   */
  async writeParameters(values: Readonly<Record<string, Values>>): Promise<void> {
    const { variables } = this.network.parameters.arena;
    const writes = Object.entries(values).map(([name, its]) => {
      const variable = variables.find((candidate) => candidate.name === name);
      if (variable === undefined) {
        const known = variables.map((candidate) => candidate.name);
        throw new OptionError(`writeParameters: unknown parameter \`${name}\`${suggestion(name, known)}`);
      }
      if (its.length !== variable.elements) {
        const expected = `${variable.elements} values for ${name} [${variable.shape.join(', ')}]`;
        throw new TypeError(`writeParameters: Expected ${expected} but received ${its.length}`);
      }
      return [variable, its] as const;
    });
    await this.engine.use((session) => Promise.all(writes.map(([variable, its]) => session.write(variable, its))));
  }

  /** A copy of every parameter, in order. */
  async readParameters(): Promise<[Variable, Float32Array][]> {
    return this.engine.use((session) =>
      Promise.all(
        this.network.parameters.arena.variables.map(
          async (variable): Promise<[Variable, Float32Array]> => [
            variable,
            Float32Array.from(await session.read(variable)),
          ],
        ),
      ),
    );
  }
}
