import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { OutOfMemoryError } from '../../src/backends/executor.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { slice } from '../../src/ops/copy.js';
import { add, scale } from '../../src/ops/elementwise.js';
import { matmul } from '../../src/ops/matmul.js';
import { sum } from '../../src/ops/reduce.js';
import type { Program } from '../../src/program/program.js';
import { Arena } from '../../src/program/variable.js';
import { ProgramCache } from '../../src/train/program-cache.js';
import { onEvery } from './backends.js';

const traced = (trace: (graph: Graph) => void): Program => {
  const graph = new Graph();
  trace(graph);
  return plan(graph);
};

/** y = 2x over n elements. */
const double = (n: number): Program => traced((graph) => graph.output('y', scale(graph.input('x', [n]), 2)));

/** Needs more than any heap, in the transient arena. */
const huge = (): Program =>
  traced((graph) => {
    const x = graph.input('x', [1]);
    const column = matmul(scale(x, 1).graph.input('column', [40_000, 1]), graph.input('row', [1, 40_000]));
    graph.output('y', sum(column));
  });

onEvery('what touches the heap waits for what came before it', async (t, backend) => {
  const engine = new Engine(backend);
  const arena = new Arena('counter');
  const counter = arena.add('counter', [1]);
  const increment = traced((graph) => {
    const next = add(graph.read(counter), graph.input('by', [1]));
    graph.assign(counter, next);
    graph.output('next', next);
  });
  const order: string[] = [];
  const note = <T>(name: string, work: Promise<T>): Promise<T> => work.finally(() => order.push(name));
  const [, , read, , , again] = await Promise.all([
    note('place', engine.place(arena)),
    note('write', engine.write(counter, [5])),
    note('read', engine.read(counter)),
    note('run', engine.run(increment, { by: [2] })),
    note(
      'fails',
      engine.use(async () => Promise.reject(new Error('mine'))).catch(() => undefined),
    ),
    note('run again', engine.run(increment, { by: [3] })),
  ]);
  t.deepEqual([...(read as Float32Array)], [5]);
  t.deepEqual([...(again as { next: Float32Array }).next], [10]);
  t.deepEqual(order, ['place', 'write', 'read', 'run', 'fails', 'run again']);
});

onEvery('a turn that fails does not stop the next one', async (t, backend) => {
  const engine = new Engine(backend);
  const program = double(3);
  await t.throwsAsync(engine.run(program, { x: [1, 2] }), {
    message: /Expected 3 values for input `x` \[3\] but received 2/,
  });
  await t.throwsAsync(engine.run(program, {}), { message: /Expected input `x` \[3\] but received none/ });
  await t.throwsAsync(
    engine.use(async () => Promise.reject(new RangeError('mine'))),
    { message: 'mine' },
  );
  await t.throwsAsync(
    engine.use(() => {
      throw new RangeError('mine, not asynchronous');
    }),
    { message: /not asynchronous/ },
  );
  t.deepEqual([...(await engine.run(program, { x: [1, 2, 3] })).y!], [2, 4, 6]);
});

onEvery('growing keeps what is there, and programs that were linked before go on', async (t, backend) => {
  const engine = new Engine(backend);
  const first = new Arena('first');
  const kept = first.add('kept', [1000]);
  await engine.place(first);
  const values = Float32Array.from({ length: 1000 }, (_, i) => i / 8);
  await engine.write(kept, values);
  const small = double(8);
  const reader = traced((graph) => graph.output('last', slice(scale(graph.read(kept), 2), 0, 999, 1000)));
  const x = [1, 2, 3, 4, 5, 6, 7, 8];
  await engine.run(small, { x });
  await engine.run(reader);
  await engine.run(double(200_000), { x: new Float32Array(200_000).fill(3) });
  const later = new Arena('later');
  const fresh = later.add('fresh', [70_000]);
  await engine.place(later);
  t.deepEqual(await engine.read(fresh), new Float32Array(70_000), 'a new arena is zero');
  t.deepEqual(
    [...(await engine.run(small, { x })).y!],
    x.map((each) => 2 * each),
  );
  t.deepEqual([...(await engine.run(reader)).last!], [999 / 4]);
  t.deepEqual(await engine.read(kept), values);
});

onEvery('an arena that does not fit names its bytes and is not placed; the engine goes on', async (t, backend) => {
  const engine = new Engine(backend);
  const arena = new Arena('moments of a giant');
  arena.add('weight', [200_000, 200_000]);
  const error = await t.throwsAsync(engine.place(arena), { instanceOf: OutOfMemoryError });
  t.regex(error.message, /160000000000 bytes/);
  t.regex(error.message, /moments of a giant/);
  t.throws(() => arena.base, { message: /Expected an engine to have placed it/ });
  t.deepEqual([...(await engine.run(double(2), { x: [1, 2] })).y!], [2, 4]);
});

onEvery('activations that do not fit name their bytes, and the engine goes on', async (t, backend) => {
  const engine = new Engine(backend);
  const first = new Arena('first');
  const kept = first.add('kept', [3]);
  await engine.place(first);
  await engine.write(kept, [1, 2, 3]);
  const inputs = { x: [1], column: new Float32Array(40_000), row: new Float32Array(40_000) };
  const error = await t.throwsAsync(engine.run(huge(), inputs), { instanceOf: OutOfMemoryError });
  t.regex(error.message, /the activations \(64\d{8} bytes\)/);
  t.deepEqual([...(await engine.run(double(2), { x: [1, 2] })).y!], [2, 4]);
  const second = new Arena('second');
  second.add('more', [3]);
  await engine.place(second);
  t.deepEqual([...(await engine.read(kept))], [1, 2, 3]);
});

onEvery('a profile has a row for each instruction', async (t, backend) => {
  const engine = new Engine(backend);
  const program = traced((graph) => {
    const a = graph.input('a', [3, 4]);
    graph.within('layer', () => graph.output('y', sum(matmul(a, graph.input('b', [4, 5])))));
  });
  const rows = await engine.profile(program, { a: new Float32Array(12), b: new Float32Array(20) });
  t.deepEqual(
    rows.map(({ call, flops, bytes }) => [call.label, call.instruction, flops, bytes]),
    [
      ['layer', 'matmul', 2 * 3 * 4 * 5, 4 * (12 + 20 + 15)],
      ['layer', 'sum', 15, 4 * (15 + 1)],
    ],
  );
  t.true(rows.every(({ milliseconds }) => milliseconds >= 0));
});

onEvery('int32 values that would be NaNs as floats move bit by bit', async (t, backend) => {
  const engine = new Engine(backend);
  // The reference copies through float numbers, where JavaScript makes a signalling NaN (the second value) a quiet one.
  const values = [-100, backend.name === 'reference' ? 3 : 0x7f800001, -1, 0x7fc0dead, -8388609, 2 ** 31 - 1];
  const arena = new Arena('integers');
  const kept = arena.add('kept', [6], 'i32');
  await engine.place(arena);
  const program = traced((graph) => {
    const x = graph.input('x', [3, 2], 'i32');
    graph.output('column', slice(x, 1, 0, 1));
    graph.assign(kept, x, graph.input('flag', [1]));
  });
  const { column } = await engine.run(program, { x: values, flag: [1] });
  t.deepEqual([...column!], [values[0], values[2], values[4]]);
  t.deepEqual([...(await engine.read(kept))], values);
});

test('programs are cached by key, and the least recently used is given up', (t) => {
  const cache = new ProgramCache();
  let traces = 0;
  const get = (key: string): Program =>
    cache.get(key, (graph) => {
      traces++;
      graph.output('y', graph.input('x', [1]));
    });
  const first = get('first');
  for (let i = 0; i < 63; i++) get(`other ${i}`);
  t.is(get('first'), first);
  t.is(traces, 64);
  get('one more');
  t.is(get('first'), first, 'used lately');
  get('other 0');
  t.is(traces, 66, 'given up');
});

onEvery(
  'an input that the program does not have is refused, one that nothing depends on may be given',
  async (t, backend) => {
    const engine = new Engine(backend);
    const program = traced((graph) => {
      graph.input('unused', [1]);
      graph.output('y', scale(graph.input('x', [1]), 2));
    });
    t.deepEqual([...((await engine.run(program, { x: [3], unused: [1] })).y ?? [])], [6]);
    await t.throwsAsync(engine.run(program, { x: [3], z: [1] }), { message: /Expected inputs x but received `z`/ });
  },
);
