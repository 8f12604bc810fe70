import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { ShapeError } from '../../src/graph/errors.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { full } from '../../src/ops/copy.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import { mul, tanh } from '../../src/ops/elementwise.js';
import { embedding } from '../../src/ops/embedding.js';
import { linearCrossEntropy } from '../../src/ops/linear-cross-entropy.js';
import { linear } from '../../src/ops/matmul.js';
import type { Program } from '../../src/program/program.js';
import { type Composition, gradientFaults } from '../graph/gradient-check.js';
import { randomFrom } from '../support/random.js';
import { onEvery } from '../train/backends.js';

const check = test.macro({
  title: (title) => `the gradient of ${title} is that of central differences`,
  async exec(t, composition: Composition) {
    t.deepEqual(await gradientFaults(t.title, composition), []);
  },
});

const labelsOf = (N: number, V: number): number[] =>
  Array.from({ length: N }, (_, index) => (index % 3 === 1 ? -100 : (index * 7) % V));

for (const N of [1, 5, 300]) {
  test(`a projection and its cross-entropy, ${N} rows`, check, {
    leaves: { x: [N, 4], weight: [6, 4], bias: [6] },
    fixed: {
      labels: { shape: [N], values: labelsOf(N, 6), type: 'i32' },
      denominator: { shape: [1], values: [N] },
    },
    trace: ({ x, weight, bias, labels, denominator }) => ({
      loss: linearCrossEntropy(
        tanh(x as Tensor),
        { weight: weight as Tensor, bias: bias as Tensor },
        labels as Tensor,
        denominator as Tensor,
      ),
    }),
  });
}
test('a projection by the table of an embedding, without bias', check, {
  leaves: { table: [6, 4] },
  fixed: {
    ids: { shape: [5], values: [1, 3, 1, 0, 5], type: 'i32' },
    labels: { shape: [5], values: [3, 1, 0, -100, 2], type: 'i32' },
    denominator: { shape: [1], values: [4] },
  },
  trace: ({ table, ids, labels, denominator }) => {
    const rows = embedding(table as Tensor, ids as Tensor);
    const loss = linearCrossEntropy(rows, { weight: table as Tensor }, labels as Tensor, denominator as Tensor);
    return { loss, again: mul(loss, loss) };
  },
});

/** Loss and gradients of rows [N, C] over V classes, in one product or some rows at a time. */
function traced(kind: 'whole' | 'parts', [N, C, V]: readonly [number, number, number]): Program {
  const graph = new Graph();
  const [x, weight, bias] = [graph.input('x', [N, C]), graph.input('weight', [V, C]), graph.input('bias', [V])];
  const [labels, denominator] = [graph.input('labels', [N], 'i32'), full(graph, [1], N)];
  const loss =
    kind === 'whole'
      ? crossEntropy(linear(x, weight, bias), labels, denominator)
      : linearCrossEntropy(x, { weight, bias }, labels, denominator);
  const gradients = differentiate(graph, { from: new Map([[loss, full(graph, [1], 1)]]), to: [x, weight] });
  graph.output('loss', loss);
  for (const [name, tensor] of Object.entries({ x, weight })) graph.output(name, gradients.get(tensor) as Tensor);
  return plan(graph);
}

onEvery('the bits are those of one product', async (t, backend) => {
  if (backend.name === 'reference') {
    t.pass('it sums products in one go');
    return;
  }
  const [N, C, V] = [600, 3, 5];
  const random = randomFrom(t.title);
  const draw = (n: number): Float32Array => Float32Array.from({ length: n }, () => 2 * random.uniform() - 1);
  const inputs = { x: draw(N * C), weight: draw(V * C), bias: draw(V), labels: labelsOf(N, V) };
  const engine = new Engine(backend);
  const whole = await engine.run(traced('whole', [N, C, V]), inputs);
  t.deepEqual(await engine.run(traced('parts', [N, C, V]), inputs), whole);
});

test('memory does not grow with rows times classes', (t) => {
  const [N, C, V] = [2048, 8, 4096];
  t.true(traced('whole', [N, C, V]).transientElements > N * V);
  t.true(traced('parts', [N, C, V]).transientElements < 0.2 * N * V);
});

test('no gradient is computed that nobody reads', (t) => {
  const graph = new Graph();
  const [x, weight] = [graph.input('x', [600, 4]), graph.input('weight', [6, 4])];
  const labels = graph.input('labels', [600], 'i32');
  graph.output('loss', linearCrossEntropy(x, { weight }, labels, full(graph, [1], 600)));
  const program = plan(graph);
  t.false(program.calls.some(({ instruction }) => instruction === 'matmulAdd'));
  t.is(program.calls.filter(({ instruction }) => instruction === 'matmul').length, 3);
});

test('shapes that do not fit are refused by name', (t) => {
  const graph = new Graph();
  const [x, weight, bias] = [graph.input('x', [5, 4]), graph.input('weight', [6, 3]), graph.input('bias', [6])];
  const [labels, one] = [graph.input('labels', [5], 'i32'), full(graph, [1], 1)];
  t.throws(() => linearCrossEntropy(x, { weight, bias }, labels, one), {
    instanceOf: ShapeError,
    message: 'linearCrossEntropy: Expected `weight` to be [V = 6, C = 4] but received [6, 3]',
  });
  const floats = graph.input('floats', [5]);
  const square = graph.input('square', [6, 4]);
  t.throws(() => linearCrossEntropy(x, { weight: square }, floats, one), { message: /`labels` to be of type i32/ });
});
