/** Reverse-mode differentiation: a sweep over the traced nodes that appends the gradient nodes to the same graph. */
import type { Graph, Node } from './graph.js';
import type { Tensor } from './tensor.js';

export interface DifferentiateOptions {
  /** The tensors to differentiate, each with the gradient that arrives at it (the vectors of the vector–Jacobian product). */
  readonly from: ReadonlyMap<Tensor, Tensor>;
  /** What to differentiate with respect to: parameters, inputs, values in the middle. */
  readonly to: Iterable<Tensor>;
  /** A value that the gradient of a tensor is added to. */
  readonly onto?: ReadonlyMap<Tensor, Tensor>;
}

/** The gradients of those `to` tensors that `from` depends on. */
export function differentiate(graph: Graph, { from, to, onto }: DifferentiateOptions): Map<Tensor, Tensor> {
  const targets = new Set(to);
  const forward = [...graph.nodes];
  const needed = dependents(forward, targets);
  const sums = new Map<Tensor, Tensor>(onto);
  const reached = new Set<Tensor>();
  const totals = new Map<Tensor, Tensor>();

  const arrive = (tensor: Tensor, add: (sum?: Tensor) => Tensor): void => {
    sums.set(tensor, add(sums.get(tensor)));
    reached.add(tensor);
  };
  for (const [tensor, gradient] of from) arrive(tensor, () => gradient);

  for (const node of forward.reverse()) {
    const outputs = Object.entries(node.outputs);
    if (!outputs.some(([, output]) => reached.has(output) && needed.has(output))) continue;
    if (node.gradient === undefined) throw new Error(`differentiate: ${node.op} has no gradient`);
    const rule = node.gradient;
    const d = Object.fromEntries(
      outputs.flatMap(([name, output]) => (reached.has(output) ? [[name, sums.get(output)]] : [])),
    );
    graph.within(`grad${node.label === '' ? '' : '.'}${node.label}`, () => {
      const { to: sinks, total = {} } = rule(d, node.outputs);
      for (const [name, input] of Object.entries(node.inputs)) {
        const sink = sinks[name];
        if (input !== undefined && sink !== undefined && needed.has(input)) arrive(input, sink);
      }
      for (const [name, output] of outputs) {
        const value = total[name];
        if (value !== undefined) totals.set(output, value);
      }
    });
  }

  const gradients = new Map<Tensor, Tensor>();
  for (const target of targets) {
    const gradient = totals.get(target) ?? (reached.has(target) ? sums.get(target) : undefined);
    if (gradient !== undefined) gradients.set(target, gradient);
  }
  return gradients;
}

/** The targets and every tensor computed from one of them; a recurrence computes its hidden states from its cells and gates. */
function dependents(nodes: readonly Node[], targets: ReadonlySet<Tensor>): Set<Tensor> {
  const found = new Set(targets);
  for (const node of nodes) {
    const outputs = Object.values(node.outputs);
    if (![...Object.values(node.inputs), ...outputs].some((tensor) => tensor !== undefined && found.has(tensor)))
      continue;
    for (const output of outputs) found.add(output);
  }
  return found;
}
