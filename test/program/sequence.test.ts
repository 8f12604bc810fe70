/** Two programs as one: the same results as one after the other, none of them overwritten. */
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';

import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { add, mul } from '../../src/ops/elementwise.js';
import { inSequence, type Program } from '../../src/program/program.js';
import { Arena } from '../../src/program/variable.js';
import { float64 } from '../graph/evaluate.js';

const traced = (trace: (graph: Graph) => void): Program => {
  const graph = new Graph();
  trace(graph);
  return plan(graph);
};

test('the second program finds what the first has assigned, and the outputs of both come out', async (t) => {
  const arena = new Arena('state');
  const state = arena.add('state', [3]);
  const first = traced((graph) => {
    const x = graph.input('x', [3]);
    graph.output('square', mul(x, x));
    graph.assign(state, add(graph.read(state), x));
  });
  const second = traced((graph) => {
    const before = graph.read(state);
    const by = graph.input('by', [3]);
    graph.output('sum', add(mul(before, by), before));
    graph.assign(state, mul(before, before));
  });
  const engine = new Engine(float64);
  await engine.place(arena);
  await engine.write(state, [1, 2, 3]);
  const outputs = await engine.run(inSequence(first, second), { x: [4, 5, 6], by: [10, 20, 30] });
  t.deepEqual(Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, [...values]])), {
    square: [16, 25, 36],
    sum: [55, 147, 279],
  });
  t.deepEqual([...(await engine.read(state))], [25, 49, 81]);
  await engine.close();
});
