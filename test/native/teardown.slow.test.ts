/** As teardown.test.ts, hundreds of times. */
import test from 'ava';
import { absence } from './addon.js';
import { endingOf, processWays, workerWays } from './endings.js';

const WORKERS = 500;
const PROCESSES = 100;
const MINUTES_10 = 600_000;

if (absence === undefined) {
  for (const way of workerWays) {
    test.serial(`${way}, ${WORKERS} times`, async (t) => {
      t.timeout(MINUTES_10);
      t.is(await endingOf(way, WORKERS), 'exit code 0');
    });
  }
  for (const [way, code] of Object.entries(processWays)) {
    test.serial(`${way}, ${PROCESSES} times`, async (t) => {
      t.timeout(MINUTES_10);
      for (let count = 0; count < PROCESSES; count++) t.is(await endingOf(way, count), `exit code ${code}`);
    });
  }
} else {
  test.skip(`environments end while the addon is at work (skipped: ${absence})`, () => {});
}
