/** Ten thousand small steps take no more memory than a thousand. */
import { spawnSync } from 'node:child_process';
import test from 'ava';
import { tried } from './backends.js';

const MINUTES_10 = 600_000;
/** Bytes that may come and go: pages of the allocator, code that is optimised late. */
const TOLERANCE = 6e6;

const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Trains and says how much of each kind of memory there is after some steps. */
const script = (backend: string, steps: number): string => `
  import { CharacterVocabulary, loadBackend, LanguageModel, Trainer } from ${at('../../src/index.js')};
  const text = 'what a cell forgets is let through a gate. '.repeat(40);
  const vocabulary = CharacterVocabulary.fromText(text);
  const backend = await loadBackend({ backend: '${backend}' });
  const model = await LanguageModel.create({ vocabulary, hiddenSize: 8, backend });
  const trainer = new Trainer(model);
  const batches = model.batches(text, { batch: 4, window: 8 });
  const usages = [];
  for (const upTo of [${steps / 10}, ${steps}]) {
    while (trainer.step < upTo) await trainer.fit(batches, { steps: ${steps / 100} });
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setTimeout(resolve, 20, gc()));
    usages.push(process.memoryUsage());
  }
  console.log(JSON.stringify(usages));
`;

for (const { name, backend, cause } of tried) {
  if (backend === undefined) test.skip(`${name} (skipped: ${cause})`, () => {});
  else {
    test.serial(`${name}: memory does not grow with the number of steps`, (t) => {
      t.timeout(MINUTES_10);
      const steps = name === 'reference' ? 2_000 : 10_000;
      const { stdout, stderr } = spawnSync(
        process.execPath,
        // V8 lets its young generation grow for as long as much is thrown away: not here.
        ['--expose-gc', '--max-semi-space-size=2', '--input-type=module', '--eval', script(name, steps)],
        { encoding: 'utf8' },
      );
      const [early, late] = JSON.parse(stdout || '[]') as [NodeJS.MemoryUsage, NodeJS.MemoryUsage];
      t.truthy(late, stderr);
      for (const kind of ['rss', 'heapUsed', 'external', 'arrayBuffers'] as const) {
        const grown = late[kind] - early[kind];
        t.log(`${kind}: ${(early[kind] / 1e6).toFixed(1)} MB, then ${(late[kind] / 1e6).toFixed(1)} MB`);
        t.true(grown < TOLERANCE, `${kind} grew by ${grown} bytes`);
      }
    });
  }
}
