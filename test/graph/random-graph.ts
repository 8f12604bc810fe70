/** Random compositions of ops: tensors used again and again, views of them, sums in place, variables that are assigned. */
import fc from 'fast-check';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { accumulate, concat, full, reshape, slice, transpose } from '../../src/ops/copy.js';
import { add, gelu, geluTanh, mul, relu, scale, scaleBy, sigmoid, tanh } from '../../src/ops/elementwise.js';
import { lstm } from '../../src/ops/lstm.js';
import { linear, matmul, productOf } from '../../src/ops/matmul.js';
import { columnSum, sum } from '../../src/ops/reduce.js';
import { maskSteps } from '../../src/ops/sequence.js';
import { Arena, type Variable } from '../../src/program/variable.js';

/** One op of a recipe: which, and on which tensors of those that are there. */
export type Choice = readonly [op: number, a: number, b: number, c: number];

export interface Weights {
  /** [4, 4] */
  readonly square: Tensor;
  /** [4] */
  readonly row: Tensor;
  /** [4, 1] */
  readonly hidden: Tensor;
  /** [4] i32 */
  readonly lengths: Tensor;
}

/** Everything in the pool has 12 elements: [3, 4], [4, 3] or [12]. */
const matrix = (x: Tensor): Tensor => reshape(x, [3, 4]);

export type Op = (a: Tensor, b: Tensor, c: Tensor, weights: Weights) => Tensor;

/** Ops with a gradient and without kinks. */
export const smooth: readonly Op[] = [
  (a, b) => add(matrix(a), matrix(b)),
  (a, b) => mul(matrix(a), matrix(b)),
  (a) => scale(a, -0.5),
  (a) => sigmoid(a),
  (a) => tanh(a),
  (a) => transpose(matrix(a), [1, 0]),
  (a) => reshape(a, [12]),
  (a) => reshape(a, [4, 3]),
  (a, b) => concat([slice(matrix(a), 0, 1, 3), slice(matrix(b), 0, 0, 1)], 0),
  (a, b) => concat([slice(matrix(a), 1, 2, 4), slice(matrix(b), 1, 1, 3)], 1),
  (a, _b, _c, { square }) => matmul(matrix(a), square),
  (a, _b, _c, { square }) => scale(matmul(matrix(a), square), 0.5),
  (a, _b, _c, { square, row }) => tanh(linear(matrix(a), square, row)),
  (a, _b, _c, { square, row }) => gelu(linear(matrix(a), square, row)),
  (a, b, _c, { square, row }) => add(linear(matrix(a), square, row), matrix(b)),
  (a, b, _c, { square }) => geluTanh(add(matrix(b), matmul(matrix(a), square))),
  (a, b) => scale(matmul(matmul(matrix(a), matrix(b), { transposeB: true }), matrix(a)), 0.1),
  (a, b) => add(matrix(a), scaleByOnes(sum(b), a)),
  (a, _b, _c, { lengths }) => reshape(maskSteps(reshape(a, [3, 4, 1]), lengths), [3, 4]),
  (a, b, c, { square, row, hidden }) => {
    const states = [slice(reshape(b, [12]), 0, 3, 4), slice(reshape(c, [12]), 0, 5, 6)].map((x) => reshape(x, [1, 1]));
    const [h0, c0] = states;
    const { output, cLast } = lstm(
      reshape(a, [3, 1, 4]),
      { inputWeight: square, hiddenWeight: hidden, inputBias: row },
      { h0, c0 },
    );
    const y = reshape(output, [3, 1]);
    return concat([y, y, concat([reshape(cLast, [1, 1]), slice(y, 0, 0, 2)], 0), y], 1);
  },
];

/** The sum of b in every element. */
const scaleByOnes = (total: Tensor, a: Tensor): Tensor =>
  scale(
    reshape(
      concat(
        Array.from({ length: a.elements }, () => total),
        0,
      ),
      [3, 4],
    ),
    0.1,
  );

/** Ops that have no gradient, or one with a kink. */
export const others: readonly Op[] = [
  (a) => relu(a),
  (a, b, _c, { square }) => relu(add(reshape(b, [12]), reshape(matmul(matrix(a), square), [12]))),
  (a, b) => accumulate(matrix(a), matrix(b)),
  (a, b) => accumulate(reshape(a, [12]), reshape(b, [12])),
  (a, b, c) => productOf(slice(matrix(a), 1, 0, 3), matrix(b), {}, matrix(c)),
  (a, b) => {
    const start = slice(reshape(b, [12]), 0, 4, 8);
    const bias = columnSum(matrix(a))(start);
    return concat([reshape(bias, [1, 4]), slice(matrix(a), 0, 0, 2)], 0);
  },
  (a, b) => scaleBy(a, slice(reshape(b, [12]), 0, 2, 3)),
  (a) => full(a.graph, [3, 4], 2),
];

/** Grows a pool of tensors by a recipe. */
export function grow(pool: Tensor[], recipe: readonly Choice[], ops: readonly Op[], weights: Weights): void {
  const pick = (index: number): Tensor => pool[index % pool.length] as Tensor;
  for (const [op, a, b, c] of recipe) pool.push((ops[op % ops.length] as Op)(pick(a), pick(b), pick(c), weights));
}

export interface Recipe {
  readonly ops: readonly Choice[];
  /** Tensors handed out. */
  readonly outputs: readonly number[];
  /** For each variable of 12 elements: what it becomes, if anything, and under which condition. */
  readonly assignments: readonly (readonly [value: number, condition: number | undefined] | undefined)[];
  /** A tensor that is differentiated, and for each variable whether the gradient is added to an old sum; absent: none. */
  readonly differentiated: readonly [tensor: number, onto: number] | undefined;
}

const index = fc.nat({ max: 60 });

export const choices = (max: number): fc.Arbitrary<Choice[]> =>
  fc.array(fc.tuple(index, index, index, index), { minLength: 1, maxLength: max });

export const recipes: fc.Arbitrary<Recipe> = fc.record({
  ops: choices(14),
  outputs: fc.array(index, { maxLength: 4 }),
  assignments: fc.array(fc.option(fc.tuple(index, fc.option(index, { nil: undefined })), { nil: undefined }), {
    minLength: 4,
    maxLength: 4,
  }),
  differentiated: fc.option(fc.tuple(index, fc.nat({ max: 15 })), { nil: undefined }),
});

export const SHAPES: Readonly<Record<string, readonly number[]>> = {
  v0: [3, 4],
  v1: [3, 4],
  v2: [12],
  v3: [4, 3],
  square: [4, 4],
  row: [4],
  hidden: [4, 1],
};

export interface Built {
  readonly graph: Graph;
  readonly variables: readonly Variable[];
}

/** A graph over two inputs and four variables of 12 elements, with weights, gradients, outputs and assignments. */
export function build({ ops, outputs, assignments, differentiated }: Recipe): Built {
  const graph = new Graph();
  const arena = new Arena('variables');
  for (const [name, shape] of Object.entries(SHAPES)) arena.add(name, shape);
  const sums = arena.like('sums');
  const variable = (i: number): Variable => arena.get(`v${i}`);
  const weights = {
    square: graph.read(arena.get('square')),
    row: graph.read(arena.get('row')),
    hidden: graph.read(arena.get('hidden')),
    lengths: graph.input('lengths', [4], 'i32'),
  };
  const pool = [graph.input('p', [3, 4]), graph.input('q', [12]), ...[0, 1, 2, 3].map((i) => graph.read(variable(i)))];
  grow(pool, ops, differentiated === undefined ? [...smooth, ...others] : smooth, weights);
  const pick = (i: number): Tensor => pool[i % pool.length] as Tensor;
  if (differentiated !== undefined) {
    const [tensor, onto] = differentiated;
    const targets = new Map(arena.variables.map((each) => [graph.read(each), sums.get(each.name)]));
    const start = [...targets]
      .filter((_, i) => ((onto >> (i % 4)) & 1) === 1)
      .map(([t, v]) => [t, graph.read(v)] as const);
    const y = pick(tensor + 6);
    const from = new Map([[y, graph.input('upstream', y.shape)]]);
    const gradients = differentiate(graph, { from, to: targets.keys(), onto: new Map(start) });
    for (const [target, gradient] of gradients) graph.assign(targets.get(target) as Variable, gradient);
    pool.push(...[...gradients.values()].filter(({ elements }) => elements === 12));
  }
  for (const [i, each] of outputs.entries()) graph.output(`out${i}`, pick(each));
  for (const [i, assignment] of assignments.entries()) {
    if (assignment === undefined) continue;
    const [value, condition] = assignment;
    const flag = condition === undefined ? undefined : slice(reshape(pick(condition), [12]), 0, 1, 2);
    graph.assign(variable(i), pick(value), flag);
  }
  return { graph, variables: [...arena.variables, ...sums.variables] };
}
