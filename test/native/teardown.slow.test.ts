/** As teardown.test.ts, 500 times each way. */
import test from 'ava';
import { absence } from './addon.js';
import { endingOf, processWays, workerWays } from './endings.js';

const TIMES = 500;
const MINUTES_30 = 1_800_000;

if (absence === undefined) {
  for (const way of workerWays) {
    test.serial(`${way}, ${TIMES} times`, async (t) => {
      t.timeout(MINUTES_30);
      t.is(await endingOf(way, TIMES), 'exit code 0');
    });
  }
  for (const [way, code] of Object.entries(processWays)) {
    test.serial(`${way}, ${TIMES} times`, async (t) => {
      t.timeout(MINUTES_30);
      for (let count = 0; count < TIMES; count++) t.is(await endingOf(way, count), `exit code ${code}`);
    });
  }
} else {
  test.skip(`environments end while the addon is at work (skipped: ${absence})`, () => {});
}
