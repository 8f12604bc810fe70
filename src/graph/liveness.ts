/** Which nodes a program needs, and from where to where each root is alive. */
import type { Graph, Node } from './graph.js';
import type { Root, Tensor } from './tensor.js';

/** The position of readers that come after every node: outputs and assignments. */
export const END = Number.POSITIVE_INFINITY;

export interface Liveness {
  /** The nodes of the program, in order. */
  readonly nodes: readonly Node[];
  /** Position of the node that makes a root; −1 for inputs and variables. */
  readonly made: ReadonlyMap<Root, number>;
  /** Position of the last node that reads a root, {@link END} if something reads it after all of them. */
  readonly lastRead: ReadonlyMap<Root, number>;
  /** Roots that somebody reads. An optional operand that writes another one is left out of its call. */
  readonly read: ReadonlySet<Root>;
}

const tensorsOf = (node: Node): Tensor[] =>
  node.calls.flatMap(({ operands }) => Object.values(operands).filter((tensor) => tensor !== undefined));

/** The roots that outputs and assignments read, after all nodes. */
export function finalReadsOf(graph: Graph): Set<Root> {
  const tensors = [
    ...graph.outputs.values(),
    ...graph.assignments.flatMap(({ value, condition }) => (condition === undefined ? [value] : [value, condition])),
  ];
  return new Set(tensors.map(({ root }) => root));
}

/** The nodes that those depend on, in order. */
export function neededNodes(graph: Graph, finalReads: ReadonlySet<Root>): Node[] {
  const wanted = new Set(finalReads);
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!Object.values(node.outputs).some(({ root }) => wanted.has(root))) continue;
    nodes.unshift(node);
    for (const { root } of tensorsOf(node)) {
      wanted.add(root);
      if (root.initial !== undefined) wanted.add(root.initial.root);
    }
  }
  return nodes;
}

/** From where to where each root is alive in a program of these nodes. */
export function analyseLiveness(graph: Graph, nodes: readonly Node[], finalReads: ReadonlySet<Root>): Liveness {
  const made = new Map<Root, number>();
  const lastRead = new Map<Root, number>();
  const read = new Set(finalReads);
  for (const tensor of graph.inputs.values()) made.set(tensor.root, -1);
  for (const [position, node] of nodes.entries()) {
    for (const { root } of tensorsOf(node)) {
      if (made.has(root)) read.add(root);
      else {
        made.set(root, root.source === 'node' ? position : -1);
        if (root.source !== 'node') read.add(root);
        if (root.initial !== undefined) {
          read.add(root.initial.root);
          lastRead.set(root.initial.root, position);
        }
      }
      lastRead.set(root, position);
    }
  }
  for (const root of finalReads) {
    if (!made.has(root)) made.set(root, -1);
    lastRead.set(root, END);
  }
  return { nodes, made, lastRead, read };
}
