/** The thread of an engine: what it runs, in which order, and how it ends. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import {
  type Addon,
  type AddonProgram,
  absence,
  checkedProgram,
  DATA,
  ELEMENTS,
  endlessProgram,
  fill,
  type Heap,
  loadAddon,
  newHeap,
  product,
  scale,
} from './addon.js';

function withAddon(title: string, body: (t: ExecutionContext, addon: Addon) => void | Promise<void>): void {
  if (absence === undefined) test(title, (t) => body(t, loadAddon()));
  else test.skip(`${title} (skipped: ${absence})`, () => {});
}

const CLOSED = /closed/;

function runAll(thread: InstanceType<Addon['Thread']>, program: AddonProgram, heap: Heap): Promise<void> {
  return thread.run(program, heap.bytes, ELEMENTS, 0, program.recordCount, null);
}

for (const threads of [1, 2, 5]) {
  withAddon(`${threads} threads: runs take effect in the order of the calls`, async (t, addon) => {
    const thread = new addon.Thread(threads);
    const heap = newHeap();
    const start = checkedProgram(addon, [fill(100, 50_000, 1)]);
    const double = checkedProgram(addon, [scale(100, 50_000, 2)]);
    const add = checkedProgram(addon, [fill(100, 10, 3), scale(100, 10, 5)]);
    const runs = [runAll(thread, start, heap), runAll(thread, double, heap), runAll(thread, double, heap)];
    runs.push(thread.run(add, heap.bytes, ELEMENTS, 1, 2, null));
    const settled: number[] = [];
    await Promise.all(runs.map((run, index) => run.then(() => settled.push(index))));
    t.deepEqual(settled, [0, 1, 2, 3]);
    t.deepEqual([...heap.floats.subarray(99, 111)], [0, ...Array<number>(10).fill(20), 4]);
    t.is(heap.floats[100 + 49_999], 4);
    t.is(heap.floats[100 + 50_000], 0);
    thread.close();
  });

  withAddon(
    `${threads} threads: close ends a program in its middle, rejects all runs, and may be called again`,
    async (t, addon) => {
      const thread = new addon.Thread(threads);
      const heap = newHeap();
      const endless = endlessProgram(addon);
      const runs = [runAll(thread, endless, heap), runAll(thread, endless, heap)];
      await setTimeout(20);
      thread.close();
      for (const run of runs) await t.throwsAsync(run, { instanceOf: Error, message: CLOSED });
      thread.close();
      await t.throwsAsync(runAll(thread, endless, heap), { instanceOf: Error, message: CLOSED });
      t.is(endless.check(ELEMENTS), null, 'the program is no longer in use');
    },
  );
}

withAddon('a run that is over before its engine is closed keeps its outcome', async (t, addon) => {
  const thread = new addon.Thread(2);
  const heap = newHeap();
  const done = runAll(thread, checkedProgram(addon, [fill(0, 1, 7)]), heap);
  const bits = new Int32Array(heap.bytes.buffer, heap.floats.byteOffset);
  while (Atomics.load(bits, 0) === 0) {} // without a turn of the event loop
  const endless = runAll(thread, endlessProgram(addon), heap);
  for (const start = performance.now(); performance.now() - start < 20; ) {}
  thread.close();
  await t.notThrowsAsync(done);
  await t.throwsAsync(endless, { message: CLOSED });
});

withAddon('milliseconds has the time of each record that ran, and nothing else', async (t, addon) => {
  const thread = new addon.Thread(2);
  const heap = newHeap();
  const program = checkedProgram(addon, [product(8), product(256), fill(0, 1, 0), product(256)]);
  const milliseconds = new Float64Array(5).fill(-1);
  await thread.run(program, heap.bytes, ELEMENTS, 1, 4, milliseconds);
  t.true(milliseconds[0]! > milliseconds[1]!);
  t.true(milliseconds[1]! >= 0);
  t.true(milliseconds[2]! > milliseconds[1]!);
  t.deepEqual([...milliseconds.subarray(3)], [-1, -1]);
  thread.close();
});

withAddon(
  'a program must have been checked for a heap of this size, and does not change while it runs',
  async (t, addon) => {
    const thread = new addon.Thread(1);
    const heap = newHeap();
    const unchecked = checkedProgram(addon, [fill(DATA - 1, 1, 1)]);
    const refused = /^Expected a program that was checked for a heap of this size/;
    await t.throwsAsync(thread.run(unchecked, heap.bytes, ELEMENTS - 1, 0, 1, null), { message: refused });
    await t.throwsAsync(thread.run(unchecked, heap.bytes, ELEMENTS, 0, 2, null), { message: /range of records/ });
    await t.throwsAsync(thread.run(unchecked, heap.bytes, ELEMENTS, 1, 0, null), { message: /range of records/ });
    t.not(unchecked.check(ELEMENTS - 1), null);
    await t.throwsAsync(thread.run(unchecked, heap.bytes, ELEMENTS, 0, 0, null), { message: refused });

    const endless = endlessProgram(addon);
    const run = runAll(thread, endless, heap);
    t.throws(() => endless.check(ELEMENTS), { message: 'Expected a program that is not running' });
    thread.close();
    await t.throwsAsync(run, { message: CLOSED });
  },
);

withAddon('two engines run one program at once, each on its own heap', async (t, addon) => {
  const program = checkedProgram(addon, [
    ...[fill(0, 65536, 0.5), fill(65536, 65536, 0.25)],
    ...Array.from({ length: 50 }, () => product(250)),
    scale(2 * 65536, 250 * 250, 2),
  ]);
  const engines = [1, 2, 3, 4].map((threads) => ({ thread: new addon.Thread(threads), heap: newHeap() }));
  for (let round = 0; round < 5; round++) {
    await Promise.all(engines.map(({ thread, heap }) => runAll(thread, program, heap)));
    for (const { heap } of engines) {
      const products = heap.floats.subarray(2 * 65536, 2 * 65536 + 250 * 250);
      t.true(products.every((value) => value === 2 * 250 * 0.125));
      products.fill(Number.NaN);
    }
  }
  for (const { thread } of engines) thread.close();
});

/** The names of this process's threads that are ours. */
const ourThreads = (): string[] =>
  readdirSync('/proc/self/task')
    .map((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim())
    .filter((name) => name.startsWith('seqgrad'));

if (process.platform === 'linux') {
  withAddon('engines come and go without leaving threads behind', async (t, addon) => {
    const heaps = [newHeap(), newHeap(), newHeap()];
    const program = checkedProgram(addon, [fill(0, 65536, 1), product(128)]);
    for (let round = 0; round < 100; round++) {
      const engines = heaps.map((heap, index) => ({ thread: new addon.Thread(index + 1), heap }));
      const runs = engines.map(({ thread, heap }) => runAll(thread, program, heap));
      if (round % 2 === 0) await Promise.all(runs);
      for (const { thread } of engines) thread.close();
      await Promise.allSettled(runs);
    }
    t.true(ourThreads().length < 40, `${ourThreads()}`); // other tests have some at the same time
  });
} else {
  test.skip('engines come and go without leaving threads behind (skipped: needs /proc)', () => {});
}
