/** What engines mean for the process they are in: when it ends, what a worker that is terminated leaves, what is given back. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { tried } from '../train/backends.js';

const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
const folder = mkdtempSync(join(tmpdir(), 'seqgrad-process-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** What the scripts below begin with. */
const prelude = `
  import { Worker } from 'node:worker_threads';
  import { CharacterVocabulary, loadBackend, LanguageModel, Trainer } from ${at('../../src/index.js')};
  import { LONG_ELEMENTS, longProgram } from ${at('./programs.js')};
  const text = 'what a cell forgets is let through a gate. '.repeat(40);
  async function train(backend, steps) {
    const vocabulary = CharacterVocabulary.fromText(text);
    const model = await LanguageModel.create({ vocabulary, hiddenSize: 16, backend });
    await new Trainer(model).fit(model.batches(text, { batch: 4, window: 8 }), { steps });
    return model;
  }
`;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script in a process of its own. One that has not ended after a minute hangs. */
async function script(code: string, ...nodeArguments: string[]): Promise<Ended> {
  const file = join(folder, `${Math.random()}.mjs`);
  writeFileSync(file, prelude + code);
  const child = spawn(process.execPath, [...nodeArguments, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (piece: string) => {
      said[name] += piece;
    });
  }
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, ...said })));
}

const says = async (t: ExecutionContext, code: string, expected: RegExp, ...nodeArguments: string[]): Promise<void> => {
  const { stdout, stderr, ...ended } = await script(code, ...nodeArguments);
  t.deepEqual(ended, { code: 0, signal: null }, stderr);
  t.regex(stdout, expected);
};

for (const { name, backend, cause } of tried) {
  const onBackend = (title: string, run: (t: ExecutionContext) => Promise<void>): void => {
    if (backend === undefined) test.skip(`${name}: ${title} (skipped: ${cause})`, () => {});
    else test(`${name}: ${title}`, run);
  };
  const load = `await loadBackend({ backend: '${name}', threads: 2 })`;

  onBackend('a process ends by itself after training, without close()', (t) =>
    says(t, `await train(${load}, 3); console.log('trained');`, /^trained\n$/),
  );

  onBackend('a process does not end before what was asked is done', (t) =>
    says(t, `train(${load}, 3).then(() => console.log('trained'));`, /^trained\n$/),
  );

  onBackend('process.exit() in mid-step ends the process', (t) =>
    says(
      t,
      `const executor = (${load}).createExecutor();
       await executor.grow(LONG_ELEMENTS);
       const long = await executor.load(longProgram(${name === 'reference' ? 1 : 2000}), LONG_ELEMENTS);
       long.run();
       console.log('running');
       setTimeout(() => process.exit(0), 50);`,
      /^running\n$/,
    ),
  );

  onBackend('a worker that trains is terminated in mid-step, and nothing else ends', (t) =>
    says(
      t,
      `import { isMainThread, parentPort } from 'node:worker_threads';
       if (isMainThread) {
         for (let round = 0; round < 3; round++) {
           const worker = new Worker(new URL(import.meta.url));
           await new Promise((resolve) => worker.once('message', resolve));
           await new Promise((resolve) => setTimeout(resolve, 20));
           console.log(await worker.terminate());
         }
         await train(${load}, 2);
         console.log('trained');
       } else {
         const backend = ${load};
         await train(backend, 1);
         parentPort.postMessage('training');
         await train(backend, Infinity);
       }`,
      /^1\n1\n1\ntrained\n$/,
    ),
  );
}

test('an executor that nobody holds any more ends its worker', (t) =>
  says(
    t,
    `const workers = [];
     const worker = () => {
       const started = new Worker(new URL(${at('../../src/backends/wasm-worker.js')}));
       workers.push(new Promise((resolve) => started.on('exit', resolve)));
       return started;
     };
     const backend = await loadBackend({ backend: 'wasm', threads: 1, worker });
     await train(backend, 2);
     const collecting = setInterval(gc, 20);
     await Promise.all(workers);
     clearInterval(collecting);
     console.log(workers.length, 'ended');`,
    /^1 ended\n$/,
    '--expose-gc',
  ));
