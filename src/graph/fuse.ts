/**
 * What follows a matrix product becomes part of its call, which has the elements at hand: a sum with another tensor, then an activation.
 * Ops and gradients know nothing of it, and the bits stay the same: the instruction says so.
 *
 * A graph is pure, so a product may do what is done to its result later, if all that this reads is there when the product is computed.
 * The argument of an activation remains a result of the call (the planner leaves it out where nobody reads it); that of a sum does
 * not, so nobody else may read it.
 */
import type { AnyCall } from '../program/encode.js';
import { activations } from '../program/instructions.js';
import type { Node } from './graph.js';
import type { Root, Tensor } from './tensor.js';

/** The call of a node that has one. */
const onlyCall = ({ calls }: Node): AnyCall<Tensor> | undefined => (calls.length === 1 ? calls[0] : undefined);

/** Whether the elements of `c` follow one another, and are a value of their own. */
function isDense({ batch = 0, M = 0, N = 0, cBatch, cRow }: AnyCall<Tensor>['dims'], c: Tensor): boolean {
  return c.isWhole && c.elements === batch * M * N && cRow === N && (batch === 1 || cBatch === M * N);
}

/** Whether a call over n elements takes all of a value for an operand. */
const takesAll = ({ dims: { n } }: AnyCall<Tensor>, operand: Tensor | undefined, { elements, root }: Tensor): boolean =>
  operand?.root === root && operand.offset === 0 && n === elements;

class Fusion {
  /** The position of the node that makes a root; none for inputs and variables. */
  readonly #made = new Map<Root, number>();
  /** The nodes that read a root, each as often as it does. */
  readonly #readers = new Map<Root, Node[]>();
  /** Nodes whose work a product does. */
  readonly #moved = new Set<Node>();

  constructor(
    readonly nodes: readonly Node[],
    readonly finalReads: ReadonlySet<Root>,
  ) {
    for (const [position, node] of nodes.entries()) this.#add(node, position);
  }

  #add(node: Node, position: number): void {
    for (const { root } of Object.values(node.outputs)) {
      if (root.source !== 'node' || this.#made.has(root)) continue;
      this.#made.set(root, position);
      if (root.initial !== undefined) this.#read(root.initial.root, node);
    }
    for (const tensor of node.calls.flatMap(({ operands }) => Object.values(operands))) {
      if (tensor !== undefined && this.#made.get(tensor.root) !== position) this.#read(tensor.root, node);
    }
  }

  #read(root: Root, reader: Node): void {
    const readers = this.#readers.get(root);
    if (readers === undefined) this.#readers.set(root, [reader]);
    else readers.push(reader);
  }

  #readersOf(root: Root): readonly Node[] {
    return this.#readers.get(root) ?? [];
  }

  run(): Node[] {
    const nodes: Node[] = [];
    for (const [position, node] of this.nodes.entries()) {
      if (!this.#moved.has(node)) nodes.push(this.#fused(node, position));
    }
    return nodes;
  }

  #fused(node: Node, position: number): Node {
    const product = onlyCall(node);
    const c = product?.operands.c;
    if (product?.instruction !== 'matmul' || c === undefined || !isDense(product.dims, c)) return node;
    const call = this.#withActivation(this.#withResidual(product, c, position));
    if (call === product) return node;
    const results = Object.entries(call.operands).filter(([name]) => name === 'preActivation' || name === 'c');
    const outputs = Object.fromEntries(results) as Record<string, Tensor>;
    for (const { root } of Object.values(outputs)) this.#made.set(root, position);
    return { ...node, outputs, calls: [call] };
  }

  /** c + residual, where that is the only use of c and the residual is made before the product. */
  #withResidual(product: AnyCall<Tensor>, c: Tensor, position: number): AnyCall<Tensor> {
    const [reader, ...others] = this.#readersOf(c.root);
    const add = reader && onlyCall(reader);
    if (add?.instruction !== 'add' || others.length > 0 || this.finalReads.has(c.root)) return product;
    const { a, b, y } = add.operands;
    const [sum, residual] = a?.root === c.root ? [a, b] : [b, a];
    if (!takesAll(add, sum, c) || residual === undefined || this.#madeAt(residual) >= position) return product;
    this.#moved.add(reader as Node);
    return { ...product, operands: { ...product.operands, residual, c: y } };
  }

  /** The first activation of what a product gives. */
  #withActivation(product: AnyCall<Tensor>): AnyCall<Tensor> {
    const { operands, dims } = product;
    const preActivation = operands.c as Tensor;
    for (const reader of this.#readersOf(preActivation.root)) {
      const call = onlyCall(reader);
      const activation = (activations as readonly string[]).indexOf(call?.instruction ?? '');
      if (call === undefined || activation < 0 || !takesAll(call, call.operands.x, preActivation)) continue;
      this.#moved.add(reader);
      return {
        ...product,
        operands: { ...operands, preActivation, c: call.operands.y },
        dims: { ...dims, activation },
      };
    }
    return product;
  }

  #madeAt({ root }: Tensor): number {
    return this.#made.get(root) ?? -1;
  }
}

/** The nodes, without those whose work products do. `finalReads` are the roots that are read after all of them. */
export const fuse = (nodes: readonly Node[], finalReads: ReadonlySet<Root>): Node[] =>
  new Fusion(nodes, finalReads).run();
