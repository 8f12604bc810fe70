import test from 'ava';
import fc from 'fast-check';
import { split } from '../../src/data/split.js';
import { evaluationWindows, trainingWindows, type Window, windowsPerPass } from '../../src/data/streams.js';

const counting = (length: number) => Int32Array.from({ length }, (_, index) => index);

/** Row `b` of a time-major [T, B] array. */
const row = (values: Int32Array, batch: number, b: number) => [...values].filter((_, index) => index % batch === b);

const cut = fc.record({
  batch: fc.integer({ min: 1, max: 5 }),
  window: fc.integer({ min: 1, max: 7 }),
  over: fc.nat(60),
});

test('a text spelled out', (t) => {
  // 12 tokens: two streams of 5 inputs, and one token over.
  const windows = trainingWindows(counting(12), { batch: 2, window: 2 });
  const take = (): Window => windows.next().value;
  const shape = { steps: 2, labelCount: 4 };
  t.deepEqual(take(), { inputs: Int32Array.of(0, 5, 1, 6), labels: Int32Array.of(1, 6, 2, 7), ...shape, first: true });
  t.deepEqual(take(), { inputs: Int32Array.of(2, 7, 3, 8), labels: Int32Array.of(3, 8, 4, 9), ...shape, first: false });
  t.deepEqual(take().first, true);
  const evaluation = [...evaluationWindows(counting(12), { batch: 2, window: 2 })];
  t.is(evaluation.length, 3);
  t.deepEqual(evaluation[2], {
    inputs: Int32Array.of(4, 9),
    labels: Int32Array.of(5, 10),
    ...shape,
    steps: 1,
    labelCount: 2,
    first: false,
  });
});

test('windows that overlap begin `step` apart, carry the state from there, and count every label once', (t) => {
  fc.assert(
    fc.property(cut, fc.integer({ min: 1, max: 7 }), ({ batch, window, over }, wanted) => {
      const step = Math.min(window, wanted);
      const tokens = counting(batch * window + 1 + over);
      const stream = Math.floor((tokens.length - 1) / batch);
      const count = windowsPerPass(tokens, { batch, window, step });
      t.is(count, Math.floor((stream - window) / step) + 1);
      const windows = trainingWindows(tokens, { batch, window, step });
      const seen: number[] = [];
      for (let index = 0; index < count; index++) {
        const { inputs, labels, labelCount, first, carry, steps } = windows.next().value;
        t.is(steps, window);
        t.is(carry, step === window ? undefined : step);
        t.is(first, index === 0);
        t.is(inputs[0], index * step);
        const counting = [...labels].filter((label) => label !== -100);
        t.is(counting.length, labelCount);
        for (const label of row(labels, batch, 0)) if (label !== -100) seen.push(label);
      }
      t.deepEqual(
        seen,
        Array.from({ length: window + (count - 1) * step }, (_, index) => index + 1),
      );
      t.true(windows.next().value.first);
    }),
  );
});

test('a step beyond the window is refused', (t) => {
  t.throws(() => windowsPerPass(counting(99), { batch: 1, window: 4, step: 5 }), {
    message: 'Expected `step` to be at most the window, 4, but received 5',
  });
});

test('evaluation predicts every token of each stream once, in order', (t) => {
  fc.assert(
    fc.property(cut, ({ batch, window, over }) => {
      const tokens = counting(batch + 1 + over);
      const length = Math.floor((tokens.length - 1) / batch);
      const windows = [...evaluationWindows(tokens, { batch, window })];
      t.deepEqual(
        windows.map(({ first }) => first),
        windows.map((_, index) => index === 0),
      );
      for (let b = 0; b < batch; b++) {
        const inputs = windows.flatMap((w) => row(w.inputs, batch, b));
        t.deepEqual(inputs, [...tokens.subarray(b * length, (b + 1) * length)]);
        t.deepEqual(
          windows.flatMap((w) => row(w.labels, batch, b)),
          inputs.map((token) => token + 1),
        );
      }
    }),
  );
});

test('training goes on where the last window ended, in full windows, pass after pass; and from any window', (t) => {
  fc.assert(
    fc.property(cut, ({ batch, window, over }) => {
      const tokens = counting(batch * window + 1 + over);
      const count = windowsPerPass(tokens, { batch, window });
      const windows = trainingWindows(tokens, { batch, window });
      let before: Window | undefined;
      for (let index = 0; index < 2 * count + 1; index++) {
        const next = windows.next().value;
        t.is(next.steps, window);
        t.is(next.first, index % count === 0);
        if (!next.first)
          t.deepEqual(row(next.inputs.subarray(0, batch), 1, 0), [...(before?.labels.subarray(-batch) ?? [])]);
        t.deepEqual(trainingWindows(tokens, { batch, window }, index).next().value, next);
        before = next;
      }
    }),
  );
});

test('a text too short for a window says how many characters it takes and what to lower', (t) => {
  t.throws(() => trainingWindows(counting(8), { batch: 2, window: 4 }).next(), {
    code: 'ERR_SEQGRAD_DATA',
    message:
      'Expected a text of at least 9 characters (batch 2 · window 4 + 1) but received 8: lower `batch` or `window`',
  });
  t.is(windowsPerPass(counting(9), { batch: 2, window: 4 }), 1);
  t.throws(() => [...evaluationWindows(counting(2), { batch: 2, window: 4 })], {
    message: 'Expected a text of at least 3 characters (batch 2 + 1) but received 2: lower `batch`',
  });
  t.throws(() => [...evaluationWindows(counting(0), { batch: 1, window: 1 })], { message: /at least 2 characters/ });
});

for (const [name, options] of Object.entries({
  batch: { batch: 0, window: 1 },
  window: { batch: 1, window: 1.5 },
})) {
  test(`a ${name} that is no whole number from 1 is refused`, (t) => {
    t.throws(() => windowsPerPass(counting(9), options), { message: new RegExp(`Expected \`${name}\` to be a whole`) });
  });
}

test('a split cuts the last fractions off', (t) => {
  const { train, validation, test: rest } = split(counting(20), 0.1, 0.25);
  t.deepEqual([...validation], [13, 14]);
  t.deepEqual([...rest], [15, 16, 17, 18, 19]);
  t.is(train.length, 13);
  t.is(split(counting(1115394), 0.1).train.length, 1003854);
  t.is(split(counting(5), 0).train.length, 5);
});

for (const [validation, rest] of [
  [1, 0],
  [-0.1, 0],
  [Number.NaN, 0],
  [0.5, 0.5],
  [0, 2],
] as const) {
  test(`a split of ${validation} and ${rest} is refused`, (t) => {
    t.throws(() => split(counting(10), validation, rest), { code: 'ERR_SEQGRAD_DATA' });
  });
}

test('a document begins after the token that ends one, also where a window does', (t) => {
  const tokens = Int32Array.of(9, 1, 0, 2, 0, 3, 4, 0, 5);
  const windows = [...evaluationWindows(tokens, { batch: 2, window: 3, documentEnd: 0 })];
  // Streams: 9 1 0 2 | 0 3 4 0; a new document at position 3 and 5 of the text, that is step 3 of stream 0 and step 1 of stream 1.
  t.deepEqual(
    windows.map(({ resets }) => [...(resets ?? [])]),
    [
      [0, 0, 0, 1, 0, 0],
      [1, 0],
    ],
  );
  t.is([...evaluationWindows(tokens, { batch: 2, window: 3 })][0]?.resets, undefined);
});
