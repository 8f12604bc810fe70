/** Whatever ends an environment while the addon is at work, the process ends as it should, never by a signal. */
import test from 'ava';
import { absence } from './addon.js';
import { endingOf, processWays, workerWays } from './endings.js';

if (absence === undefined) {
  for (const way of workerWays) {
    test.serial(`${way}, 8 times`, async (t) => {
      t.is(await endingOf(way, 8), 'exit code 0');
    });
  }
  for (const [way, code] of Object.entries(processWays)) {
    test.serial(`${way}, twice`, async (t) => {
      for (const count of [3, 7]) t.is(await endingOf(way, count), `exit code ${code}`);
    });
  }
} else {
  test.skip(`environments end while the addon is at work (skipped: ${absence})`, () => {});
}
