import test from 'ava';
import { classificationMetrics, confusionMatrix } from '../../src/metrics/classification.js';

test('a confusion matrix has a row for what it is and a column for what was predicted', (t) => {
  t.deepEqual(confusionMatrix([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 0, 2], 3), [
    [1, 1, 0],
    [0, 1, 0],
    [1, 0, 2],
  ]);
  t.throws(() => confusionMatrix([0], [0, 1], 2), { instanceOf: RangeError, message: /1 predictions but received 2/ });
  t.throws(() => confusionMatrix([0], [2], 2), { message: /from 0 to 1 but received 0, 2/ });
});

test('precision, recall and F1 by hand', (t) => {
  const { accuracy, macroF1, classes } = classificationMetrics([
    [1, 1, 0],
    [0, 1, 0],
    [1, 0, 2],
  ]);
  t.is(accuracy, 4 / 6);
  t.deepEqual(classes, [
    { precision: 1 / 2, recall: 1 / 2, f1: 1 / 2, support: 2 },
    { precision: 1 / 2, recall: 1, f1: 2 / 3, support: 1 },
    { precision: 1, recall: 2 / 3, f1: (2 * (2 / 3)) / (1 + 2 / 3), support: 3 },
  ]);
  t.is(macroF1.toFixed(12), ((1 / 2 + 2 / 3 + 4 / 5) / 3).toFixed(12));
});

test('a class that was never predicted counts 0, one that neither occurs nor was predicted does not count', (t) => {
  const { macroF1, classes } = classificationMetrics([
    [2, 0, 0],
    [1, 0, 0],
    [0, 0, 0],
  ]);
  t.like(classes[1], { precision: 0, recall: 0, f1: 0, support: 1 });
  t.like(classes[2], { f1: 0, support: 0 });
  t.is(macroF1.toFixed(12), (0.8 / 2).toFixed(12));
});
