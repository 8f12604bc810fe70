/** Training in a browser's page, without a bundler: in workers over shared memory, in one worker, and in the page's own thread. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { BackendOptions } from '../../src/backends/select.js';
import * as seqgrad from '../../src/index.js';
import { type Told, train } from './training.js';

const CHROMIUM = '/usr/bin/chromium';
const STEPS = 12;
const types: Readonly<Record<string, string>> = { js: 'text/javascript', wasm: 'application/wasm', html: 'text/html' };

/** Serves dist; pages below /isolated/ may share memory with workers, others may not. */
function serve(): Promise<Server> {
  const server = createServer(async ({ url = '' }, response) => {
    const isolated = url.startsWith('/isolated/');
    const path = url.replace(/^\/(isolated|open)\//, '');
    const isolation = isolated
      ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
      : {};
    const send = (status: number, body: string | Uint8Array, type = 'text/plain'): unknown =>
      response.writeHead(status, { 'Content-Type': type, ...isolation }).end(body);
    if (path === 'page.html') return send(200, '<!doctype html><title>seqgrad</title>', types.html);
    const file = new URL(`../../${path}`, import.meta.url);
    const content = await readFile(file).catch(() => undefined);
    return content === undefined ? send(404, 'none') : send(200, content, types[path.split('.').at(-1) ?? '']);
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

if (!existsSync(CHROMIUM)) {
  test.skip(`pages train (skipped: there is no ${CHROMIUM})`, () => {});
} else {
  let server: Server;
  let browser: Browser;
  let expected: Told;
  test.before(async () => {
    server = await serve();
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    expected = await train(seqgrad, { backend: 'wasm', threads: 1 }, STEPS);
  });
  test.after.always(async () => {
    await browser?.close();
    server?.close();
  });

  /** A page in which `seqgrad` can be imported from `src/index.js`. */
  const open = async (kind: 'isolated' | 'open'): Promise<Page> => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${kind}/page.html`);
    return page;
  };

  const trainIn = (page: Page, options: BackendOptions): Promise<Told> =>
    page.evaluate(
      `import('./src/index.js').then((seqgrad) => (${train})(seqgrad, ${JSON.stringify(options)}, ${STEPS}))`,
    );

  type Case = readonly [
    title: string,
    kind: 'isolated' | 'open',
    options: BackendOptions,
    threads: number,
    place: string,
  ];
  const cases: readonly Case[] = [
    ['isolated: shared memory', 'isolated', { threads: 2 }, 2, 'a worker, shared memory'],
    ['not isolated: one worker', 'open', { threads: 2 }, 1, 'a worker'],
    ['worker: false', 'open', { worker: false }, 1, 'the calling thread (as asked)'],
  ];
  for (const [title, kind, options, threads, place] of cases) {
    test.serial(`${title}: a page trains to the bits that Node gets, and its timers go on`, async (t) => {
      const page = await open(kind);
      const told = await trainIn(page, options);
      t.is(told.place, place, told.reason);
      t.is(told.threads, threads, told.reason);
      t.true((told.losses.at(-1) ?? Number.NaN) < (told.losses[0] ?? Number.NaN) * 0.9, told.losses.join());
      t.deepEqual(told.losses, expected.losses);
      t.deepEqual(told.bits, expected.bits);
      // A step takes many times longer than such a timer; in the page's own thread there are only the turns between steps.
      t.true(told.ticks >= (options.worker === false ? 1 : STEPS), `${told.ticks} ticks`);
      await page.close();
    });
  }

  test.serial('a page that is not isolated says why there is one thread', async (t) => {
    const page = await open('open');
    const reason = await page.evaluate(
      `import('./src/index.js').then(({ loadBackend }) => loadBackend({ threads: 2 })).then(({ reason }) => reason)`,
    );
    t.regex(`${reason}`, /native: only Node loads addons/);
    t.regex(`${reason}`, /threads: not 2: no shared memory, because this page is not cross-origin isolated/);
    await page.close();
  });

  test.serial('reading a model’s folder in a page is refused in words', async (t) => {
    const page = await open('open');
    const message = await page.evaluate(
      `import('./src/index.js').then(({ LanguageModel }) => LanguageModel.load('model')).catch(({ message }) => message)`,
    );
    t.regex(`${message}`, /Expected Node to read and write files/);
    await page.close();
  });

  test.serial('a worker that a page terminates in mid-step is missed at once', async (t) => {
    const page = await open('isolated');
    for (const lane of [0, 1]) {
      const outcome = await page.evaluate(`(async () => {
        const { loadBackend } = await import('./src/index.js');
        const { longProgram, LONG_ELEMENTS } = await import('./test/backends/programs.js');
        const workers = [];
        const started = [];
        const worker = () => {
          const its = new Worker('./src/backends/wasm-worker.js', { type: 'module' });
          workers.push(its);
          started.push(new Promise((resolve) => its.addEventListener('message', resolve, { once: true })));
          return its;
        };
        const executor = (await loadBackend({ backend: 'wasm', threads: 2, worker })).createExecutor();
        await executor.grow(LONG_ELEMENTS);
        const long = await executor.load(longProgram(20000), LONG_ELEMENTS);
        const running = long.run().catch(({ name, message }) => name + ': ' + message);
        await Promise.all(started);
        await new Promise((resolve) => setTimeout(resolve, 300));
        workers[${lane}].terminate();
        return running;
      })()`);
      t.is(outcome, 'WorkerLostError: a worker of this engine is lost: it was terminated');
    }
    await page.close();
  });
}
