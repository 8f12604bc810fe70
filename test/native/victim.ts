/**
 * A process that ends, or whose workers end, while the addon is at work. Run as `node victim.js WAY COUNT`: it lets COUNT workers
 * end in that way, a few at a time, or ends so itself, COUNT varying when.
 */
import { setTimeout } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type AddonThread, checkedProgram, DATA, ELEMENTS, endlessProgram, fill, loadAddon, newHeap } from './addon.js';

const MEANT = 'meant to be';
const AT_ONCE = 4;

/** Begins a program that does not come to its end, with a second one waiting. */
function beginEndless(threads: number): AddonThread {
  const addon = loadAddon();
  const thread = new addon.Thread(threads);
  const heap = newHeap();
  const endless = endlessProgram(addon);
  for (let i = 0; i < 2; i++) thread.run(endless, heap.bytes, ELEMENTS, 0, endless.recordCount, null).catch(() => {});
  return thread;
}

/** Runs a program to its end and leaves the thread as it is. */
async function runOnce(threads: number): Promise<void> {
  const addon = loadAddon();
  const program = checkedProgram(addon, [fill(0, DATA, 1)]);
  await new addon.Thread(threads).run(program, newHeap().bytes, ELEMENTS, 0, 1, null);
}

/** What a worker does. Those that do not end by themselves are terminated. */
const workers: Readonly<Record<string, (threads: number) => unknown>> = {
  'worker is terminated': beginEndless,
  'worker is terminated at any time': beginEndless,
  'worker exits': (threads) => {
    beginEndless(threads);
    process.exit(0);
  },
  'worker throws': (threads) => {
    beginEndless(threads);
    throw new Error(MEANT);
  },
  'worker ends with an idle thread': runOnce,
};

/** How a process ends. */
const processes: Readonly<Record<string, (count: number) => unknown>> = {
  'process exits': async (count) => {
    beginEndless(1 + (count % 3));
    await setTimeout(count % 10);
    process.exit(0);
  },
  'process throws': async (count) => {
    beginEndless(1 + (count % 3));
    await setTimeout(count % 10);
    throw new Error(MEANT);
  },
  'process exits while workers work': async (count) => {
    for (let index = 0; index < AT_ONCE; index++) startWorker('worker is terminated', index);
    beginEndless(2);
    await setTimeout((count * 13) % 150);
    process.exit(0);
  },
  'process ends after closing': async (count) => {
    const thread = beginEndless(1 + (count % 3));
    await setTimeout(count % 10);
    thread.close();
  },
  'process ends with an idle thread': (count) => runOnce(1 + (count % 3)),
  'process drops its threads': async (count) => {
    const { Thread } = loadAddon();
    for (let i = 0; i < 100; i++) {
      new Thread(1 + (i % 3)); // nobody closes it
      if (i % 10 === count % 10) globalThis.gc?.();
      if (i % 10 === 0) await setTimeout(0);
    }
  },
};

function startWorker(way: string, index: number): Worker {
  const worker = new Worker(new URL(import.meta.url), { workerData: { way, threads: 1 + (index % 3) } });
  return worker.on('error', (error) => {
    if (error.message !== MEANT) throw error;
  });
}

/** Starts a worker and sees it to its end. */
async function endWorker(way: string, index: number): Promise<void> {
  const worker = startWorker(way, index);
  const end = new Promise((resolve) => worker.once('exit', resolve));
  if (way === 'worker is terminated') await new Promise((resolve) => worker.once('message', resolve));
  if (way === 'worker is terminated at any time') await setTimeout((index * 7) % 100);
  if (way.startsWith('worker is terminated')) await worker.terminate();
  await end;
}

async function endWorkers(way: string, count: number): Promise<void> {
  for (let done = 0; done < count; done += AT_ONCE) {
    const group = Array.from({ length: Math.min(AT_ONCE, count - done) }, (_, index) => done + index);
    await Promise.all(group.map((index) => endWorker(way, index)));
  }
}

if (isMainThread) {
  const [way, count] = [process.argv[2] as string, Number(process.argv[3])];
  await (way in workers ? endWorkers(way, count) : processes[way]!(count));
} else {
  const { way, threads } = workerData as { way: string; threads: number };
  await workers[way]!(threads);
  parentPort?.postMessage('begun');
}
