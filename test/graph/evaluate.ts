/** What a graph means, evaluated without the planner: every value in memory of its own. */
import { RESERVED_ELEMENTS, type Result, type Values } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import type { Graph, Node } from '../../src/graph/graph.js';
import type { Root, Tensor } from '../../src/graph/tensor.js';
import { type AnyCall, encode } from '../../src/program/encode.js';
import type { Variable } from '../../src/program/variable.js';

export const float64 = referenceBackend({ isa: 'float64' });

type Numbers = Readonly<Record<string, Values>>;

const tensorsIn = (node: Node): Tensor[] =>
  node.calls.flatMap(({ operands }) => Object.values(operands).filter((tensor) => tensor !== undefined));

/** All tensors whose memory a pure evaluation needs. */
function rootsOf(graph: Graph): Set<Root> {
  const tensors = [
    ...graph.inputs.values(),
    ...graph.outputs.values(),
    ...graph.assignments.flatMap(({ value, condition }) => (condition ? [value, condition] : [value])),
    ...graph.nodes.flatMap(tensorsIn),
  ];
  const roots = new Set<Root>();
  const visit = (root: Root): void => {
    if (roots.has(root)) return;
    roots.add(root);
    if (root.initial !== undefined) visit(root.initial.root);
  };
  for (const { root } of tensors) visit(root);
  return roots;
}

const copyOf = (x: number, y: number, n: number): AnyCall<number> => ({
  instruction: 'copy',
  operands: { x, y },
  dims: { n0: 1, n1: 1, n2: 1, n3: n, x0: n, x1: n, x2: n, x3: 1, y0: n, y1: n, y2: n, y3: 1 },
  scalars: {},
});

export interface PureResult {
  readonly outputs: Readonly<Record<string, Result>>;
  /** New values of the variables that are assigned. */
  readonly variables: ReadonlyMap<Variable, Result>;
}

/** What the graph means, with no planner: every root in memory of its own, every node, in float64. */
export async function evaluatePurely(
  graph: Graph,
  inputs: Numbers,
  variables: ReadonlyMap<Variable, Values>,
): Promise<PureResult> {
  const addresses = new Map<Root, number>();
  let end = RESERVED_ELEMENTS;
  for (const root of rootsOf(graph)) {
    addresses.set(root, end);
    end += root.elements + 1;
  }
  const addressOf = ({ root, offset }: Tensor): number => (addresses.get(root) as number) + offset;
  const started = new Set<Root>();
  const calls: AnyCall<number>[] = [];
  for (const node of graph.nodes) {
    for (const each of node.calls) {
      for (const { root } of Object.values(each.operands).filter((tensor) => tensor !== undefined)) {
        if (started.has(root)) continue;
        started.add(root);
        const { initial } = root;
        if (initial) calls.push(copyOf(addressOf(initial), addresses.get(root) as number, initial.elements));
      }
      const operands = Object.entries(each.operands).map(([name, tensor]) => [name, tensor && addressOf(tensor)]);
      calls.push({ ...each, operands: Object.fromEntries(operands) });
    }
  }
  const executor = float64.createExecutor();
  await executor.grow(end);
  const floats = new Float64Array(end).fill(Number.NaN);
  for (const root of addresses.keys()) {
    if (typeof root.source !== 'object') continue;
    const values = 'input' in root.source ? inputs[root.source.input] : variables.get(root.source.variable);
    floats.set(values ?? [], addresses.get(root) as number);
  }
  await executor.write(0, 'f32', floats);
  await (await executor.load(encode(calls), end)).run();
  const after = await executor.read(0, 'f32', end);
  const read = (tensor: Tensor): Result => after.slice(addressOf(tensor), addressOf(tensor) + tensor.elements);
  const kept = graph.assignments.filter(({ condition }) => condition === undefined || read(condition)[0] !== 0);
  return {
    outputs: Object.fromEntries([...graph.outputs].map(([name, tensor]) => [name, read(tensor)])),
    variables: new Map(kept.map(({ variable, value }) => [variable, read(value)])),
  };
}
