/** The parameters of a model: their names, shapes and initial distributions, side by side in one arena. */
import { Arena, type Variable } from '../program/variable.js';

export type Initializer =
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  | { readonly kind: 'normal'; readonly mean: number; readonly deviation: number }
  | { readonly kind: 'constant'; readonly value: number };

/** Uniform in [−bound, bound). */
export const within = (bound: number): Initializer => ({ kind: 'uniform', low: -bound, high: bound });

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

  nextStream(): number {
    return this.parameters.nextStream();
  }
}
