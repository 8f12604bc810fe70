import { DataError } from './errors.js';

export interface Split {
  readonly train: Int32Array<ArrayBuffer>;
  readonly validation: Int32Array<ArrayBuffer>;
  readonly test: Int32Array<ArrayBuffer>;
}

function checkFraction(name: string, fraction: number): void {
  if (!(fraction >= 0 && fraction < 1)) {
    throw new DataError(`split: Expected \`${name}\` to be a fraction from 0 to below 1 but received ${fraction}`);
  }
}

/**
 * Cuts tokens into a first part for training, the next for validation and a last one for the test; each a view of the same memory.
 * @param validation fraction of all tokens, from 0 to below 1.
 * @param test the same; together they must leave something to train on.
 * @throws DataError
 */
export function split(tokens: Int32Array<ArrayBuffer>, validation: number, test = 0): Split {
  checkFraction('validation', validation);
  checkFraction('test', test);
  if (validation + test >= 1) {
    throw new DataError(`split: Expected validation + test to be below 1 but received ${validation} + ${test}`);
  }
  const testStart = Math.floor(tokens.length * (1 - test));
  const validationStart = Math.floor(tokens.length * (1 - test - validation));
  return {
    train: tokens.subarray(0, validationStart),
    validation: tokens.subarray(validationStart, testStart),
    test: tokens.subarray(testStart),
  };
}
