import test from 'ava';
import fc from 'fast-check';
import { bucketed, rung, sortedBatches } from '../../src/data/batching.js';
import { forecastOrigins } from '../../src/data/forecast-windows.js';
import { StandardScaling } from '../../src/data/scaling.js';
import { randomNumbers, shuffled } from '../../src/data/shuffle.js';
import { splitRandomly, splitStratified } from '../../src/data/split.js';

test('the ladder of lengths', (t) => {
  const lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 24, 25, 1_000_000];
  t.deepEqual(lengths.map(rung), [1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 16, 16, 24, 24, 32, 1048576]);
  for (let length = 1; length < 3000; length++) {
    t.true(rung(length) >= length && rung(length) <= length * 1.5);
    t.is(rung(rung(length)), rung(length));
  }
});

test('every sequence comes once in every pass, in batches of similar length and an order that the seed decides', (t) => {
  const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 9 }), fc.nat(), fc.nat(9), (all, batch, seed, turn) => {
      const batches = bucketed(all, { batch, seed, turn });
      t.deepEqual(
        batches.flat().toSorted((a, b) => a - b),
        [...all.keys()],
      );
      t.true(batches.every((positions) => positions.length <= batch));
      t.is(batches.length, Math.ceil(all.length / batch));
      t.deepEqual(bucketed(all, { batch, seed, turn }), batches);
      const sorted = sortedBatches(all, batch)
        .flat()
        .map((position) => all[position] as number);
      t.deepEqual(
        sorted,
        all.toSorted((a, b) => a - b),
      );
    }),
  );
  const many = Array.from({ length: 1000 }, (_, index) => 1 + ((index * 37) % 100));
  const padded = (batches: number[][]): number =>
    batches.reduce(
      (sum, positions) => sum + positions.length * Math.max(...positions.map((position) => many[position] as number)),
      0,
    );
  const total = many.reduce((sum, length) => sum + length, 0);
  t.true(padded(bucketed(many, { batch: 16, seed: 1, turn: 0 })) < 1.1 * total);
  t.notDeepEqual(bucketed(many, { batch: 16, seed: 1, turn: 0 }), bucketed(many, { batch: 16, seed: 1, turn: 1 }));
  t.notDeepEqual(bucketed(many, { batch: 16, seed: 1, turn: 0 }), bucketed(many, { batch: 16, seed: 2, turn: 0 }));
});

test('a shuffle is a permutation, each as likely as the others', (t) => {
  const counts = new Map<string, number>();
  for (let turn = 0; turn < 6000; turn++) {
    const key = shuffled([1, 2, 3], randomNumbers(7, turn)).join('');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  t.is(counts.size, 6);
  for (const count of counts.values()) t.true(Math.abs(count - 1000) < 150, `${count}`); // five standard deviations
});

test('stratified parts hold their share of every class, and every example once', (t) => {
  const values = Array.from({ length: 1000 }, (_, id) => ({ id, label: id % 10 === 0 ? 'rare' : 'common' }));
  const parts = splitStratified(values, ({ label }) => label, { validation: 0.1, test: 0.2 }, 3);
  const rare = (part: readonly { label: string }[]): number => part.filter(({ label }) => label === 'rare').length;
  t.deepEqual([parts.train.length, parts.validation.length, parts.test.length], [700, 100, 200]);
  t.deepEqual([rare(parts.train), rare(parts.validation), rare(parts.test)], [70, 10, 20]);
  const ids = Object.values(parts)
    .flat()
    .map(({ id }) => id);
  t.deepEqual(
    ids.toSorted((a, b) => a - b),
    values.map(({ id }) => id),
  );
  t.deepEqual(
    splitStratified(values, ({ label }) => label, { validation: 0.1, test: 0.2 }, 3),
    parts,
  );
  t.notDeepEqual(
    splitStratified(values, ({ label }) => label, { validation: 0.1, test: 0.2 }, 4),
    parts,
  );
});

test('a class of three is in three parts, a class of two is refused by name', (t) => {
  const of = (label: string, count: number) => Array.from({ length: count }, () => ({ label }));
  const fractions = { validation: 0.4, test: 0.5 };
  const parts = splitStratified([...of('a', 3), ...of('b', 3)], ({ label }) => label, fractions, 1);
  for (const part of [parts.train, parts.validation, parts.test])
    t.deepEqual(part.map(({ label }) => label).sort(), ['a', 'b']);
  t.throws(() => splitStratified([...of('a', 9), ...of('b', 2)], ({ label }) => label, fractions, 1), {
    code: 'ERR_SEQGRAD_DATA',
    message: /at least 3 examples of class "b", one for each of train, validation, test, but received 2/,
  });
  t.is(splitRandomly([1, 2, 3, 4], { validation: 0, test: 0 }, 1).train.length, 4);
  t.throws(() => splitRandomly([1, 2], fractions, 1), { message: /at least 3 examples all in all/ });
  t.throws(() => splitRandomly([1, 2], { validation: 0.5, test: 0.5 }, 1), {
    message: /validation \+ test to be below 1/,
  });
});

test('the windows of a part: forecasts inside it, what they are made from perhaps before it', (t) => {
  t.deepEqual(forecastOrigins([0, 10], { window: 4, horizon: 2 }, 'series'), [4, 5, 6, 7, 8]);
  t.deepEqual(forecastOrigins([6, 10], { window: 4, horizon: 2 }, 'series'), [6, 7, 8]);
  t.deepEqual(forecastOrigins([0, 10], { window: 4, horizon: 2, stride: 3 }, 'series'), [4, 7]);
  t.deepEqual(forecastOrigins([0, 5], { window: 4, horizon: 1 }, 'series'), [4]);
  t.throws(() => forecastOrigins([0, 5], { window: 4, horizon: 2 }, 'the training part'), {
    code: 'ERR_SEQGRAD_DATA',
    message:
      'Expected at least 6 rows (window 4 + horizon 2) in the training part but received 5: lower `window` or `horizon`',
  });
  t.throws(() => forecastOrigins([8, 9], { window: 4, horizon: 2 }, 'the test part'), {
    message: /at least 2 rows \(horizon 2\) in the test part but received 1/,
  });
});

test('scaling: by hand, back again, through JSON, and a column that never changes', (t) => {
  const scaling = StandardScaling.fit(Float64Array.of(1, 5, 3, 5), 2);
  t.deepEqual(scaling.toJSON(), { mean: [2, 5], deviation: [1, 1] });
  t.deepEqual([...scaling.apply(Float64Array.of(1, 5, 7, 6))], [-1, 0, 5, 1]);
  t.is(scaling.invert(5, 0), 7);
  t.deepEqual(StandardScaling.fromJSON(JSON.parse(JSON.stringify(scaling))).toJSON(), scaling.toJSON());
  for (const json of [
    null,
    {},
    { mean: [1], deviation: [] },
    { mean: [1], deviation: [0] },
    { mean: ['1'], deviation: [1] },
  ]) {
    t.throws(() => StandardScaling.fromJSON(json, 'config.json'), {
      code: 'ERR_SEQGRAD_DATA',
      message: /^config\.json: Expected/,
    });
  }
});
