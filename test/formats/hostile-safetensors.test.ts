import test from 'ava';
import fc from 'fast-check';
import { hostileFile, readAll } from './hostile-safetensors.js';

test('any file is read, or refused with a FormatError', async (t) => {
  await fc.assert(
    fc.asyncProperty(hostileFile, async (bytes) => {
      await readAll(bytes);
    }),
    { numRuns: 1000, seed: 20261121 },
  );
  t.pass();
});

test('among them are files that are read, and files that are refused for many a reason', async (t) => {
  const readings = await Promise.all(fc.sample(hostileFile, { numRuns: 1000, seed: 7 }).map(readAll));
  const reasons = new Set(readings.map(({ refused }) => refused?.message.replace(/^.*?Expected /s, '').slice(0, 14)));
  t.true(readings.filter(({ tensors }) => tensors > 1).length > 50);
  t.true(reasons.size > 8, [...reasons].join('\n'));
});

test('planted fault: an error of another kind is found out', async (t) => {
  const property = fc.asyncProperty(hostileFile, async (bytes) => {
    const { tensors } = await readAll(bytes);
    if (tensors > 1) throw new TypeError('planted');
  });
  const { failed } = await fc.check(property, { numRuns: 1000, seed: 7 });
  t.true(failed);
});
