/**
 * An engine: one heap, one executor, and the queue in front of them. Whatever touches the heap waits for what came before it, so
 * predicting or saving while training takes its turn and never meets a half-finished step.
 */
import { bytesOf, flopsOf } from '../program/cost.js';
import { addressOf, type Place, type PlannedCall, type Port, type Program } from '../program/program.js';
import { type Arena, aligned, sizeOf, type Variable } from '../program/variable.js';
import { yieldToEventLoop } from './event-loop.js';
import { type Backend, type Executor, type Heap, type LoadedProgram, OutOfMemoryError } from './executor.js';
import { RESERVED_ELEMENTS } from './heap.js';

/** Numbers that go into the heap. */
export type Values = Float32Array | Float64Array | Int32Array | readonly number[];
/** Numbers that come out of it: Float32Array or Int32Array; Float64Array for the float64 reference. */
export type Result = Float32Array | Float64Array | Int32Array;

/** What one instruction of a program cost in one run. */
export interface InstructionTime {
  readonly call: PlannedCall;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** The heap in one's own hands, while nobody else's turn has come. */
export interface Session {
  write(variable: Variable, values: Values): void;
  read(variable: Variable): Result;
  /** Fills all of an arena with zeros. */
  clear(arena: Arena): void;
  /**
   * Copies the inputs in, runs the program and copies the outputs out.
   * @throws TypeError if an input is missing, unknown or of the wrong size.
   */
  run(program: Program, inputs?: Readonly<Record<string, Values>>): Promise<Record<string, Result>>;
  /** As `run`, one instruction at a time. `after` sees each call when it has run, and the heap elements of any operand. */
  trace(
    program: Program,
    inputs: Readonly<Record<string, Values>>,
    after: (
      call: PlannedCall,
      elementsOf: (place: Place, elements: number) => Result,
      milliseconds: number,
    ) => 'go on' | 'stop',
  ): Promise<void>;
}

export class Engine {
  readonly #heap: Heap;
  readonly #executor: Executor;
  readonly #arenas: Arena[] = [];
  readonly #loaded = new WeakMap<
    Program,
    { readonly end: number; readonly base: number; readonly program: LoadedProgram }
  >();
  #persistentEnd = RESERVED_ELEMENTS;
  #transientElements = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(readonly backend: Backend) {
    this.#heap = backend.createHeap();
    this.#executor = backend.attach(this.#heap);
  }

  get arenas(): readonly Arena[] {
    return this.#arenas;
  }

  get elementBytes(): number {
    return this.#heap.elementBytes;
  }

  /**
   * Gives arenas their addresses, for good, and fills them with zeros.
   * @throws OutOfMemoryError naming the arenas and their bytes; none of them is placed then.
   */
  place(...arenas: readonly Arena[]): Promise<void> {
    return this.use(async () => {
      const elements = arenas.reduce((sum, arena) => sum + aligned(arena.elements), 0);
      this.#grow(
        this.#persistentEnd + elements + this.#transientElements,
        `${arenas.map(({ name }) => name).join(', ')} (${elements * this.elementBytes} bytes)`,
      );
      for (const arena of arenas) {
        arena.placeAt(this.#persistentEnd);
        this.#persistentEnd += aligned(arena.elements);
        this.#arenas.push(arena);
        this.#clear(arena);
      }
    });
  }

  /**
   * Waits for its turn and has the heap to itself until the promise of `work` settles. Inside, use the session: the engine's own methods
   * wait for a turn that would come only afterwards.
   */
  use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const turn = this.#queue.then(async () => {
      await yieldToEventLoop();
      return work(this.#session);
    });
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  write(variable: Variable, values: Values): Promise<void> {
    return this.use(async (session) => session.write(variable, values));
  }

  read(variable: Variable): Promise<Result> {
    return this.use(async (session) => session.read(variable));
  }

  run(program: Program, inputs: Readonly<Record<string, Values>> = {}): Promise<Record<string, Result>> {
    return this.use((session) => session.run(program, inputs));
  }

  /** Runs a program once and says what each of its instructions cost. */
  async profile(program: Program, inputs: Readonly<Record<string, Values>> = {}): Promise<InstructionTime[]> {
    const times: InstructionTime[] = [];
    await this.use((session) =>
      session.trace(program, inputs, (call, _elementsOf, milliseconds) => {
        times.push({ call, milliseconds, flops: flopsOf(call), bytes: bytesOf(call) });
        return 'go on';
      }),
    );
    return times;
  }

  readonly #session: Session = {
    write: (variable, values) => this.#write(variable.address, variable, values, `${variable}`),
    read: (variable) => this.#read(variable.address, variable.elements, variable.type),
    clear: (arena) => this.#clear(arena),
    run: async (program, inputs = {}) => {
      const { base, program: loaded } = this.#load(program);
      this.#writeInputs(program, inputs, base);
      await loaded.run();
      return Object.fromEntries([...program.outputs].map(([name, port]) => [name, this.#readPort(port, base)]));
    },
    trace: async (program, inputs, after) => {
      const { base, program: loaded } = this.#load(program);
      this.#writeInputs(program, inputs, base);
      for (const [index, call] of program.calls.entries()) {
        const start = performance.now();
        await loaded.run(index, index + 1);
        const milliseconds = performance.now() - start;
        const elementsOf = (place: Place, elements: number): Result =>
          this.#read(addressOf(place, base), elements, 'f32');
        if (after(call, elementsOf, milliseconds) === 'stop') return;
      }
    },
  };

  /** Links a program to where the transient arena is now, unless that has been done. */
  #load(program: Program): { readonly base: number; readonly program: LoadedProgram } {
    const transient = Math.max(this.#transientElements, aligned(program.transientElements));
    const base = this.#persistentEnd;
    const end = base + transient;
    const known = this.#loaded.get(program);
    if (known !== undefined && known.base === base && known.end === end) return known;
    this.#grow(end, `the activations (${transient * this.elementBytes} bytes)`);
    this.#transientElements = transient;
    const loaded = { base, end, program: this.#executor.load(program.link(base), end) };
    this.#loaded.set(program, loaded);
    return loaded;
  }

  #grow(elements: number, what: string): void {
    try {
      this.#heap.grow(elements);
    } catch (cause) {
      if (!(cause instanceof OutOfMemoryError)) throw cause;
      throw new OutOfMemoryError(`${cause.message}: no room for ${what}`, { cause });
    }
  }

  #clear(arena: Arena): void {
    this.#heap.views().floats.fill(0, arena.base, arena.base + arena.elements);
  }

  #write(address: number, { elements, type }: { elements: number; type: string }, values: Values, what: string): void {
    if (values.length !== elements) {
      throw new TypeError(`Expected ${elements} values for ${what} but received ${values.length}`);
    }
    const { floats, ints } = this.#heap.views();
    (type === 'i32' ? ints : floats).set(values, address);
  }

  #read(address: number, elements: number, type: string): Result {
    const { floats, ints } = this.#heap.views();
    return (type === 'i32' ? ints : floats).slice(address, address + elements);
  }

  #readPort({ place, shape, type }: Port, base: number): Result {
    return this.#read(addressOf(place, base), sizeOf(shape), type);
  }

  #writeInputs(program: Program, inputs: Readonly<Record<string, Values>>, base: number): void {
    for (const name of Object.keys(inputs)) {
      if (program.inputs.has(name) || program.unusedInputs.has(name)) continue;
      throw new TypeError(`Expected inputs ${[...program.inputs.keys()].join(', ')} but received \`${name}\``);
    }
    for (const [name, { place, shape, type }] of program.inputs) {
      const values = inputs[name];
      if (values === undefined)
        throw new TypeError(`Expected input \`${name}\` [${shape.join(', ')}] but received none`);
      this.#write(
        addressOf(place, base),
        { elements: sizeOf(shape), type },
        values,
        `input \`${name}\` [${shape.join(', ')}]`,
      );
    }
  }
}
