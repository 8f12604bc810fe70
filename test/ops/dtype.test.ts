/** Which matrix products of a graph take bfloat16: those that name no dtype, with their gradients. */
import test from 'ava';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { sumColumns } from '../../src/ops/broadcast.js';
import { full } from '../../src/ops/copy.js';
import { matmul } from '../../src/ops/matmul.js';
import type { Dtype } from '../../src/program/dtype.js';

/** The dim `bfloat16` of all products of c = aᵀ · b and its gradients, and of sums over the columns of c. */
function productsOf(graph: Graph, dtype?: Dtype): { readonly ofC: number[]; readonly ofSums: number[] } {
  const products = (): number[] =>
    graph.nodes.flatMap(({ calls }) =>
      calls.flatMap(({ dims }) => ('bfloat16' in dims ? [dims.bfloat16 as number] : [])),
    );
  const [a, b] = [graph.input('a', [3, 2]), graph.input('b', [3, 4])];
  const c = matmul(a, b, { transposeA: true, ...(dtype !== undefined && { dtype }) });
  differentiate(graph, { from: new Map([[c, full(graph, [2, 4], 1)]]), to: [a, b] });
  const ofC = products();
  const sums = sumColumns(c);
  differentiate(graph, { from: new Map([[sums, full(graph, [2], 1)]]), to: [c] });
  return { ofC, ofSums: products().slice(ofC.length) };
}

test('products and their gradients take the dtype of their graph', (t) => {
  t.deepEqual(productsOf(new Graph('bfloat16')).ofC, [1, 1, 1]);
  t.deepEqual(productsOf(new Graph()).ofC, [0, 0, 0]);
});

test('a product that names its dtype takes that, and so do its gradients', (t) => {
  t.deepEqual(productsOf(new Graph('bfloat16'), 'float32').ofC, [0, 0, 0]);
  t.deepEqual(productsOf(new Graph(), 'bfloat16').ofC, [1, 1, 1]);
});

test('a sum that is computed as a product with ones stays float32', (t) => {
  t.deepEqual(productsOf(new Graph('bfloat16')).ofSums, [0, 0]);
});
