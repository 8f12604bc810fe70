/** Persistent memory: variables laid out in arenas, whose addresses never change once an engine has placed them. */

export type DataType = 'f32' | 'i32';

/** Tensors start at multiples of 16 elements: one cache line, one widest vector. */
const ALIGNMENT = 16;

export const aligned = (elements: number): number => Math.ceil(elements / ALIGNMENT) * ALIGNMENT;

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** A tensor that outlives programs: a parameter, a gradient, a moment, carried state, a scalar. */
export class Variable {
  readonly elements: number;

  constructor(
    readonly arena: Arena,
    readonly name: string,
    readonly shape: readonly number[],
    readonly type: DataType,
    /** Elements from the start of the arena. */
    readonly offset: number,
  ) {
    this.elements = sizeOf(shape);
  }

  /** Elements from the start of the heap. */
  get address(): number {
    return this.arena.base + this.offset;
  }

  toString(): string {
    return `${this.arena.name}/${this.name}`;
  }
}

/** Variables side by side. Arenas of the same layout (parameters, gradients, moments) are made with {@link Arena.like}. */
export class Arena {
  readonly variables: Variable[] = [];
  #elements = 0;
  #base: number | undefined;

  constructor(readonly name: string) {}

  /** An arena with the layout of this one, for values that go with each of its variables. */
  like(name: string): Arena {
    const other = new Arena(name);
    for (const { name: variable, shape, type } of this.variables) other.add(variable, shape, type);
    return other;
  }

  add(name: string, shape: readonly number[], type: DataType = 'f32'): Variable {
    if (this.#base !== undefined)
      throw new Error(`arena ${this.name}: Expected variables to be added before it is placed`);
    const variable = new Variable(this, name, shape, type, this.#elements);
    this.variables.push(variable);
    this.#elements += aligned(variable.elements);
    return variable;
  }

  get(name: string): Variable {
    const variable = this.variables.find((candidate) => candidate.name === name);
    if (variable === undefined) throw new Error(`arena ${this.name}: no variable ${name}`);
    return variable;
  }

  /** All of the arena as one variable, padding between variables included. */
  get whole(): Variable {
    return new Variable(this, '*', [this.#elements], 'f32', 0);
  }

  get elements(): number {
    return this.#elements;
  }

  get base(): number {
    if (this.#base === undefined) throw new Error(`arena ${this.name}: Expected an engine to have placed it`);
    return this.#base;
  }

  /** Fixes the arena's address; called once, by an engine. */
  placeAt(base: number): void {
    if (this.#base !== undefined) throw new Error(`arena ${this.name} is placed already`);
    this.#base = base;
  }
}
