/**
 * Gradient checks: for a random cotangent ȳ and, leaf by leaf, a random direction d,
 *
 *     Σ ȳ·(f(x + εd) − f(x − εd)) / 2ε  =  Σ grad·d
 *
 * in float64. With ε = 1e-5 the difference is wrong by about ε² of the third derivative and 1e-16/ε of the value: 1e-10 for
 * values of order 1. The bound leaves a factor 100 for sums of many terms.
 */
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { sizeOf } from '../../src/program/variable.js';
import { randomFrom } from '../support/random.js';
import { float64 } from './evaluate.js';

const EPSILON = 1e-5;
const BOUND = 1e-8;

type Shapes = Readonly<Record<string, readonly number[]>>;

export interface Composition<L extends string = string, F extends string = string> {
  /** Differentiated with respect to. */
  readonly leaves: Readonly<Record<L, readonly number[]>>;
  /** Numbers that gradients do not flow to, with their values. */
  readonly fixed?: Readonly<
    Record<F, { readonly shape: readonly number[]; readonly values: readonly number[]; readonly type?: 'i32' }>
  >;
  /** Leaves keep at least this distance from 0, for functions with a kink there. */
  readonly away?: number;
  readonly trace: (tensors: Readonly<Record<L | F, Tensor>>, graph: Graph) => Readonly<Record<string, Tensor>>;
}

export interface Disagreement {
  readonly leaf: string;
  readonly analytic: number;
  readonly numeric: number;
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, index) => sum + value * (b[index] as number), 0);

/** The leaves whose gradient does not agree with central differences. */
export async function gradientFaults<L extends string, F extends string = never>(
  title: string,
  { leaves, fixed, away = 0, trace }: Composition<L, F>,
): Promise<Disagreement[]> {
  const random = randomFrom(title);
  const draw = (shape: readonly number[]): Float64Array =>
    Float64Array.from({ length: sizeOf(shape) }, () => {
      const value = 2 * random.uniform() - 1;
      return value + Math.sign(value) * away;
    });
  const graph = new Graph();
  const fixedInputs = Object.entries(fixed ?? {}) as [
    string,
    { shape: readonly number[]; values: readonly number[]; type?: 'i32' },
  ][];
  const leafNames = Object.keys(leaves) as L[];
  const tensors = Object.fromEntries([
    ...leafNames.map((name) => [name, graph.input(name, leaves[name])]),
    ...fixedInputs.map(([name, { shape, type }]) => [name, graph.input(name, shape, type)]),
  ]) as Record<L | F, Tensor>;
  const outputs = Object.entries(trace(tensors, graph));
  const upstream: Shapes = Object.fromEntries(outputs.map(([name, { shape }]) => [`upstream ${name}`, shape]));
  const from = new Map(
    outputs.map(([name, tensor]) => [tensor, graph.input(`upstream ${name}`, tensor.shape)] as const),
  );
  const gradients = differentiate(graph, { from, to: leafNames.map((name) => tensors[name]) });
  for (const [name, tensor] of outputs) graph.output(name, tensor);
  for (const name of leafNames) {
    const gradient = gradients.get(tensors[name]);
    if (gradient !== undefined) graph.output(`grad ${name}`, gradient);
  }

  const engine = new Engine(float64);
  const program = plan(graph);
  const values: Record<string, Float64Array | readonly number[]> = {};
  for (const [name, shape] of Object.entries<readonly number[]>({ ...leaves, ...upstream })) values[name] = draw(shape);
  for (const [name, { values: given }] of fixedInputs) values[name] = given;
  const used = (all: typeof values) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => program.inputs.has(name)));
  const objective = async (changed: typeof values): Promise<number> => {
    const results = await engine.run(program, used({ ...values, ...changed }));
    return outputs.reduce(
      (sum, [name]) => sum + dot(results[name] as Float64Array, values[`upstream ${name}`] as Float64Array),
      0,
    );
  };
  const results = await engine.run(program, used(values));
  const faults: Disagreement[] = [];
  for (const name of leafNames) {
    const at = values[name] as Float64Array;
    const direction = draw(leaves[name]);
    const shifted = (step: number) => ({
      [name]: at.map((value, index) => value + step * (direction[index] as number)),
    });
    const numeric = ((await objective(shifted(EPSILON))) - (await objective(shifted(-EPSILON)))) / (2 * EPSILON);
    const gradient = results[`grad ${name}`] ?? at.map(() => 0);
    const analytic = dot(gradient, direction);
    const size = Math.max(1, dot(gradient.map(Math.abs) as Float64Array, direction.map(Math.abs)));
    if (!(Math.abs(numeric - analytic) <= BOUND * size)) faults.push({ leaf: name, analytic, numeric });
  }
  return faults;
}
