/** What is said of a number that is not finite and that a product with a residual and an activation made. */
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { add, gelu } from '../../src/ops/elementwise.js';
import { matmul } from '../../src/ops/matmul.js';
import { locateNonFinite } from '../../src/train/locate.js';

const finite = { x: [1, 2, 3, 4], w: [1, 0, 0, 1], residual: [1, 1, 1, 1], dy: [1, 1, 1, 1] };

for (const [what, changed] of [
  ['an overflow of the sum', { x: [1, 2, 3, 3e38], residual: [0, 0, 0, 3e38] }],
  ['a NaN in a factor', { w: [1, 0, 0, Number.NaN] }],
] as const) {
  for (const isTraining of [true, false]) {
    test(`${what}, ${isTraining ? 'where GELU keeps its argument' : 'where nothing is kept'}`, async (t) => {
      const graph = new Graph();
      const [x, w, residual] = ['x', 'w', 'residual'].map((name) => graph.input(name, [2, 2]));
      const product = graph.within('dense', () => matmul(x!, w!));
      const y = graph.within('block', () => gelu(add(product, residual!)));
      graph.output('y', y);
      if (isTraining) {
        const gradients = differentiate(graph, { from: new Map([[y, graph.input('dy', [2, 2])]]), to: [x!] });
        graph.output('dx', gradients.get(x!)!);
      }
      const program = plan(graph);
      const { dy, ...forward } = finite;
      const inputs = { ...forward, ...(isTraining ? { dy } : {}), ...changed };
      const found = await new Engine(referenceBackend()).use((session) => locateNonFinite(session, program, inputs));
      t.is(found?.label, 'dense');
      t.is(found?.instruction, 'matmul');
      t.is(found?.operand, isTraining ? 'preActivation' : 'c');
      t.regex(found?.position ?? '', what.startsWith('a NaN') ? /^row = 0, column = 1$/ : /^row = 1, column = 1$/);
    });
  }
}
