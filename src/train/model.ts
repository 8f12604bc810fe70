/** A network with numbers in it: its parameters in an engine's heap, the scalars its programs read, and its programs. */
import { Engine, type Session } from '../backends/engine.js';
import type { Backend } from '../backends/executor.js';
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import type { Mode } from '../nn/mode.js';
import type { Parameters } from '../nn/parameters.js';
import { full, slice } from '../ops/copy.js';
import { normal, uniform } from '../ops/random.js';
import { randomWords, type ScalarSlot, scalarSlots } from '../program/scalars.js';
import { Arena, type Variable } from '../program/variable.js';
import { ProgramCache } from './program-cache.js';

/** Steps and rows of a batch. */
export interface BatchShape {
  readonly time: number;
  readonly batch: number;
}

/** A model that can be trained: what it is made of, and how its loss is traced. */
export interface Network {
  readonly parameters: Parameters;
  /** Variables for the state that `batch` rows carry from one batch to the next; none where nothing is carried. */
  stateArena(name: string, batch: number): Arena;
  /** Traces the loss [1], the sum over labels divided by `denominator` [1], and the new values of the state's variables. */
  loss(
    graph: Graph,
    shape: BatchShape,
    state: Arena,
    denominator: Tensor,
    mode: Mode,
  ): { loss: Tensor; next: readonly Tensor[] };
}

/** Random streams from here on are those of initial values; those below belong to dropouts. */
const INITIAL_STREAM = 2 ** 20;

export class Model<N extends Network = Network> {
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
        const { shape } = variable;
        const stream = INITIAL_STREAM + index;
        const value =
          initializer.kind === 'uniform'
            ? uniform(graph, shape, [initializer.low, initializer.high], random, stream)
            : initializer.kind === 'normal'
              ? normal(graph, shape, initializer.mean, initializer.deviation, random, stream)
              : full(graph, shape, initializer.value);
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
