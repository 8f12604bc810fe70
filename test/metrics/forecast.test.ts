import test from 'ava';
import { mae, mase, naivePosition, rmse } from '../../src/metrics/forecast.js';
import { perplexity } from '../../src/metrics/language.js';

test('errors by hand', (t) => {
  t.is(mae([1, 2, 3], [2, 2, 1]), 1);
  t.is(rmse([1, 2, 3], [2, 2, 1]), Math.sqrt(5 / 3));
  t.is(mase([3, 5], [4, 5], [1, 3]), 0.25);
  t.throws(() => mae([1], [1, 2]), { instanceOf: RangeError });
  t.is(perplexity(Math.log(8)).toFixed(12), '8.000000000000');
});

test('the naive forecast takes the last known value of the same season', (t) => {
  t.is(naivePosition(10, 0, 1), 9);
  t.is(naivePosition(10, 3, 1), 9);
  t.is(naivePosition(24, 0, 12), 12);
  t.is(naivePosition(24, 11, 12), 23);
  t.is(naivePosition(24, 12, 12), 12, 'not the value of a year before, which is not known yet');
  t.is(naivePosition(5, 0, 12), -7);
});
