/** Metrics of classes: all from the confusion matrix. */
import { sameLength } from './errors.js';

/** How often each class (row) was predicted as each class (column). */
export type Confusion = readonly (readonly number[])[];

export interface ClassMetrics {
  /** Share of the predictions of this class that are right; 0 where it was never predicted. */
  readonly precision: number;
  /** Share of this class that was found; 0 where there is none of it. */
  readonly recall: number;
  /** 2 · precision · recall / (precision + recall); 0 where both are. */
  readonly f1: number;
  /** How many there are of this class. */
  readonly support: number;
}

export interface ClassificationMetrics {
  /** Share of right predictions. */
  readonly accuracy: number;
  /** Mean of the F1 of every class that occurs or was predicted. */
  readonly macroF1: number;
  /** By class. */
  readonly classes: readonly ClassMetrics[];
  readonly confusion: Confusion;
}

/**
 * Counts predictions [N] of actual classes [N], each a number from 0 to below `classes`.
 * @throws RangeError
 */
export function confusionMatrix(actual: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): Confusion {
  sameLength('confusionMatrix', actual, predicted);
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let index = 0; index < actual.length; index++) {
    const [row, column] = [actual[index] as number, predicted[index] as number];
    const count = matrix[row]?.[column];
    if (count === undefined) {
      throw new RangeError(`confusionMatrix: Expected classes from 0 to ${classes - 1} but received ${row}, ${column}`);
    }
    (matrix[row] as number[])[column] = count + 1;
  }
  return matrix;
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
const total = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);

/** Accuracy, precision, recall and F1 from a confusion matrix; NaN for an accuracy of nothing. */
export function classificationMetrics(confusion: Confusion): ClassificationMetrics {
  const predicted = confusion.map((_, column) => total(confusion.map((row) => row[column] as number)));
  const classes = confusion.map((row, index): ClassMetrics => {
    const right = row[index] as number;
    const support = total(row);
    const precision = ratio(right, predicted[index] as number);
    const recall = ratio(right, support);
    return { precision, recall, f1: ratio(2 * precision * recall, precision + recall), support };
  });
  const present = classes.filter(({ support }, index) => support > 0 || (predicted[index] as number) > 0);
  const right = total(confusion.map((row, index) => row[index] as number));
  return {
    accuracy: right / total(predicted),
    macroF1: total(present.map(({ f1 }) => f1)) / present.length,
    classes,
    confusion,
  };
}
