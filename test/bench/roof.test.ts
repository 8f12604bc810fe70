/** Medians, doubts, roofs and the limits of the machine. */
import test from 'ava';
import { bandwidthRoof, ladder, ladderUpTo, measureBandwidth } from '../../src/bench/bandwidth.js';
import { Crew } from '../../src/bench/crew.js';
import { wasmModule } from '../../src/bench/peak.js';
import { linesOf } from '../../src/bench/profile.js';
import { floorOf, shareOfNearerRoof } from '../../src/bench/roof.js';
import { quantile, summarise } from '../../src/bench/statistics.js';

test('medians and quartiles are those of the ordered values', (t) => {
  t.is(quantile([3, 1, 2], 0.5), 2);
  t.is(quantile([4, 1, 3, 2], 0.5), 2.5);
  t.is(quantile([5, 1, 4, 2, 3], 0.25), 2);
});

test('noise, drift and a saturated timer are reported', (t) => {
  const steady = [10, 10.1, 10.2];
  t.deepEqual(summarise([steady, steady], 0.001).doubts, []);
  t.regex(summarise([[10, 14, 18]], 0.001).doubts.join(), /half of the runs 29 % apart/);
  t.regex(summarise([steady, [20, 20, 20]], 0.001).doubts.join(), /the rounds \d+ % apart/);
  t.regex(summarise([steady], 1).doubts.join(), /timer is saturated/);
});

const roofs = { peak: 100, bandwidth: () => 10 };

test('the nearer roof is the one that keeps the work longer', (t) => {
  t.deepEqual(floorOf({ flops: 1e8, bytes: 1e6 }, roofs), { arithmetic: 1, memory: 0.1 });
  const product = { milliseconds: 2, flops: 1e8, bytes: 1e6 };
  t.deepEqual(shareOfNearerRoof([product], roofs), { share: 0.5, roof: 'arithmetic' });
  const copy = { milliseconds: 4, flops: 0, bytes: 1e7 };
  t.deepEqual(shareOfNearerRoof([copy], roofs), { share: 0.25, roof: 'memory' });
  t.deepEqual(shareOfNearerRoof([product, copy], roofs), { share: 2 / 6, roof: 'arithmetic' });
});

test('there is no share where there is no roof', (t) => {
  const none = { peak: Number.NaN, bandwidth: () => Number.NaN };
  t.is(shareOfNearerRoof([{ milliseconds: 1, flops: 1, bytes: 1 }], none).share, Number.NaN);
});

test('the roof of memory is the fastest operation, interpolated between sizes', (t) => {
  const roof = bandwidthRoof([
    { operation: 'read', bytes: 1e4, rate: 80 },
    { operation: 'copy', bytes: 1e4, rate: 60 },
    { operation: 'read', bytes: 1e6, rate: 20 },
    { operation: 'triad', bytes: 1e6, rate: 15 },
  ]);
  t.is(roof(1), 80);
  t.is(roof(1e4), 80);
  t.true(Math.abs(roof(1e5) - 40) < 1e-9);
  t.is(roof(1e6), 20);
  t.is(roof(1e9), 20);
});

test('the ladder reaches as far as the work does', (t) => {
  t.deepEqual(ladderUpTo(1), ladder.slice(0, 1));
  t.deepEqual(ladderUpTo(2 ** 20), ladder.slice(0, 3));
  t.deepEqual(ladderUpTo(2 ** 40), ladder);
});

test('two threads measure arithmetic together, again and again', async (t) => {
  const crew = await Crew.gather({ kind: 'wasm', module: await wasmModule('wasm-simd') }, 2);
  for (let reading = 0; reading < 3; reading++) t.true((await crew.measure({ milliseconds: 1 })) > 0);
  await crew.disband();
});

test('memory is measured for each operation, the bytes of all threads counted', async (t) => {
  const readings = await measureBandwidth(2, [2 ** 16], 0);
  t.deepEqual(
    readings.map(({ operation, bytes }) => [operation, bytes]),
    [
      ['read', 2 ** 17],
      ['copy', 2 ** 17],
      ['triad', 2 ** 17],
    ],
  );
  for (const { rate } of readings) t.true(rate > 0 && Number.isFinite(rate));
});

test('a profile has a line for each kind, the longest first, or for each call', (t) => {
  const call = (instruction: string, milliseconds: number) => ({
    label: 'l0',
    instruction,
    dims: { M: 2, N: 3 },
    milliseconds,
    least: milliseconds / 2,
    flops: 10,
    bytes: 100,
  });
  const calls = [call('add', 1), call('matmul', 2), call('add', 3)];
  const kinds = linesOf(calls, 'kind').map(({ name, milliseconds, least, flops }) => [
    name,
    milliseconds,
    least,
    flops,
  ]);
  t.deepEqual(kinds, [
    ['add', 4, 2, 20],
    ['matmul', 2, 1, 10],
  ]);
  t.deepEqual(
    linesOf(calls, 'call').map(({ name }) => name),
    ['add 2×3 l0', 'matmul 2×3 l0', 'add 2×3 l0'],
  );
});
