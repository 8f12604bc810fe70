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
    /** The variables that this one consists of, if they were joined. */
    readonly parts: readonly Variable[] = [],
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
  /** Every variable by its own name: what is saved, initialised, and put into groups. */
  readonly variables: Variable[] = [];
  /** The same memory as graphs see it: variables, and those that were joined as one. */
  readonly blocks: Variable[] = [];
  #elements = 0;
  #base: number | undefined;

  constructor(readonly name: string) {}

  /** An arena with the layout of this one, for values that go with each of its variables. */
  like(name: string): Arena {
    const other = new Arena(name);
    for (const { name: block, shape, type, parts } of this.blocks) {
      if (parts.length === 0) other.add(block, shape, type);
      else other.join(parts);
    }
    return other;
  }

  add(name: string, shape: readonly number[], type: DataType = 'f32'): Variable {
    const variable = this.#append(name, shape, type, this.#elements);
    this.#close(variable);
    return variable;
  }

  /** Adds variables below each other without a gap, which differ in their first axis at most: a graph reads and assigns all of them as one. */
  join(parts: readonly { readonly name: string; readonly shape: readonly number[] }[]): Variable {
    const start = this.#elements;
    let end = start;
    const variables = parts.map(({ name, shape }) => {
      const variable = this.#append(name, shape, 'f32', end);
      end += variable.elements;
      return variable;
    });
    const [, ...inner] = parts[0]?.shape ?? [];
    const rows = (end - start) / sizeOf(inner);
    const name = parts.map((part) => part.name).join(' + ');
    const joined = new Variable(this, name, [rows, ...inner], 'f32', start, variables);
    this.#close(joined);
    return joined;
  }

  #append(name: string, shape: readonly number[], type: DataType, offset: number): Variable {
    if (this.#base !== undefined)
      throw new Error(`arena ${this.name}: Expected variables to be added before it is placed`);
    const variable = new Variable(this, name, shape, type, offset);
    this.variables.push(variable);
    return variable;
  }

  #close(block: Variable): void {
    this.blocks.push(block);
    this.#elements += aligned(block.elements);
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
