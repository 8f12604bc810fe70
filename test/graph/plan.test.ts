import assert from 'node:assert/strict';
import test from 'ava';
import fc from 'fast-check';
import { Engine } from '../../src/backends/engine.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { Program } from '../../src/program/program.js';
import { randomFrom } from '../support/random.js';
import { evaluatePurely, float64 } from './evaluate.js';
import { gradientFaults } from './gradient-check.js';
import { build, choices, grow, recipes, SHAPES, smooth } from './random-graph.js';
import { meaningOf, runSymbolically } from './symbolic.js';

test('a planned program computes what its graph means, and no live value is overwritten', (t) => {
  fc.assert(
    fc.property(recipes, (recipe) => {
      const { graph, variables } = build(recipe);
      const { overlaps, ...actual } = runSymbolically(plan(graph), variables);
      assert.deepEqual(overlaps, []);
      assert.deepEqual(actual, meaningOf(graph, variables));
    }),
    { numRuns: 300, seed: 1 },
  );
  t.pass();
});

test('a planned program gives the numbers of an unplanned evaluation, bit for bit', async (t) => {
  await fc.assert(
    fc.asyncProperty(recipes, async (recipe) => {
      const { graph, variables } = build(recipe);
      const random = randomFrom(JSON.stringify(recipe));
      const draw = (n: number): number[] => Array.from({ length: n }, () => random.value());
      const inputs = { p: draw(12), q: draw(12), upstream: draw(12), lengths: [3, 0, 2, 1] };
      const values = new Map(variables.map((variable) => [variable, draw(variable.elements)]));
      const expected = await evaluatePurely(graph, inputs, values);

      const engine = new Engine(float64);
      await engine.place(...new Set(variables.map(({ arena }) => arena)));
      for (const [variable, numbers] of values) await engine.write(variable, numbers);
      const program = plan(graph);
      const used = Object.fromEntries(Object.entries(inputs).filter(([name]) => program.inputs.has(name)));
      assert.deepEqual(await engine.run(program, used), expected.outputs);
      for (const [variable, numbers] of values) {
        const after = expected.variables.get(variable) ?? Float64Array.from(numbers);
        assert.deepEqual(await engine.read(variable), after, variable.name);
      }
    }),
    { numRuns: 100, seed: 2 },
  );
  t.pass();
});

test('the gradients of random compositions are those of central differences', async (t) => {
  await fc.assert(
    fc.asyncProperty(choices(8), async (ops) => {
      const faults = await gradientFaults<string, string>(JSON.stringify(ops), {
        leaves: SHAPES,
        fixed: { lengths: { shape: [4], values: [3, 0, 2, 1], type: 'i32' } },
        trace: (tensors) => {
          const pool = ['v0', 'v1', 'v2', 'v3'].map((name) => tensors[name]!);
          grow(pool, ops, smooth, tensors as never);
          return { last: pool.at(-1)!, before: pool.at(-2)! };
        },
      });
      assert.deepEqual(faults, []);
    }),
    { numRuns: 60, seed: 3 },
  );
  t.pass();
});

test('planted fault: a program whose values share memory too early is noticed', (t) => {
  let noticed = 0;
  for (const recipe of fc.sample(recipes, { numRuns: 40, seed: 4 })) {
    const { graph, variables } = build(recipe);
    const planned = plan(graph);
    const squeeze = 48; // wraps the transient arena around
    const calls = planned.calls.map((each) => ({
      ...each,
      operands: Object.fromEntries(
        Object.entries(each.operands).map(([name, place]) => [
          name,
          place && place.variable === undefined ? { offset: place.offset % squeeze } : place,
        ]),
      ),
    }));
    const broken = new Program(calls, planned.inputs, planned.unusedInputs, planned.outputs, squeeze);
    const { overlaps, ...actual } = runSymbolically(broken, variables);
    if (overlaps.length > 0 || JSON.stringify(actual) !== JSON.stringify(meaningOf(graph, variables))) noticed++;
  }
  t.true(noticed > 10, `${noticed} of 40`);
});

test('an empty graph is an empty program', (t) => {
  const { calls, transientElements } = plan(new Graph());
  t.deepEqual([calls.length, transientElements], [0, 0]);
});
