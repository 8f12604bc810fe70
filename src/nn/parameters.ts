/** The parameters of a model: their names, shapes and initial distributions, side by side in one arena. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { concat, full, reshape, slice } from '../ops/copy.js';
import { add } from '../ops/elementwise.js';
import { normal, uniform } from '../ops/random.js';
import { Arena, type Variable } from '../program/variable.js';

/** Uniform in [low, high), plus a number from one element to before another. */
interface Uniform {
  readonly kind: 'uniform';
  readonly low: number;
  readonly high: number;
  readonly plus?: { readonly from: number; readonly to: number; readonly value: number };
}

export type Initializer =
  | Uniform
  | { readonly kind: 'normal'; readonly mean: number; readonly deviation: number }
  | { readonly kind: 'constant'; readonly value: number };

/** Normal with mean 0. */
export const normally = (deviation: number): Initializer => ({ kind: 'normal', mean: 0, deviation });

/** Uniform in [−bound, bound). */
export const within = (bound: number): Uniform => ({ kind: 'uniform', low: -bound, high: bound });

export const constant = (value: number): Initializer => ({ kind: 'constant', value });

/** The initial value of a parameter; `stream` is a number that no other one has. */
export function initialValue(
  graph: Graph,
  shape: readonly number[],
  initializer: Initializer,
  random: Tensor,
  stream: number,
): Tensor {
  if (initializer.kind === 'constant') return full(graph, shape, initializer.value);
  if (initializer.kind === 'normal') {
    return normal(graph, shape, initializer.mean, initializer.deviation, random, stream);
  }
  const { low, high, plus } = initializer;
  const drawn = uniform(graph, shape, [low, high], random, stream);
  if (plus === undefined) return drawn;
  const parts = [full(graph, [plus.from], 0), full(graph, [plus.to - plus.from], plus.value)];
  const rest = full(graph, [drawn.elements - plus.to], 0);
  return add(drawn, reshape(concat([...parts, rest], 0), shape));
}

/** A named parameter, and how to get its values from those of the variable that graphs see. */
export interface Part {
  readonly variable: Variable;
  readonly select: (whole: Tensor) => Tensor;
}

/** The parameters that a variable consists of: itself, or those that were joined. */
export function partsOf(block: Variable): Part[] {
  if (block.parts.length === 0) return [{ variable: block, select: (whole) => whole }];
  let end = 0;
  return block.parts.map((variable) => {
    const start = end;
    end += variable.shape[0] as number;
    const to = end;
    return { variable, select: (whole) => slice(whole, 0, start, to) };
  });
}

export class Parameters {
  readonly arena = new Arena('parameters');
  readonly initializers = new Map<Variable, Initializer>();
  #streams = 0;

  /** The scope of the model itself; modules inside get a scope of their own with {@link Scope.child}. */
  get scope(): Scope {
    return new Scope(this, '');
  }

  /** How many numbers the model has. */
  get count(): number {
    return this.arena.variables.reduce((sum, { elements }) => sum + elements, 0);
  }

  add(name: string, shape: readonly number[], initializer: Initializer): Variable {
    const variable = this.arena.add(name, shape);
    this.initializers.set(variable, initializer);
    return variable;
  }

  /** Parameters of one shape below each other, which graphs see as one. */
  join(names: readonly string[], shape: readonly number[], initializer: Initializer): Variable {
    const joined = this.arena.join(names.map((name) => ({ name, shape })));
    for (const part of joined.parts) this.initializers.set(part, initializer);
    return joined;
  }

  /** A number for a source of randomness (a dropout) that no other source of this model has. */
  nextStream(): number {
    return this.#streams++;
  }
}

/** Where a module puts its parameters: the model's set, under the module's name. */
export class Scope {
  constructor(
    readonly parameters: Parameters,
    readonly prefix: string,
  ) {}

  child(name: string): Scope {
    return new Scope(this.parameters, `${this.prefix}${name}.`);
  }

  parameter(name: string, shape: readonly number[], initializer: Initializer): Variable {
    return this.parameters.add(this.prefix + name, shape, initializer);
  }

  /** Parameters of one shape below each other, which graphs see as the one variable that is returned. */
  joined(names: readonly string[], shape: readonly number[], initializer: Initializer): Variable {
    return this.parameters.join(
      names.map((name) => this.prefix + name),
      shape,
      initializer,
    );
  }

  nextStream(): number {
    return this.parameters.nextStream();
  }
}
