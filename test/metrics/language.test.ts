import test from 'ava';
import { unigramBaseline } from '../../src/metrics/language.js';

test('entropy and accuracy of knowing only how frequent tokens are', (t) => {
  t.deepEqual(unigramBaseline([7, 7, 7]), { entropy: 0, accuracy: 1 });
  const { entropy, accuracy } = unigramBaseline([1, 1, 2, 3]);
  t.true(Math.abs(entropy - 1.5 * Math.LN2) < 1e-12);
  t.is(accuracy, 0.5);
});
