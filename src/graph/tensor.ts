/** Symbolic tensors: values of a graph that have a shape, and no memory before the graph is planned. */
import { type DataType, sizeOf, type Variable } from '../program/variable.js';
import type { Graph } from './graph.js';

/** What a tensor's elements are: the result of a node, an input of the program, or the value a variable has when it starts. */
export interface Root {
  readonly id: number;
  readonly elements: number;
  readonly source: 'node' | { readonly input: string } | { readonly variable: Variable };
  /** For a result that starts from another value and adds to it or updates it: that value. */
  readonly initial?: Tensor | undefined;
}

/** An immutable value: all of a root's elements, or a contiguous part of them. */
export class Tensor {
  readonly elements: number;

  constructor(
    readonly graph: Graph,
    readonly root: Root,
    /** Elements from the start of the root. */
    readonly offset: number,
    readonly shape: readonly number[],
    readonly type: DataType,
    /** Set where every element is known to be this number. */
    readonly constant?: number,
  ) {
    this.elements = sizeOf(shape);
  }

  /** Whether it covers its root. */
  get isWhole(): boolean {
    return this.offset === 0 && this.elements === this.root.elements;
  }

  /** The elements from `offset` on, as an operand of a call; a value of its own needs a node. */
  from(offset: number): Tensor {
    return new Tensor(this.graph, this.root, this.offset + offset, [this.elements - offset], this.type);
  }

  toString(): string {
    return `[${this.shape.join(', ')}]${this.type === 'i32' ? ' i32' : ''}`;
  }
}
