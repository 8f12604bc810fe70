/**
 * The graph: nodes in the order they were traced. It is pure: every tensor is written once, by the node that makes it, and
 * variables change only through `assign`, which takes effect after every reader of the old value.
 */
import type { Dtype } from '../program/dtype.js';
import type { AnyCall, Call } from '../program/encode.js';
import type { InstructionName } from '../program/instructions.js';
import { type DataType, sizeOf, type Variable } from '../program/variable.js';
import { ShapeError } from './errors.js';
import { type Root, Tensor } from './tensor.js';

/** Adds a gradient to a partial sum: called with what has been summed so far, returns the new sum. */
export type Sink = (sum?: Tensor) => Tensor;

export interface Backward {
  /** For each input that has a gradient, how to add it. Called only for inputs whose gradient is needed. */
  readonly to: Readonly<Record<string, Sink | undefined>>;
  /** Total derivatives with respect to outputs, where paths inside the node count too (a cell state of a recurrence). */
  readonly total?: Readonly<Record<string, Tensor | undefined>>;
}

/** The gradient rule of a node: from the gradients of its outputs to those of its inputs. */
export type GradientRule<Output extends string = string> = (
  d: Readonly<Record<string, Tensor | undefined>>,
  outputs: Readonly<Record<Output, Tensor>>,
) => Backward;

export interface OutputSpec {
  readonly shape: readonly number[];
  readonly type?: DataType;
  /** The value an accumulating or updating instruction starts from. */
  readonly initial?: Tensor | undefined;
  /** Set where every element is this number. */
  readonly constant?: number;
}

/** Part of an output, handed out as an output of its own. */
export interface ViewSpec {
  readonly of: Tensor;
  readonly offset: number;
  readonly shape: readonly number[];
}

export interface NodeSpec<O extends string, V extends string> {
  readonly op: string;
  readonly inputs: Readonly<Record<string, Tensor | undefined>>;
  readonly outputs: Readonly<Record<O, OutputSpec>>;
  readonly views?: (outputs: Readonly<Record<O, Tensor>>) => Readonly<Record<V, ViewSpec>>;
  readonly calls: (outputs: Readonly<Record<O, Tensor>>) => readonly AnyCall<Tensor>[];
  readonly gradient?: GradientRule<O | V>;
}

export interface Node {
  readonly op: string;
  readonly label: string;
  readonly inputs: Readonly<Record<string, Tensor | undefined>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly calls: readonly AnyCall<Tensor>[];
  readonly gradient: GradientRule | undefined;
}

export interface Assignment {
  readonly variable: Variable;
  readonly value: Tensor;
  /** A tensor of one element: the variable keeps its value where that is 0. */
  readonly condition?: Tensor | undefined;
}

/** A value somebody may want to read: a tensor of the graph, and how to get what is shown from it or from its gradient. */
export interface Probe {
  readonly of: Tensor;
  readonly select: (whole: Tensor) => Tensor;
}

/** One instruction with its operands, typed. */
export function call<I extends InstructionName>(
  instruction: I,
  operands: Call<Tensor, I>['operands'],
  dims: Call<Tensor, I>['dims'],
  ...scalars: Call<Tensor, I>['scalars'] extends Record<string, never> ? [] : [Call<Tensor, I>['scalars']]
): AnyCall<Tensor> {
  return { instruction, operands, dims, scalars: scalars[0] ?? {} };
}

export class Graph {
  readonly nodes: Node[] = [];
  readonly assignments: Assignment[] = [];
  readonly inputs = new Map<string, Tensor>();
  readonly outputs = new Map<string, Tensor>();
  readonly probes = new Map<string, Probe>();
  readonly #variables = new Map<string, Tensor>();
  #label = '';
  #roots = 0;

  /** @param dtype of the matrix products that name none. */
  constructor(readonly dtype: Dtype = 'float32') {}

  /** Runs `trace` with a module name added to the label of every node it makes. */
  within<T>(name: string, trace: () => T): T {
    const outer = this.#label;
    this.#label = outer === '' || name === '' ? outer + name : `${outer}.${name}`;
    try {
      return trace();
    } finally {
      this.#label = outer;
    }
  }

  /** A tensor that is copied in before each run. */
  input(name: string, shape: readonly number[], type: DataType = 'f32'): Tensor {
    if (this.inputs.has(name)) throw new Error(`graph: two inputs are called ${name}`);
    const tensor = this.#tensor(shape, type, { input: name });
    this.inputs.set(name, tensor);
    return tensor;
  }

  /** The value a variable has when the program starts. */
  read(variable: Variable): Tensor {
    const key = variable.toString();
    let tensor = this.#variables.get(key);
    if (tensor === undefined) {
      tensor = this.#tensor(variable.shape, variable.type, { variable });
      this.#variables.set(key, tensor);
    }
    return tensor;
  }

  /** Gives a variable a new value at the end of the program. */
  assign(variable: Variable, value: Tensor, condition?: Tensor): void {
    if (variable.elements !== value.elements || variable.type !== value.type) {
      throw new ShapeError('assign', `value of ${variable}`, `[${variable.shape.join(', ')}]`, value);
    }
    if (this.assignments.some((other) => other.variable.toString() === variable.toString())) {
      throw new Error(`graph: ${variable} is assigned twice`);
    }
    this.assignments.push({ variable, value, condition });
  }

  /** Hands a tensor out after each run. */
  output(name: string, tensor: Tensor): void {
    this.outputs.set(name, tensor);
  }

  /** Offers a value for inspection under the current label. */
  probe(name: string, of: Tensor, select: (whole: Tensor) => Tensor = (whole) => whole): void {
    this.probes.set(this.#label === '' ? name : `${this.#label}.${name}`, { of, select });
  }

  /** Adds a node and returns its outputs and views. */
  node<O extends string, V extends string = never>(spec: NodeSpec<O, V>): Record<O | V, Tensor> {
    const outputs = {} as Record<O | V, Tensor>;
    for (const [name, { shape, type = 'f32', initial, constant }] of Object.entries<OutputSpec>(spec.outputs)) {
      outputs[name as O] = this.#tensor(shape, type, 'node', initial, constant);
    }
    const calls = spec.calls(outputs);
    for (const [name, { of, offset, shape }] of Object.entries<ViewSpec>(spec.views?.(outputs) ?? {})) {
      outputs[name as V] = new Tensor(this, of.root, of.offset + offset, shape, of.type);
    }
    const { op, inputs, gradient } = spec;
    this.nodes.push({ op, label: this.#label, inputs, outputs, calls, gradient: gradient as GradientRule | undefined });
    return outputs;
  }

  /** A contiguous part of a tensor as a tensor of another shape; costs nothing. */
  view(op: string, x: Tensor, offset: number, shape: readonly number[], gradient: GradientRule): Tensor {
    const y = new Tensor(this, x.root, x.offset + offset, shape, x.type, x.constant);
    this.nodes.push({ op, label: this.#label, inputs: { x }, outputs: { y }, calls: [], gradient });
    return y;
  }

  #tensor(
    shape: readonly number[],
    type: DataType,
    source: Root['source'],
    initial?: Tensor,
    constant?: number,
  ): Tensor {
    for (const size of shape) {
      if (!Number.isSafeInteger(size) || size < 0) throw new ShapeError('graph', 'shape', 'whole numbers ≥ 0', shape);
    }
    const root: Root = { id: this.#roots++, elements: sizeOf(shape), source, initial };
    return new Tensor(this, root, 0, shape, type, constant);
  }
}
