/**
 * An engine: one heap, one executor, and the queue in front of them. Whatever touches the heap waits for what came before it, so
 * predicting or saving while training takes its turn and never meets a half-finished step.
 */
import { bytesOf, flopsOf } from '../program/cost.js';
import { addressOf, type Place, type PlannedCall, type Port, type Program } from '../program/program.js';
import { type Arena, aligned, sizeOf, type Variable } from '../program/variable.js';
import {
  type Backend,
  type Executor,
  type LoadedProgram,
  OutOfMemoryError,
  RESERVED_ELEMENTS,
  type Result,
  type Values,
} from './executor.js';

/** What one instruction of a program cost in one run. */
export interface InstructionTime {
  readonly call: PlannedCall;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/**
 * The heap in one's own hands, while nobody else's turn has come. Writes, clears and reads take effect in the order of the calls and
 * need not be waited for one by one; `run` and `trace` come after them, and are to be waited for before anything else.
 */
export interface Session {
  write(variable: Variable, values: Values): Promise<void>;
  read(variable: Variable): Promise<Result>;
  /** Fills all of an arena with zeros. */
  clear(arena: Arena): Promise<void>;
  /**
   * Copies the inputs in, runs the program and copies the outputs out.
   * @throws TypeError if an input is missing, unknown or of the wrong size.
   */
  run(program: Program, inputs?: Readonly<Record<string, Values>>): Promise<Record<string, Result>>;
  /** As `run`, one instruction at a time. `after` sees each call when it has run, and can read the elements of any operand. */
  trace(
    program: Program,
    inputs: Readonly<Record<string, Values>>,
    after: (
      call: PlannedCall,
      elementsOf: (place: Place, elements: number) => Promise<Result>,
    ) => Promise<'go on' | 'stop'>,
  ): Promise<void>;
}

/** A port of a linked program. */
interface LinkedPort extends Port {
  readonly name: string;
  readonly address: number;
}

/** A program, linked to where the transient arena was. */
interface Linked {
  readonly base: number;
  readonly end: number;
  readonly program: LoadedProgram;
  readonly inputs: readonly LinkedPort[];
  readonly outputs: readonly LinkedPort[];
}

export class Engine {
  readonly #executor: Executor;
  readonly #arenas: Arena[] = [];
  readonly #linked = new WeakMap<Program, Linked>();
  #persistentEnd = RESERVED_ELEMENTS;
  #transientElements = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(readonly backend: Backend) {
    this.#executor = backend.createExecutor();
  }

  get arenas(): readonly Arena[] {
    return this.#arenas;
  }

  get elementBytes(): number {
    return this.#executor.elementBytes;
  }

  /**
   * Gives arenas their addresses, for good, and fills them with zeros.
   * @throws OutOfMemoryError naming the arenas and their bytes; none of them is placed then.
   */
  place(...arenas: readonly Arena[]): Promise<void> {
    return this.use(async () => {
      const elements = arenas.reduce((sum, arena) => sum + aligned(arena.elements), 0);
      await this.#grow(
        this.#persistentEnd + elements + this.#transientElements,
        `${arenas.map(({ name }) => name).join(', ')} (${elements * this.elementBytes} bytes)`,
      );
      for (const arena of arenas) {
        arena.placeAt(this.#persistentEnd);
        this.#persistentEnd += aligned(arena.elements);
        this.#arenas.push(arena);
      }
      await Promise.all(arenas.map((arena) => this.#session.clear(arena)));
    });
  }

  /**
   * Waits for its turn and has the heap to itself until the promise of `work` settles. Inside, use the session: the engine's own methods
   * wait for a turn that would come only afterwards.
   */
  use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const turn = this.#queue.then(() => work(this.#session));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  write(variable: Variable, values: Values): Promise<void> {
    return this.use((session) => session.write(variable, values));
  }

  read(variable: Variable): Promise<Result> {
    return this.use((session) => session.read(variable));
  }

  run(program: Program, inputs: Readonly<Record<string, Values>> = {}): Promise<Record<string, Result>> {
    return this.use((session) => session.run(program, inputs));
  }

  /** Runs a program once and says what each of its instructions cost. */
  profile(program: Program, inputs: Readonly<Record<string, Values>> = {}): Promise<InstructionTime[]> {
    return this.use(async () => {
      checkInputs(program, inputs);
      const linked = await this.#link(program);
      const written = this.#writeInputs(linked, inputs);
      const [milliseconds] = await Promise.all([linked.program.profile(), ...written]);
      return program.calls.map((call, index) => ({
        call,
        milliseconds: milliseconds[index] as number,
        flops: flopsOf(call),
        bytes: bytesOf(call),
      }));
    });
  }

  /** Ends threads and gives memory back at once, not in turn: what is pending, and whatever is asked later, rejects with ClosedError. */
  close(): Promise<void> {
    return this.#executor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #session: Session = {
    write: async (variable, values) => {
      if (values.length !== variable.elements) throw wrongLength(values, variable.elements, `${variable}`);
      return this.#executor.write(variable.address, variable.type, values);
    },
    read: (variable) => this.#executor.read(variable.address, variable.type, variable.elements),
    clear: (arena) => this.#executor.clear(arena.base, arena.elements),
    run: async (program, inputs = {}) => {
      checkInputs(program, inputs);
      const linked = await this.#link(program);
      const written = this.#writeInputs(linked, inputs);
      const ran = linked.program.run();
      const read = linked.outputs.map(({ address, type, shape }) => this.#executor.read(address, type, sizeOf(shape)));
      const settled = await Promise.all([...read, ran, ...written]);
      const results: Record<string, Result> = {};
      for (const [index, { name }] of linked.outputs.entries()) results[name] = settled[index] as Result;
      return results;
    },
    trace: async (program, inputs, after) => {
      checkInputs(program, inputs);
      const linked = await this.#link(program);
      await Promise.all(this.#writeInputs(linked, inputs));
      const elementsOf = (place: Place, elements: number): Promise<Result> =>
        this.#executor.read(addressOf(place, linked.base), 'f32', elements);
      for (const [index, call] of program.calls.entries()) {
        await linked.program.run(index, index + 1);
        if ((await after(call, elementsOf)) === 'stop') return;
      }
    },
  };

  /** Has a program's inputs copied in, which is done when the promises settle; operations may follow at once. */
  #writeInputs({ inputs }: Linked, given: Readonly<Record<string, Values>>): Promise<void>[] {
    return inputs.map(({ name, address, type }) => this.#executor.write(address, type, given[name] as Values));
  }

  /** Links a program to where the transient arena is now, unless that has been done. */
  async #link(program: Program): Promise<Linked> {
    const transient = Math.max(this.#transientElements, aligned(program.transientElements));
    const base = this.#persistentEnd;
    const end = base + transient;
    const known = this.#linked.get(program);
    if (known !== undefined && known.base === base && known.end === end) return known;
    await this.#grow(end, `the activations (${transient * this.elementBytes} bytes)`);
    this.#transientElements = transient;
    const linked = {
      base,
      end,
      program: await this.#executor.load(program.link(base), end),
      inputs: linkedPorts(program.inputs, base),
      outputs: linkedPorts(program.outputs, base),
    };
    this.#linked.set(program, linked);
    return linked;
  }

  async #grow(elements: number, what: string): Promise<void> {
    try {
      await this.#executor.grow(elements);
    } catch (cause) {
      if (!(cause instanceof OutOfMemoryError)) throw cause;
      throw new OutOfMemoryError(`${cause.message}: no room for ${what}`, { cause });
    }
  }
}

const linkedPorts = (ports: ReadonlyMap<string, Port>, base: number): LinkedPort[] =>
  Array.from(ports, ([name, port]) => ({
    ...port,
    name,
    address: addressOf(port.place, base),
  }));

const wrongLength = ({ length }: Values, elements: number, what: string): TypeError =>
  new TypeError(`Expected ${elements} values for ${what} but received ${length}`);

/** @throws TypeError for an input that is missing, unknown or of the wrong size. */
function checkInputs(program: Program, given: Readonly<Record<string, Values>>): void {
  for (const name of Object.keys(given)) {
    if (program.inputs.has(name) || program.unusedInputs.has(name)) continue;
    throw new TypeError(`Expected inputs ${[...program.inputs.keys()].join(', ')} but received \`${name}\``);
  }
  for (const [name, { shape }] of program.inputs) {
    const values = given[name];
    if (values?.length === sizeOf(shape)) continue;
    const what = `input \`${name}\` [${shape.join(', ')}]`;
    throw values === undefined
      ? new TypeError(`Expected ${what} but received none`)
      : wrongLength(values, sizeOf(shape), what);
  }
}
