/** A cell written in ops learns on every backend. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { tried } from '../train/backends.js';

const run = promisify(execFile);

for (const { name, backend, cause } of tried.filter((each) => each.name !== 'reference')) {
  if (backend === undefined) {
    test.skip(`the minimal gated unit learns on ${name} (skipped: ${cause})`, () => {});
    continue;
  }
  test(`the minimal gated unit learns on ${name}`, async (t) => {
    const env = { ...process.env, SEQGRAD_BACKEND: name };
    const { stdout } = await run(process.execPath, ['dist/examples/own-cell.js'], { env });
    const losses = [...stdout.matchAll(/loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
    t.is(losses.length, 5, stdout);
    t.true((losses[0] as number) > 0.3, 'a guess of 0 costs 0.375 where the first three of twelve are 0');
    t.true((losses.at(-1) as number) < 0.05, stdout);
  });
}
