/** What an executor promises beyond single instructions: programs and heaps that live side by side. */
import test from 'ava';
import type { Backend, Heap } from '../../src/backends/executor.js';
import { Float64Heap, MemoryHeap, RESERVED_ELEMENTS } from '../../src/backends/heap.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { encode } from '../../src/program/encode.js';
import { subjects } from '../support/subjects.js';

const backends: readonly (readonly [string, Backend])[] = subjects.map(({ title, backend }) => [title, backend]);
const at = RESERVED_ELEMENTS;
const DATA = 2 * RESERVED_ELEMENTS;

const fill = (y: number, n: number, value: number) =>
  ({ instruction: 'fill', operands: { y }, dims: { n }, scalars: { value } }) as const;
const scale = (x: number, n: number, factor: number) =>
  ({ instruction: 'scale', operands: { x, y: x }, dims: { n }, scalars: { factor } }) as const;
/** c = a·b with K large enough for packing: the executor needs workspace. */
const product = (a: number, b: number, c: number) =>
  ({
    instruction: 'matmul',
    operands: { a, b, c },
    dims: {
      batch: 1,
      M: 20,
      N: 20,
      K: 20,
      aBatch: 0,
      aRow: 20,
      aColumn: 1,
      bBatch: 0,
      bRow: 20,
      bColumn: 1,
      cBatch: 0,
      cRow: 20,
    },
    scalars: {},
  }) as const;

function heapOf(backend: Backend, elements: number): Heap {
  const heap = backend.createHeap();
  heap.grow(elements);
  return heap;
}

const values = (heap: Heap, from: number, count: number): number[] => [
  ...heap.views().floats.subarray(from, from + count),
];

for (const [title, backend] of backends) {
  test(`${title}: records run in order, and a range of them by itself`, async (t) => {
    const heap = heapOf(backend, DATA);
    const words = encode([fill(at, 3, 1), scale(at, 3, 2), scale(at, 2, 3)]);
    const program = backend.attach(heap).load(words, DATA);
    t.is(program.recordCount, 3);
    await program.run();
    t.deepEqual(values(heap, at, 4), [6, 6, 2, 0]);
    await program.run(1, 2);
    t.deepEqual(values(heap, at, 3), [12, 12, 4]);
    await program.run(1);
    t.deepEqual(values(heap, at, 3), [72, 72, 8]);
    await program.run(0, 0);
    t.deepEqual(values(heap, at, 3), [72, 72, 8]);
  });

  test(`${title}: a program is what its words were when it was loaded`, async (t) => {
    const heap = heapOf(backend, DATA);
    const words = encode([fill(at, 3, 1)]);
    const program = backend.attach(heap).load(words, DATA);
    words.fill(-1);
    await program.run();
    t.deepEqual(values(heap, at, 3), [1, 1, 1]);
  });

  test(`${title}: a program goes on after the heap has grown`, async (t) => {
    const heap = heapOf(backend, DATA);
    const program = backend.attach(heap).load(encode([fill(at, 3, 1), scale(at, 3, 2)]), DATA);
    await program.run(0, 1);
    heap.grow(heap.elements + 10 * RESERVED_ELEMENTS);
    await program.run(1, 2);
    t.deepEqual(values(heap, at, 3), [2, 2, 2]);
  });

  test(`${title}: an earlier program leaves the data of a later, larger one alone`, async (t) => {
    const heap = heapOf(backend, DATA);
    const executor = backend.attach(heap);
    const small = executor.load(encode([product(at, at + 400, at + 800)]), DATA);
    await small.run();
    const more = 4 * DATA;
    heap.grow(more);
    const large = executor.load(encode([fill(DATA, more - DATA, 7)]), more);
    await large.run();
    await small.run();
    t.true(values(heap, DATA, more - DATA).every((value) => value === 7));
  });

  test(`${title}: a program of no records does nothing`, async (t) => {
    const program = backend.attach(heapOf(backend, DATA)).load(encode([]), DATA);
    t.is(program.recordCount, 0);
    await t.notThrowsAsync(program.run());
  });

  test(`${title}: refuses a heap of float64`, (t) => {
    t.throws(() => backend.attach(new Float64Heap()), { instanceOf: TypeError, message: /received 8-byte elements/ });
  });
}

test('all backends work on one heap, one after the other', async (t) => {
  const heap = new MemoryHeap();
  heap.grow(DATA);
  heap.views().floats[at] = 1;
  for (const [, backend] of backends)
    await backend
      .attach(heap)
      .load(encode([scale(at, 1, 2)]), DATA)
      .run();
  t.deepEqual(values(heap, at, 1), [2 ** backends.length]);
});

test('the float64 reference refuses a heap of float32', (t) => {
  const message = 'Expected a heap of 8-byte elements for reference float64 but received 4-byte elements';
  t.throws(() => referenceBackend({ isa: 'float64' }).attach(new MemoryHeap()), { instanceOf: TypeError, message });
});
