/**
 * What the tasks reach on data that others use too. It is not part of the project: SEQGRAD_DATA names the folder that holds names/ (surnames
 * of 18 languages, a file for each), airline-passengers.csv and monthly-sunspots.csv.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { linesOf, start, temporaryFolder } from '../cli/run.js';

const data = process.env.SEQGRAD_DATA ?? '.';

/** A test of a file or folder of the data. */
function withData(name: string, title: string, body: (t: ExecutionContext, path: string) => Promise<void>): void {
  const path = join(data, name);
  if (existsSync(path)) test.serial(title, (t) => body(t, path));
  else test.skip(`${title} (skipped: SEQGRAD_DATA names no folder with ${name})`, () => {});
}

interface Done {
  readonly test: { readonly accuracy: number; readonly mase: number; readonly mae: number };
}

async function train(t: ExecutionContext, args: readonly string[]): Promise<{ done: Done; folder: string }> {
  t.timeout(600_000);
  const folder = join(await temporaryFolder(t), 'model');
  const { code, stdout, stderr } = await start(['train', ...args, '--out', folder], {}, { timeout: 600_000 }).ended;
  t.is(code, 0, stderr);
  return { done: linesOf(stdout).at(-1) as unknown as Done, folder };
}

for (const kind of ['lstm', 'gru']) {
  withData('names', `${kind}: surnames by language, the docs’ command`, async (t, path) => {
    const { done } = await train(t, ['classify', '--data', path, '--model', kind]);
    t.log(`accuracy ${done.test.accuracy.toFixed(4)}`);
    t.true(done.test.accuracy > 0.82);
  });
}

for (const [file, more, best] of [
  ['airline-passengers.csv', ['--transform', 'log'], 0.7],
  ['airline-passengers.csv', [], 1],
  ['monthly-sunspots.csv', [], 0.97],
] as const) {
  for (const kind of ['lstm', 'gru', 'rnn']) {
    withData(file, `${kind}: ${file} ${more.join(' ')}, one step ahead, beats the last value`, async (t, path) => {
      const { done, folder } = await train(t, ['forecast', '--data', path, '--model', kind, ...more]);
      const again = ['evaluate', '--model', folder, '--data', path, '--last', '0.2', '--season', '12'];
      const [{ test: seasonal }] = linesOf((await start(again).ended).stdout) as unknown as [Done];
      t.log(`MASE ${done.test.mase.toFixed(3)}, with season 12 ${seasonal.mase.toFixed(3)}`);
      t.true(done.test.mase < best);
      t.true(seasonal.mase < 1);
      t.is(seasonal.mae, done.test.mae);
    });
  }
}
