/** What an executor promises beyond single instructions: programs and heaps that live side by side. */
import test from 'ava';
import {
  type Backend,
  ClosedError,
  type Executor,
  OutOfMemoryError,
  RESERVED_ELEMENTS,
} from '../../src/backends/executor.js';
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
      bfloat16: 0,
      activation: 0,
    },
    scalars: {},
  }) as const;

async function executorOf(backend: Backend, elements: number): Promise<Executor> {
  const executor = backend.createExecutor();
  await executor.grow(elements);
  return executor;
}

const values = async (executor: Executor, from: number, count: number): Promise<number[]> => [
  ...(await executor.read(from, 'f32', count)),
];

for (const [title, backend] of backends) {
  test(`${title}: records run in order, and a range of them by itself`, async (t) => {
    const executor = await executorOf(backend, DATA);
    const program = await executor.load(encode([fill(at, 3, 1), scale(at, 3, 2), scale(at, 2, 3)]), DATA);
    t.is(program.recordCount, 3);
    await program.run();
    t.deepEqual(await values(executor, at, 4), [6, 6, 2, 0]);
    await program.run(1, 2);
    t.deepEqual(await values(executor, at, 3), [12, 12, 4]);
    await program.run(1);
    t.deepEqual(await values(executor, at, 3), [72, 72, 8]);
    await program.run(0, 0);
    t.deepEqual(await values(executor, at, 3), [72, 72, 8]);
  });

  test(`${title}: a profile runs every record once and times it`, async (t) => {
    const executor = await executorOf(backend, DATA);
    const program = await executor.load(encode([fill(at, 3, 1), scale(at, 3, 2), scale(at, 2, 3)]), DATA);
    const milliseconds = await program.profile();
    t.deepEqual(await values(executor, at, 4), [6, 6, 2, 0]);
    t.is(milliseconds.length, 3);
    t.true(milliseconds.every((each) => each >= 0 && each < 60_000));
  });

  test(`${title}: operations take effect in the order of the calls, and one that fails stops no other`, async (t) => {
    const executor = backend.createExecutor();
    const grown = executor.grow(DATA);
    const program = await executor.load(encode([scale(at, 3, 2)]), DATA);
    const results = await Promise.allSettled([
      grown,
      executor.write(at, 'f32', [1, 2, 3]),
      program.run(),
      executor.read(at, 'f32', 3),
      executor.load(Int32Array.of(1, 2, 3), DATA),
      executor.write(at, 'f32', [5]),
      program.run(),
      executor.read(at, 'f32', 3),
      executor.clear(at + 1, 1),
      executor.write(at + 2, 'i32', [-7]),
      executor.read(at, 'f32', 2),
      executor.read(at + 2, 'i32', 1),
    ]);
    t.deepEqual(
      results.map((result) =>
        result.status === 'rejected' ? 'refused' : [...((result.value as Float32Array | undefined) ?? [])],
      ),
      [[], [], [], [2, 4, 6], 'refused', [], [], [10, 8, 12], [], [], [10, 0], [-7]],
    );
  });

  test(`${title}: a program is what its words were when it was loaded`, async (t) => {
    const executor = await executorOf(backend, DATA);
    const words = encode([fill(at, 3, 1)]);
    const loading = executor.load(words, DATA);
    words.fill(-1);
    await (await loading).run();
    t.deepEqual(await values(executor, at, 3), [1, 1, 1]);
  });

  test(`${title}: a program goes on after the heap has grown`, async (t) => {
    const executor = await executorOf(backend, DATA);
    const program = await executor.load(encode([fill(at, 3, 1), scale(at, 3, 2)]), DATA);
    await program.run(0, 1);
    await executor.grow(DATA + 10 * RESERVED_ELEMENTS);
    await program.run(1, 2);
    t.deepEqual(await values(executor, at, 3), [2, 2, 2]);
  });

  test(`${title}: a heap that cannot grow says how many bytes were asked for, and keeps what is there`, async (t) => {
    const executor = await executorOf(backend, DATA);
    await executor.write(at, 'f32', [1, 2, 3]);
    const program = await executor.load(encode([scale(at, 3, 2)]), DATA);
    const error = await t.throwsAsync(executor.grow(2 ** 40), { instanceOf: OutOfMemoryError });
    t.regex(error.message, /4398046511104 bytes/);
    await program.run();
    t.deepEqual(await values(executor, at, 3), [2, 4, 6]);
  });

  test(`${title}: an earlier program leaves the data of a later, larger one alone`, async (t) => {
    const executor = await executorOf(backend, DATA);
    const small = await executor.load(encode([product(at, at + 400, at + 800)]), DATA);
    await small.run();
    const more = 4 * DATA;
    await executor.grow(more);
    const large = await executor.load(encode([fill(DATA, more - DATA, 7)]), more);
    await large.run();
    await small.run();
    t.true((await values(executor, DATA, more - DATA)).every((value) => value === 7));
  });

  test(`${title}: a program of no records does nothing`, async (t) => {
    const executor = await executorOf(backend, DATA);
    const program = await executor.load(encode([]), DATA);
    t.is(program.recordCount, 0);
    await t.notThrowsAsync(program.run());
    t.is((await program.profile()).length, 0);
  });

  test(`${title}: what a closed executor is asked, or was still to do, is refused`, async (t) => {
    const executor = await executorOf(backend, DATA);
    const program = await executor.load(encode([fill(at, 3, 1)]), DATA);
    const pending = [program.run(), executor.read(at, 'f32', 3), executor.grow(2 * DATA)];
    await executor.close();
    await executor.close();
    for (const operation of [...pending, program.run(), program.profile(), executor.write(at, 'f32', [1])]) {
      await t.throwsAsync(operation, { instanceOf: ClosedError });
    }
  });
}

test('a heap is handed from one backend to the next, byte by byte', async (t) => {
  let bytes: Int32Array = new Int32Array(new Float32Array([1]).buffer);
  for (const [, backend] of backends) {
    const executor = await executorOf(backend, DATA);
    await executor.write(at, 'i32', bytes);
    await (await executor.load(encode([scale(at, 1, 2)]), DATA)).run();
    bytes = (await executor.read(at, 'i32', 1)) as Int32Array;
  }
  t.is(new Float32Array(bytes.buffer)[0], 2 ** backends.length);
});
