import test from 'ava';
import fc from 'fast-check';
import { hostileFile, readAll } from './hostile-safetensors.js';

test('a hundred thousand files are read, or refused with a FormatError', async (t) => {
  t.timeout(20 * 60_000);
  await fc.assert(
    fc.asyncProperty(hostileFile, async (bytes) => {
      await readAll(bytes);
    }),
    { numRuns: 100_000 },
  );
  t.pass();
});
