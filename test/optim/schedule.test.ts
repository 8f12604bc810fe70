import test from 'ava';
import { learningRates, type ScheduleOptions } from '../../src/optim/schedule.js';

const rates = (options: Partial<ScheduleOptions>): number[] => {
  const rate = learningRates({ kind: 'linear', learningRate: 1, steps: 8, ...options });
  return Array.from({ length: 8 }, (_, index) => Number(rate(index + 1).toFixed(6)));
};

test('constant', (t) => {
  t.deepEqual(rates({ kind: 'constant' }), [1, 1, 1, 1, 1, 1, 1, 1]);
  t.deepEqual(rates({ kind: 'constant', warmup: 4 }), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]);
});

test('up and down along a line', (t) => {
  t.deepEqual(rates({}), [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
  t.deepEqual(rates({ warmup: 4 }), [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]);
  t.deepEqual(rates({ warmup: 0.5 }), rates({ warmup: 4 }), 'a share of the steps');
  t.deepEqual(rates({ warmup: 8, learningRate: 8 }), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('down along a cosine', (t) => {
  const half = Math.SQRT1_2 / 2;
  t.deepEqual(
    rates({ kind: 'cosine', warmup: 4 }),
    [0.25, 0.5, 0.75, 1, 1, 0.5 + half, 0.5, 0.5 - half].map((rate) => Number(rate.toFixed(6))),
  );
});

test('steps beyond the last have what is left', (t) => {
  t.is(learningRates({ kind: 'linear', learningRate: 1, steps: 4 })(9), 0);
  t.is(learningRates({ kind: 'linear', learningRate: 1, steps: 4, warmup: 4 })(9), 0);
  t.is(learningRates({ kind: 'constant', learningRate: 1, steps: 4 })(9), 1);
});

test('bad options', (t) => {
  const refused = (options: object, message: RegExp): void => {
    t.throws(() => rates(options), { message, code: 'ERR_SEQGRAD_OPTION' });
  };
  refused({ kind: 'step' }, /`kind` to be one of constant, linear, cosine but received "step"/);
  refused({ learningRate: 0 }, /`learningRate` to be a number above 0/);
  refused({ warmup: 2.5 }, /`warmup` to be a share from 0 to below 1, or a whole number of steps but received 2\.5/);
  refused({ warmup: 9 }, /`warmup` to be a whole number from 0 to 8 but received 9/);
  refused({ warmups: 1 }, /did you mean `warmup`/);
});
