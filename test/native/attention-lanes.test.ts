/** Long attention has the same bits on any number of lanes, however they share it: conformance has none so long with so few heads. */
import test from 'ava';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { absence } from './addon.js';
import { attended } from './attended.js';

/** More than one group of queries; on more lanes than one keys and queries are shared apart from each other. */
const [T, HS] = [600, 32];

if (absence === undefined) {
  for (const { isa } of probeNative().filter(({ usable }) => usable)) {
    for (const causal of [0, 1]) {
      test(`${isa}: attention${causal === 0 ? '' : ', causal,'} of one long head on 1, 2, 3 and 8 lanes`, async (t) => {
        const [alone, ...others] = await Promise.all(
          [1, 2, 3, 8].map((threads) => attended(nativeBackend({ isa, threads }), T, HS, causal)),
        );
        t.true(alone?.y.some((value) => value !== 0));
        for (const its of others) t.deepEqual(its, alone);
      });
    }
  }
} else {
  test.skip(`long attention has the same bits on any number of lanes (skipped: ${absence})`, () => {});
}
