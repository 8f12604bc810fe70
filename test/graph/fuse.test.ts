/** Which instructions a planned program has where something follows a product. */
import assert from 'node:assert/strict';
import test from 'ava';
import fc from 'fast-check';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { accumulate, concat, reshape, slice, transpose } from '../../src/ops/copy.js';
import { add, gelu, geluTanh, mul, relu, scale, tanh } from '../../src/ops/elementwise.js';
import { linear, matmul, productOf } from '../../src/ops/matmul.js';
import type { PlannedCall, Program } from '../../src/program/program.js';
import { Arena } from '../../src/program/variable.js';
import type { Op, Weights } from './random-graph.js';
import { meaningOf, runSymbolically } from './symbolic.js';

interface Setting {
  readonly graph: Graph;
  /** [3, 4] */
  readonly x: Tensor;
  readonly r: Tensor;
  /** [4, 4] */
  readonly w: Tensor;
  /** [4] */
  readonly bias: Tensor;
}

function setting(): Setting {
  const graph = new Graph();
  const [x, r] = [graph.input('x', [3, 4]), graph.input('r', [3, 4])];
  return { graph, x, r, w: graph.input('w', [4, 4]), bias: graph.input('bias', [4]) };
}

/** A call in a word: its instruction and, of a product, what follows: `matmul+residual>preActivation gelu`. */
function describe({ instruction, operands, dims }: PlannedCall): string {
  if (instruction !== 'matmul') return instruction;
  const sum = operands.residual === undefined ? '' : '+residual';
  const kept = operands.preActivation === undefined ? '' : '>preActivation';
  const functions = ['', ' relu', ' gelu', ' geluTanh'];
  return `matmul${sum}${kept}${functions[dims.activation as number]}`;
}

const callsOf = (program: Program): string[] => program.calls.map(describe);

/** The program of the outputs that `trace` gives. */
function planned(trace: (setting: Setting) => readonly Tensor[]): string[] {
  const given = setting();
  for (const [index, tensor] of trace(given).entries()) given.graph.output(`out${index}`, tensor);
  return callsOf(plan(given.graph));
}

const becomes = (title: string, trace: (setting: Setting) => readonly Tensor[], expected: readonly string[]): void => {
  test(title, (t) => t.deepEqual(planned(trace), [...expected]));
};

for (const [name, f] of Object.entries({ relu, gelu, geluTanh })) {
  becomes(`${name} of a product is part of it`, ({ x, w, bias }) => [f(linear(x, w, bias))], [`matmul ${name}`]);
}
becomes('a sum with what is there before is part of the product', ({ x, w, r }) => [add(matmul(x, w), r)], [
  'matmul+residual',
]);
becomes('whichever summand is the product', ({ x, w, r }) => [add(r, matmul(x, w))], ['matmul+residual']);
becomes('a sum and then a function', ({ x, w, r }) => [gelu(add(r, matmul(x, w)))], ['matmul+residual gelu']);
becomes('through another shape', ({ x, w, r }) => [relu(add(reshape(matmul(x, w), [12]), reshape(r, [12])))], [
  'matmul+residual relu',
]);
becomes('one product after another', ({ x, w, r }) => [add(matmul(gelu(matmul(x, w)), w), r)], [
  'matmul gelu',
  'matmul+residual',
]);
becomes('the factor as residual', ({ x, w }) => [add(matmul(x, w), x)], ['matmul+residual']);
becomes('the sum of two products: the second takes the first', ({ x, w, r }) => [add(matmul(x, w), matmul(r, w))], [
  'matmul',
  'matmul+residual',
]);
becomes(
  'an argument that somebody else reads is kept',
  ({ x, w }) => {
    const before = matmul(x, w);
    return [mul(gelu(before), tanh(before))];
  },
  ['matmul>preActivation gelu', 'tanh', 'mul'],
);
becomes(
  'an argument that is fetched is kept',
  ({ x, w }) => {
    const before = matmul(x, w);
    return [before, relu(before)];
  },
  ['matmul>preActivation relu'],
);
becomes(
  'of two functions the first is part of the product',
  ({ x, w }) => {
    const before = matmul(x, w);
    return [relu(before), gelu(before)];
  },
  ['matmul>preActivation relu', 'gelu'],
);
becomes(
  'batches of matrices',
  ({ x, w, graph }) => {
    const [a, b] = [graph.input('a', [2, 3, 4]), graph.input('b', [2, 4, 4])];
    return [gelu(matmul(a, b)), matmul(x, w)];
  },
  ['matmul gelu', 'matmul'],
);

// What must stay as it is.
becomes(
  'not: a residual that is computed after the product',
  ({ x, w, r }) => {
    const product = matmul(x, w);
    return [add(product, scale(r, 2))];
  },
  ['matmul', 'scale', 'add'],
);
becomes(
  'not: a residual that is computed from the product',
  ({ x, w }) => {
    const product = matmul(x, w);
    return [add(product, scale(product, 2))];
  },
  ['matmul', 'scale', 'add'],
);
becomes(
  'not: a product added to itself',
  ({ x, w }) => {
    const product = matmul(x, w);
    return [add(product, product)];
  },
  ['matmul', 'add'],
);
becomes(
  'not: a sum whose product is fetched',
  ({ x, w, r }) => {
    const product = matmul(x, w);
    return [product, gelu(add(product, r))];
  },
  ['matmul', 'add', 'gelu'],
);
becomes(
  'not: a sum whose product is read again',
  ({ x, w, r }) => {
    const product = matmul(x, w);
    return [mul(add(product, r), product)];
  },
  ['matmul', 'add', 'mul'],
);
becomes(
  'not: a sum whose product a part of is read',
  ({ x, w, r }) => {
    const product = matmul(x, w);
    return [add(product, r), scale(slice(product, 0, 1, 2), 2)];
  },
  ['matmul', 'add', 'scale'],
);
becomes(
  'not: a sum with a part of a product',
  ({ x, w, r }) => [add(slice(matmul(x, w), 0, 0, 2), slice(r, 0, 0, 2))],
  ['matmul', 'add'],
);
becomes(
  'not: a function of a part',
  ({ x, w }) => [relu(slice(matmul(x, w), 0, 0, 2)), relu(slice(matmul(x, w), 0, 1, 3))],
  ['matmul', 'relu', 'matmul', 'relu'],
);
becomes('not: a function of a transpose', ({ x, w }) => [relu(transpose(matmul(x, w), [1, 0]))], [
  'matmul',
  'copy',
  'relu',
]);
becomes('not: other functions', ({ x, w }) => [tanh(matmul(x, w))], ['matmul', 'tanh']);
becomes('not: a product that is added to a sum', ({ x, w, r }) => [relu(productOf(x, w, {}, r))], [
  'matmulAdd',
  'relu',
]);
becomes(
  'not: a sum where something else is accumulated onto the product',
  ({ x, w, r }) => {
    const product = matmul(x, w);
    return [accumulate(product, r), add(product, r)];
  },
  ['matmul', 'copy', 'copyAdd', 'add'],
);

test('training: gelu keeps its argument for its gradient, relu has none to keep; gradients stay products', (t) => {
  const calls = [gelu, relu].map((f) => {
    const { graph, x, w, r } = setting();
    const y = f(add(matmul(x, w), r));
    const gradients = differentiate(graph, { from: new Map([[y, graph.input('dy', [3, 4])]]), to: [w, r] });
    for (const [index, gradient] of [...gradients.values()].entries()) graph.output(`gradient${index}`, gradient);
    graph.output('y', y);
    return callsOf(plan(graph));
  });
  t.deepEqual(calls, [
    ['matmul+residual>preActivation gelu', 'geluBackward', 'matmul'],
    ['matmul+residual relu', 'reluBackward', 'matmul'],
  ]);
});

test('a variable may become a function of a product of its old value', (t) => {
  const graph = new Graph();
  const arena = new Arena('variables');
  arena.add('state', [3, 4]);
  const state = graph.read(arena.get('state'));
  graph.assign(arena.get('state'), relu(add(matmul(state, graph.input('w', [4, 4])), state)));
  t.deepEqual(callsOf(plan(graph)), ['matmul+residual relu', 'copy']);
});

test('a fused call carries the label of its product', (t) => {
  const { graph, x, w } = setting();
  const product = graph.within('dense', () => matmul(x, w));
  graph.output(
    'y',
    graph.within('activation', () => gelu(product)),
  );
  t.deepEqual(
    plan(graph).calls.map(({ label }) => label),
    ['dense'],
  );
});

/** Little but products and what may follow them, each of some tensor that is there: everything is [3, 4]. */
const ops: readonly Op[] = [
  (a, _b, _c, { square }) => matmul(a, square),
  (a, _b, _c, { square, row }) => linear(a, square, row),
  ...[add, add, add],
  ...[relu, gelu, geluTanh].map((f) => (a: Tensor) => f(a)),
  (a) => scale(a, 2),
  (a) => relu(slice(concat([a, a], 0), 0, 1, 4)),
  (a) => concat([gelu(slice(a, 0, 0, 2)), slice(a, 0, 2, 3)], 0),
];

const index = fc.nat({ max: 60 });

/** Picks the last tensors more often than others: what follows a product is near it. */
const recent = fc.oneof({ arbitrary: fc.constantFrom(-1, -2, -3), weight: 3 }, { arbitrary: index, weight: 1 });

test('random graphs full of such calls compute what they mean', (t) => {
  const found = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(index, recent, recent), { minLength: 2, maxLength: 10 }),
      fc.array(recent, { minLength: 1, maxLength: 3 }),
      (choices, outputs) => {
        const { graph, x, r, w, bias } = setting();
        const pool = [x, r];
        const pick = (i: number): Tensor => pool.at(i < 0 ? Math.max(i, -pool.length) : i % pool.length) as Tensor;
        for (const [op, a, b] of choices) {
          const weights = { square: w, row: bias } as Weights;
          pool.push((ops[op % ops.length] as Op)(pick(a), pick(b), pick(b), weights));
        }
        for (const [i, output] of outputs.entries()) graph.output(`out${i}`, pick(output));
        const program = plan(graph);
        for (const call of callsOf(program)) found.set(call, (found.get(call) ?? 0) + 1);
        const { overlaps, ...actual } = runSymbolically(program, []);
        assert.deepEqual(overlaps, []);
        assert.deepEqual(actual, meaningOf(graph, []));
      },
    ),
    { numRuns: 2000, seed: 1 },
  );
  for (const call of [
    'matmul+residual',
    'matmul gelu',
    'matmul>preActivation relu',
    'matmul+residual>preActivation gelu',
  ])
    t.true((found.get(call) ?? 0) > 2, `${call}: ${found.get(call)}`);
});
