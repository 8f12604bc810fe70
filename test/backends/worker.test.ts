/** WASM in workers: where they come from, how errors come back, and that nothing waits for a worker that is gone. */
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { pack, unpack } from '../../src/backends/errors.js';
import { type Executor, OutOfMemoryError, RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import { WorkerLostError } from '../../src/backends/peer.js';
import { loadBackend } from '../../src/backends/select.js';
import { wasmBackend } from '../../src/backends/wasm.js';
import { probeWasm } from '../../src/backends/wasm-builds.js';
import { ProgramTrappedError } from '../../src/backends/wasm-loader.js';
import { MalformedProgramError } from '../../src/program/check.js';
import { LONG_ELEMENTS, longProgram } from './programs.js';

const script = new URL('../../src/backends/wasm-worker.js', import.meta.url);
const isa = 'wasm-simd';
const [alone] = await probeWasm({ isa, shared: false });
const [shared] = await probeWasm({ isa, shared: true });

/** A test for one thread and for three, as far as there are builds. */
function onThreads(title: string, run: (t: ExecutionContext, threads: number) => Promise<void>): void {
  for (const [threads, attempt] of [
    [1, alone],
    [3, shared],
  ] as const) {
    const name = `${title} (${threads} thread${threads === 1 ? '' : 's'})`;
    if (attempt?.module === undefined) test.skip(`${name} (skipped: ${attempt?.cause})`, () => {});
    else test(name, (t) => run(t, threads));
  }
}

/** An executor whose workers are in the caller's hands, in the order of their lanes. */
async function withWorkers(threads: number): Promise<{ executor: Executor; workers: Worker[] }> {
  const workers: Worker[] = [];
  const worker = (): Worker => {
    const started = new Worker(script);
    workers.push(started);
    return started;
  };
  const executor = (await wasmBackend({ isa, threads, worker })).createExecutor();
  return { executor, workers };
}

onThreads(
  'a worker or helper that is terminated in mid-step rejects all that is pending, and all that is asked later',
  async (t, threads) => {
    for (let lane = 0; lane < threads; lane++) {
      const { executor, workers } = await withWorkers(threads);
      t.is(workers.length, threads);
      await executor.grow(LONG_ELEMENTS);
      const long = await executor.load(longProgram(20_000), LONG_ELEMENTS);
      const pending = [long.run(), executor.read(RESERVED_ELEMENTS, 'f32', 1), long.profile()];
      let isSettled = false;
      const settled = Promise.allSettled(pending).finally(() => {
        isSettled = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
      await workers[lane]?.terminate();
      // Well within a second: nothing looks for the worker from time to time, its end itself is the news.
      await new Promise((resolve) => setImmediate(resolve));
      t.true(isSettled, `lane ${lane}: rejected when the worker is gone, not later`);
      for (const result of await settled) {
        t.is(result.status, 'rejected');
        if (result.status === 'rejected') t.true(result.reason instanceof WorkerLostError, String(result.reason));
      }
      const error = await t.throwsAsync(executor.clear(0, 0), {
        instanceOf: WorkerLostError,
        code: 'ERR_SEQGRAD_WORKER',
      });
      t.regex(error.message, /it ended with exit code 1/, `lane ${lane}`);
    }
  },
);

onThreads('a worker that throws says what', async (t, threads) => {
  const { executor, workers } = await withWorkers(threads);
  await executor.grow(LONG_ELEMENTS);
  const lost = t.throwsAsync(
    executor.load(longProgram(1), LONG_ELEMENTS).then(() => executor.read(0, 'f32', 1)),
    {
      instanceOf: WorkerLostError,
      message: /a worker of this engine is lost: mine/,
    },
  );
  workers.at(-1)?.emit('error', new Error('mine'));
  await lost;
});

onThreads('errors keep their class and message on the way', async (t, threads) => {
  const executor = (await wasmBackend({ isa, threads })).createExecutor();
  await t.throwsAsync(executor.load(Int32Array.of(1, 2, 3), 0), {
    instanceOf: MalformedProgramError,
    message: /^Expected a program of instruction list .* but received one that starts with 1$/,
    code: 'ERR_SEQGRAD_PROGRAM',
  });
  await t.throwsAsync(executor.grow(2 ** 34), {
    instanceOf: OutOfMemoryError,
    message: /68719476736 bytes/,
    code: 'ERR_SEQGRAD_MEMORY',
  });
  await t.throwsAsync(executor.write(2 ** 31, 'f32', [1]), { instanceOf: RangeError });
  await executor.close();
});

test('an error that is packed and unpacked is the same, with its causes', (t) => {
  const cause = new RangeError('deep');
  for (const Class of [ProgramTrappedError, OutOfMemoryError, MalformedProgramError, TypeError, RangeError, Error]) {
    const error = unpack(structuredClone(pack(new Class('what', { cause }))));
    t.is(error.constructor, Class);
    t.is(error.message, 'what');
    t.true(error.cause instanceof RangeError && error.cause.message === 'deep');
  }
  t.is(unpack(pack('a string')).message, 'a string');
});

test('values are taken as they are at the call, and stay the caller’s', async (t) => {
  const executor = (await wasmBackend({ isa, threads: 1 })).createExecutor();
  await executor.grow(2 * RESERVED_ELEMENTS);
  const values = Float32Array.of(1, 2, 3);
  const written = executor.write(RESERVED_ELEMENTS, 'f32', values.subarray(1));
  values.fill(7);
  await written;
  t.deepEqual([...(await executor.read(RESERVED_ELEMENTS, 'f32', 3))], [2, 3, 0]);
  t.deepEqual([...values], [7, 7, 7]);
  await executor.close();
});

test('a URL, as a string too, says where the script of the workers is', async (t) => {
  for (const worker of [script, script.href]) {
    const backend = await loadBackend({ backend: 'wasm', threads: 1, worker });
    t.is(backend.place, 'a worker');
    const executor = backend.createExecutor();
    await t.notThrowsAsync(executor.grow(LONG_ELEMENTS));
    await executor.close();
  }
});

test('a script that is not there is an error, not a fallback', async (t) => {
  const worker = new URL('./none.js', import.meta.url);
  const error = await t.throwsAsync(loadBackend({ backend: 'wasm', worker }), { code: 'ERR_SEQGRAD_BACKEND' });
  t.regex(error?.message ?? '', /the worker does not start: .*none\.js/);
});

test('one worker is for one engine, on one thread', async (t) => {
  const worker = new Worker(script);
  const backend = await loadBackend({ backend: 'wasm', threads: 2, worker });
  t.is(backend.threads, 1);
  t.regex(backend.reason, /threads: not 2: one worker is given/);
  const executor = backend.createExecutor();
  await executor.grow(LONG_ELEMENTS);
  t.throws(() => backend.createExecutor(), { instanceOf: WorkerLostError, message: /a `worker` for each engine/ });
  await executor.close();
});

test('worker: false runs in the calling thread and says so', async (t) => {
  const backend = await loadBackend({ backend: 'wasm', worker: false, threads: 2 });
  t.is(backend.place, 'the calling thread (as asked)');
  t.is(backend.threads, 1);
  t.regex(backend.reason, /threads: not 2: it runs in the calling thread/);
});

for (const [worker, title] of [
  [7, 'a number'],
  [null, 'null'],
  [true, 'true'],
] as const) {
  test(`${title} is no worker`, async (t) => {
    const options = { backend: 'wasm', worker } as unknown as Parameters<typeof loadBackend>[0];
    await t.throwsAsync(loadBackend(options), { message: /Expected `worker` to be a URL, a Worker, a function/ });
  });
}

test('a compiled module is taken as it is', async (t) => {
  for (const attempt of [alone, shared]) {
    if (attempt?.module === undefined) continue;
    const backend = await loadBackend({ backend: 'wasm', wasm: attempt.module, threads: 2 });
    t.is(backend.isa, isa);
    t.is(backend.threads, attempt.shared ? 2 : 1);
    t.is(backend.place, attempt.shared ? 'a worker, shared memory' : 'a worker');
    const executor = backend.createExecutor();
    await t.notThrowsAsync(executor.grow(LONG_ELEMENTS));
    await executor.close();
  }
  const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  await t.throwsAsync(loadBackend({ backend: 'wasm', wasm: empty }), { message: /not a module of seqgrad/ });
});
