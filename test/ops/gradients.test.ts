import test from 'ava';
import { call, Graph } from '../../src/graph/graph.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { attention } from '../../src/ops/attention.js';
import { broadcastColumns, broadcastRows, sumColumns, sumRows } from '../../src/ops/broadcast.js';
import { accumulate, computed, concat, reshape, slice, transpose } from '../../src/ops/copy.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import {
  add,
  divide,
  divideBy,
  gelu,
  geluTanh,
  mul,
  relu,
  scale,
  scaleBy,
  sigmoid,
  sqrt,
  subtract,
  tanh,
} from '../../src/ops/elementwise.js';
import { embedding, Lookup } from '../../src/ops/embedding.js';
import { layerNorm } from '../../src/ops/layer-norm.js';
import { linear, matmul } from '../../src/ops/matmul.js';
import { dropout } from '../../src/ops/random.js';
import { sum } from '../../src/ops/reduce.js';
import { maskSteps, maxSteps, meanSteps, selectRows } from '../../src/ops/sequence.js';
import { type Composition, gradientFaults } from '../graph/gradient-check.js';

const check = test.macro({
  title: (title) => `the gradient of ${title} is that of central differences`,
  async exec(t, composition: Composition) {
    t.deepEqual(await gradientFaults(t.title, composition), []);
  },
});

const pair = { a: [3, 5], b: [3, 5] } as const;
const one = { x: [3, 5] } as const;

test('add', check, { leaves: pair, trace: ({ a, b }) => ({ y: add(a as Tensor, b as Tensor) }) });
test('add of a tensor to itself', check, { leaves: one, trace: ({ x }) => ({ y: add(x as Tensor, x as Tensor) }) });
test('mul', check, { leaves: pair, trace: ({ a, b }) => ({ y: mul(a as Tensor, b as Tensor) }) });
test('a square', check, { leaves: one, trace: ({ x }) => ({ y: mul(x as Tensor, x as Tensor) }) });
test('scale', check, { leaves: one, trace: ({ x }) => ({ y: scale(x as Tensor, -1.75) }) });
test('scaleBy', check, {
  leaves: { x: [3, 5], factor: [1] },
  trace: ({ x, factor }) => ({ y: scaleBy(x as Tensor, factor as Tensor) }),
});
test('sigmoid', check, { leaves: one, trace: ({ x }) => ({ y: sigmoid(x as Tensor) }) });
test('tanh', check, { leaves: one, trace: ({ x }) => ({ y: tanh(x as Tensor) }) });
test('relu', check, { leaves: one, away: 0.01, trace: ({ x }) => ({ y: relu(x as Tensor) }) });
test('gelu', check, { leaves: one, trace: ({ x }) => ({ y: gelu(scale(x as Tensor, 4)) }) });
test('geluTanh', check, { leaves: one, trace: ({ x }) => ({ y: geluTanh(scale(x as Tensor, 4)) }) });
test('sum', check, { leaves: one, trace: ({ x }) => ({ y: sum(mul(x as Tensor, x as Tensor)) }) });
test('reshape', check, { leaves: { x: [3, 4] }, trace: ({ x }) => ({ y: tanh(reshape(x as Tensor, [2, 6])) }) });

for (const transposeA of [false, true]) {
  for (const transposeB of [false, true]) {
    for (const batch of [[], [2]]) {
      const title = `matmul ${transposeA ? 'Aᵀ' : 'A'}·${transposeB ? 'Bᵀ' : 'B'}${batch.length > 0 ? ', batched' : ''}, with bias`;
      test(title, check, {
        leaves: {
          a: [...batch, ...(transposeA ? [4, 3] : [3, 4])],
          b: [...batch, ...(transposeB ? [5, 4] : [4, 5])],
          bias: [5],
        },
        trace: ({ a, b, bias }) => ({
          c: matmul(a as Tensor, b as Tensor, { transposeA, transposeB, bias: bias as Tensor }),
        }),
      });
    }
  }
}
test('a matrix times itself transposed', check, {
  leaves: { a: [3, 4] },
  trace: ({ a }) => ({ c: matmul(a as Tensor, a as Tensor, { transposeB: true }) }),
});
test('matmul without bias, K larger than a block of 256', check, {
  leaves: { a: [2, 300], b: [300, 3] },
  trace: ({ a, b }) => ({ c: matmul(a as Tensor, b as Tensor) }),
});
test('linear over three axes', check, {
  leaves: { x: [2, 3, 4], weight: [5, 4], bias: [5] },
  trace: ({ x, weight, bias }) => ({ y: linear(x as Tensor, weight as Tensor, bias as Tensor) }),
});
test('a weight used twice', check, {
  leaves: { x: [3, 4], weight: [4, 4] },
  trace: ({ x, weight }) => ({ y: linear(tanh(linear(x as Tensor, weight as Tensor)), weight as Tensor) }),
});
test('embedding, some ids more than once', check, {
  leaves: { table: [4, 3] },
  fixed: { ids: { shape: [2, 3], values: [1, 3, 1, 0, 1, 3], type: 'i32' } },
  trace: ({ table, ids }) => ({ y: tanh(embedding(table as Tensor, ids as Tensor)) }),
});
test('a table looked up twice', check, {
  leaves: { table: [4, 3] },
  fixed: { ids: { shape: [4], values: [1, 3, 1, 0], type: 'i32' } },
  trace: ({ table, ids }) => ({
    y: mul(embedding(table as Tensor, ids as Tensor), tanh(embedding(table as Tensor, ids as Tensor))),
  }),
});
for (const [rows, values] of [
  ['more rows than the table has', [1, 3, 1, 0, 1, 3]],
  ['fewer', [3, 1, 3]],
] as const) {
  test(`linear over a lookup of ${rows}`, check, {
    leaves: { table: [4, 3], weight: [5, 3], bias: [5] },
    fixed: { ids: { shape: [values.length], values, type: 'i32' } },
    trace: ({ table, weight, bias, ids }) => ({
      y: tanh(linear(new Lookup(table as Tensor, ids as Tensor), weight as Tensor, bias as Tensor)),
    }),
  });
}
test('linear over a lookup of more rows than the table has takes as many rows as the table', (t) => {
  const graph = new Graph();
  const [table, weight] = [graph.input('table', [4, 3]), graph.input('weight', [5, 3])];
  const rows = new Lookup(table, graph.input('ids', [3, 2], 'i32'));
  t.deepEqual(linear(rows, weight).shape, [3, 2, 5]);
  t.deepEqual(
    graph.nodes.flatMap(({ calls }) => calls.map(({ instruction, dims }) => [instruction, 'M' in dims && dims.M])),
    [
      ['matmul', 4],
      ['embedding', false],
    ],
  );
});
for (const axis of [0, 1, 2]) {
  test(`slice along axis ${axis}, overlapping parts`, check, {
    leaves: { x: [4, 4, 4] },
    trace: ({ x }) => ({ y: mul(slice(x as Tensor, axis, 0, 3), slice(x as Tensor, axis, 1, 4)) }),
  });
  test(`concat along axis ${axis}, a part twice`, check, {
    leaves: { a: [2, 3, 4], b: [2, 3, 4].with(axis, 5) },
    trace: ({ a, b }) => ({ y: concat([a as Tensor, b as Tensor, tanh(a as Tensor), a as Tensor], axis) }),
  });
}
for (const order of [
  [1, 0],
  [2, 0, 1],
  [1, 2, 0],
  [3, 1, 0, 2],
  [0, 2, 1, 3],
]) {
  test(`transpose ${order}`, check, {
    leaves: { x: [2, 3, 4, 5].slice(0, order.length) },
    trace: ({ x }) => ({ y: sigmoid(transpose(x as Tensor, order)) }),
  });
}
test('maskSteps', check, {
  leaves: { x: [4, 3, 2] },
  fixed: { lengths: { shape: [3], values: [0, 4, 2], type: 'i32' } },
  trace: ({ x, lengths }) => ({ y: maskSteps(mul(x as Tensor, x as Tensor), lengths as Tensor) }),
});
test('subtract', check, { leaves: pair, trace: ({ a, b }) => ({ y: subtract(a as Tensor, b as Tensor) }) });
test('divide', check, { leaves: pair, away: 0.5, trace: ({ a, b }) => ({ y: divide(a as Tensor, b as Tensor) }) });
test('divideBy', check, {
  leaves: { x: [3, 5], divisor: [1] },
  away: 0.5,
  trace: ({ x, divisor }) => ({ y: divideBy(x as Tensor, divisor as Tensor) }),
});
test('sqrt', check, {
  leaves: one,
  away: 0.5,
  trace: ({ x }) => ({ y: sqrt(mul(x as Tensor, x as Tensor)) }),
});
test('sums and repetitions along both axes', check, {
  leaves: { x: [3, 5] },
  trace: ({ x }) => {
    const [rows, columns] = [sumRows(x as Tensor), sumColumns(x as Tensor)];
    return { rows, columns, y: mul(broadcastRows(tanh(rows), 3), broadcastColumns(tanh(columns), 5)) };
  },
});
test('layerNorm', check, {
  leaves: { x: [3, 5], gain: [5], bias: [5] },
  trace: ({ x, gain, bias }) => ({ y: layerNorm(x as Tensor, { gain: gain as Tensor, bias: bias as Tensor }) }),
});
test('layerNorm without gain and bias, of rows used elsewhere too', check, {
  leaves: { x: [3, 5] },
  trace: ({ x }) => ({ y: mul(layerNorm(x as Tensor), x as Tensor) }),
});
const draws = { random: { shape: [3], values: [7, 0, 3], type: 'i32' } } as const;
for (const [B, T, heads, HS] of [
  [2, 1, 2, 3],
  [2, 4, 3, 2],
  [1, 70, 1, 2],
] as const) {
  const leaves = { qkv: [B, T, 3 * heads * HS] };
  const title = `attention of ${heads} heads of ${HS} over ${T} positions`;
  const mask = {
    shape: [B, T],
    values: [...Array(B * T).keys()].map((j) => Number(j % T < T - 1 || j < T)),
    type: 'i32',
  } as const;
  test(title, check, { leaves, trace: ({ qkv }) => ({ y: attention(qkv as Tensor, { heads }) }) });
  test(`${title}, masked`, check, {
    leaves,
    fixed: { mask },
    trace: ({ qkv, mask }) => ({ y: attention(scale(qkv as Tensor, 2), { heads, mask }) }),
  });
  test(`${title}, causal, with dropout`, check, {
    leaves,
    fixed: draws,
    trace: ({ qkv, random }) => ({
      y: attention(qkv as Tensor, { heads, causal: true, dropout: { rate: 0.4, random: random as Tensor, stream: 5 } }),
    }),
  });
}
for (const [title, values] of [
  ['lengths', [0, 4, 2]],
  ['lengths beyond T', [1, 9, 4]],
] as const) {
  const lengths = { shape: [3], values, type: 'i32' } as const;
  test(`maxSteps, ${title}`, check, {
    leaves: { x: [4, 3, 2] },
    fixed: { lengths },
    trace: ({ x, lengths }) => ({ y: maxSteps(x as Tensor, lengths as Tensor) }),
  });
  test(`meanSteps, ${title}`, check, {
    leaves: { x: [4, 3, 2] },
    fixed: { lengths },
    trace: ({ x, lengths }) => ({ y: meanSteps(mul(x as Tensor, x as Tensor), lengths as Tensor) }),
  });
}
test('maxSteps and meanSteps over all steps', check, {
  leaves: { x: [4, 3, 2] },
  trace: ({ x }) => ({ most: maxSteps(x as Tensor), mean: meanSteps(x as Tensor) }),
});
test('selectRows', check, {
  leaves: { a: [4, 3], b: [4, 3] },
  fixed: { flags: { shape: [4], values: [1, 0, -3, 0], type: 'i32' } },
  trace: ({ a, b, flags }) => ({
    either: selectRows(flags as Tensor, tanh(a as Tensor), tanh(b as Tensor)),
    first: selectRows(flags as Tensor, tanh(a as Tensor), undefined),
    second: selectRows(flags as Tensor, undefined, tanh(b as Tensor)),
  }),
});
test('dropout', check, {
  leaves: { x: [6, 7] },
  fixed: { random: { shape: [3], values: [7, 0, 3], type: 'i32' } },
  trace: ({ x, random }) => ({ y: dropout(mul(x as Tensor, x as Tensor), 0.4, random as Tensor, 5) }),
});
test('crossEntropy, some labels ignored', check, {
  leaves: { logits: [5, 4] },
  fixed: {
    labels: { shape: [5], values: [0, 3, -100, 2, 2], type: 'i32' },
    denominator: { shape: [1], values: [4] },
  },
  trace: ({ logits, labels, denominator }) => ({
    loss: crossEntropy(logits as Tensor, labels as Tensor, denominator as Tensor),
  }),
});
test('crossEntropy with smoothed labels', check, {
  leaves: { logits: [5, 4] },
  fixed: {
    labels: { shape: [5], values: [0, 3, -100, 2, 2], type: 'i32' },
    denominator: { shape: [1], values: [4] },
  },
  trace: ({ logits, labels, denominator }) => ({
    loss: crossEntropy(logits as Tensor, labels as Tensor, denominator as Tensor, { labelSmoothing: 0.2 }),
  }),
});
test('crossEntropy of logits that are used elsewhere too', check, {
  leaves: { logits: [3, 4] },
  fixed: { labels: { shape: [3], values: [0, 3, 1], type: 'i32' }, denominator: { shape: [1], values: [3] } },
  trace: ({ logits, labels, denominator }) => ({
    loss: scale(crossEntropy(logits as Tensor, labels as Tensor, denominator as Tensor), 2),
    squared: mul(logits as Tensor, logits as Tensor),
  }),
});

test('planted fault: a wrong gradient is caught', async (t) => {
  const wrong = (x: Tensor, factor: number): Tensor =>
    x.graph.node({
      op: 'wrong',
      inputs: { x },
      outputs: { y: { shape: x.shape } },
      calls: ({ y }) => [call('tanh', { x, y }, { n: x.elements })],
      gradient: ({ y: dy }, { y }) => ({
        to: { x: dy && computed(() => scale(tanhBackward(y as Tensor, dy), factor)) },
      }),
    }).y;
  const tanhBackward = (y: Tensor, dy: Tensor): Tensor =>
    y.graph.node({
      op: 'tanhBackward',
      inputs: { y, dy },
      outputs: { dx: { shape: y.shape } },
      calls: ({ dx }) => [call('tanhBackward', { y, dy, dx }, { n: y.elements })],
    }).dx;
  const composition = (factor: number): Composition => ({
    leaves: one,
    trace: ({ x }) => ({ y: wrong(x as Tensor, factor) }),
  });
  t.deepEqual(await gradientFaults(t.title, composition(1)), []);
  t.is((await gradientFaults(t.title, composition(1.0001))).length, 1);
});

test('planted fault: a gradient that is never added is caught', async (t) => {
  const faults = await gradientFaults(t.title, {
    leaves: { sum: [3], x: [3] },
    trace: ({ sum: start, x }) => ({ y: accumulate(start, x) }), // has no gradient rule for either
  }).catch((error: Error) => error);
  t.true(faults instanceof Error ? faults.message.includes('no gradient') : faults.length > 0);
});
