import test, { type ExecutionContext } from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { accumulate, reshape, slice } from '../../src/ops/copy.js';
import { add, scale, tanh } from '../../src/ops/elementwise.js';
import { Arena, type Variable } from '../../src/program/variable.js';
import { float64 } from './evaluate.js';
import { meaningOf, runSymbolically } from './symbolic.js';

type Abc = Readonly<Record<'a' | 'b' | 'c', Variable>>;

interface Result {
  readonly variables: readonly (readonly number[])[];
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly calls: readonly string[];
}

/** Variables a = [1, 2], b = [10, 20], c = [100, 200] after a program, checked symbolically too. */
async function run(
  t: ExecutionContext,
  trace: (graph: Graph, variables: Abc) => void,
  inputs: Readonly<Record<string, readonly number[]>> = {},
): Promise<Result> {
  const arena = new Arena('state');
  const [a, b, c] = ['a', 'b', 'c'].map((name) => arena.add(name, [2])) as [Variable, Variable, Variable];
  const graph = new Graph();
  trace(graph, { a, b, c });
  const program = plan(graph);
  const { overlaps, ...actual } = runSymbolically(program, [a, b, c]);
  t.deepEqual(overlaps, []);
  t.deepEqual(actual, meaningOf(graph, [a, b, c]));
  const engine = new Engine(float64);
  await engine.place(arena);
  for (const [variable, values] of [
    [a, [1, 2]],
    [b, [10, 20]],
    [c, [100, 200]],
  ] as const)
    await engine.write(variable, values);
  const outputs = await engine.run(program, inputs);
  const variables = [];
  for (const variable of [a, b, c]) variables.push([...(await engine.read(variable))]);
  return {
    variables,
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, [...values]])),
    calls: program.calls.map(({ instruction }) => instruction),
  };
}

test('two variables are swapped', async (t) => {
  const { variables } = await run(t, (graph, { a, b }) => {
    graph.assign(a, graph.read(b));
    graph.assign(b, graph.read(a));
  });
  t.deepEqual(variables, [
    [10, 20],
    [1, 2],
    [100, 200],
  ]);
});

test('three variables go round', async (t) => {
  const { variables } = await run(t, (graph, { a, b, c }) => {
    graph.assign(a, graph.read(b));
    graph.assign(b, graph.read(c));
    graph.assign(c, graph.read(a));
  });
  t.deepEqual(variables, [
    [10, 20],
    [100, 200],
    [1, 2],
  ]);
});

for (const order of ['front', 'back'] as const) {
  test(`a shift a ← b ← c, assigned from the ${order}, keeps old values`, async (t) => {
    const { variables } = await run(
      t,
      (graph, { a, b, c }) => {
        const steps = [
          () => graph.assign(a, graph.read(b)),
          () => graph.assign(b, graph.read(c)),
          () => graph.assign(c, graph.input('next', [2])),
        ];
        for (const step of order === 'front' ? steps : steps.reverse()) step();
      },
      { next: [7, 8] },
    );
    t.deepEqual(variables, [
      [10, 20],
      [100, 200],
      [7, 8],
    ]);
  });
}

test('an old value is handed out while its variable is assigned', async (t) => {
  const { variables, outputs } = await run(t, (graph, { a }) => {
    graph.output('old', graph.read(a));
    graph.output('old end', slice(graph.read(a), 0, 1, 2));
    const next = scale(graph.read(a), 3);
    graph.assign(a, next);
    graph.output('new', next);
  });
  t.deepEqual(variables[0], [3, 6]);
  t.deepEqual(outputs, { old: [1, 2], 'old end': [2], new: [3, 6] });
});

test('an updated value is read by others, and they see the updated one', async (t) => {
  const { variables } = await run(t, (graph, { a, b, c }) => {
    const next = accumulate(graph.read(a), graph.read(b));
    graph.assign(a, next);
    graph.assign(b, add(next, graph.read(b)));
    graph.assign(c, graph.read(a));
  });
  t.deepEqual(variables, [
    [11, 22],
    [21, 42],
    [1, 2],
  ]);
});

test('two variables become the same value', async (t) => {
  const { variables } = await run(t, (graph, { a, b, c }) => {
    const next = tanh(scale(graph.read(c), 0));
    graph.assign(a, next);
    graph.assign(b, reshape(next, [2]));
  });
  t.deepEqual(variables, [
    [0, 0],
    [0, 0],
    [100, 200],
  ]);
});

for (const flag of [0, 1]) {
  test(`assigned under a condition that is ${flag}, with readers of the old value`, async (t) => {
    const { variables, outputs } = await run(
      t,
      (graph, { a, b, c }) => {
        const condition = graph.input('flag', [1]);
        graph.assign(a, graph.read(b), condition);
        graph.assign(b, graph.read(a), condition);
        graph.assign(c, add(graph.read(a), graph.read(b)));
        graph.output('a', graph.read(a));
      },
      { flag: [flag] },
    );
    t.deepEqual(
      variables,
      flag === 1
        ? [
            [10, 20],
            [1, 2],
            [11, 22],
          ]
        : [
            [1, 2],
            [10, 20],
            [11, 22],
          ],
    );
    t.deepEqual(outputs, { a: [1, 2] });
  });
}

test('a condition that is itself overwritten still counts as it was', async (t) => {
  const { variables } = await run(t, (graph, { a, b, c }) => {
    const flag = slice(graph.read(c), 0, 0, 1);
    graph.assign(c, scale(graph.read(c), 0));
    graph.assign(a, graph.read(b), flag);
  });
  t.deepEqual(variables, [
    [10, 20],
    [10, 20],
    [0, 0],
  ]);
});

test('a chain of updates in place needs no copy', async (t) => {
  const { variables, calls } = await run(t, (graph, { a, b }) => {
    const once = accumulate(graph.read(a), graph.read(b));
    graph.assign(a, accumulate(once, graph.read(b)));
  });
  t.deepEqual(variables[0], [21, 42]);
  t.deepEqual(calls, ['copyAdd', 'copyAdd']);
});

test('a chain of updates whose middle is handed out keeps the middle', async (t) => {
  const { variables, outputs } = await run(t, (graph, { a, b }) => {
    const once = accumulate(graph.read(a), graph.read(b));
    graph.output('middle', once);
    graph.assign(a, accumulate(once, graph.read(b)));
  });
  t.deepEqual(
    [variables[0], outputs.middle],
    [
      [21, 42],
      [11, 22],
    ],
  );
});

test('a variable is added to itself', async (t) => {
  const { variables } = await run(t, (graph, { a }) => {
    graph.assign(a, accumulate(graph.read(a), graph.read(a)));
  });
  t.deepEqual(variables[0], [2, 4]);
});

test('the gradient of x + x lands in a variable', async (t) => {
  const { variables } = await run(t, (graph, { a, b }) => {
    const x = graph.read(a);
    const y = add(x, x);
    const gradients = differentiate(graph, { from: new Map([[y, scale(graph.read(b), 1)]]), to: [x] });
    graph.assign(b, gradients.get(x)!);
  });
  t.deepEqual(variables[1], [20, 40]);
});

test('a variable that becomes itself stays', async (t) => {
  const { variables, calls } = await run(
    t,
    (graph, { a, b }) => {
      graph.assign(a, graph.read(a));
      graph.assign(b, graph.read(b), graph.input('flag', [1]));
    },
    { flag: [1] },
  );
  t.deepEqual(variables, [
    [1, 2],
    [10, 20],
    [100, 200],
  ]);
  t.deepEqual(calls, []);
});

test('assigned twice is refused', (t) => {
  const arena = new Arena('state');
  const a = arena.add('a', [2]);
  const graph = new Graph();
  graph.assign(a, graph.read(a));
  t.throws(() => graph.assign(a, graph.read(a)), { message: /state\/a is assigned twice/ });
  t.throws(() => new Graph().assign(a, graph.input('x', [3])), { name: 'ShapeError' });
});

test('a variable that is seen whole and in part is refused', (t) => {
  const arena = new Arena('state');
  const a = arena.add('a', [2]);
  const graph = new Graph();
  graph.output('whole', scale(graph.read(arena.whole), 2));
  graph.assign(a, graph.input('x', [2]));
  t.throws(() => plan(graph), { message: /state\/a and state\/\* share memory|state\/\* and state\/a share memory/ });
});
