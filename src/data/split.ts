/** Parts for training, validation and test. */
import { DataError } from './errors.js';
import { randomNumbers, shuffled } from './shuffle.js';

export interface Parts<T> {
  readonly train: T;
  readonly validation: T;
  readonly test: T;
}

export type Split = Parts<Int32Array<ArrayBuffer>>;

/** Fractions of all data, each from 0 to below 1. */
export interface Fractions {
  readonly validation: number;
  readonly test: number;
}

function checkFractions({ validation, test }: Fractions): void {
  for (const [name, fraction] of Object.entries({ validation, test })) {
    if (fraction >= 0 && fraction < 1) continue;
    throw new DataError(`split: Expected \`${name}\` to be a fraction from 0 to below 1 but received ${fraction}`);
  }
  if (validation + test >= 1) {
    throw new DataError(`split: Expected validation + test to be below 1 but received ${validation} + ${test}`);
  }
}

/** Where the validation part and the test part begin, in the order of time. @throws DataError */
export function splitPoints(length: number, fractions: Fractions): readonly [validation: number, test: number] {
  checkFractions(fractions);
  const { validation, test } = fractions;
  return [Math.floor(length * (1 - test - validation)), Math.floor(length * (1 - test))];
}

/**
 * Cuts tokens into a first part for training, the next for validation and a last one for the test; each a view of the same memory.
 * @param validation fraction of all tokens, from 0 to below 1.
 * @param test the same; together they must leave something to train on.
 * @throws DataError
 */
export function split(tokens: Int32Array<ArrayBuffer>, validation: number, test = 0): Split {
  const [validationStart, testStart] = splitPoints(tokens.length, { validation, test });
  return {
    train: tokens.subarray(0, validationStart),
    validation: tokens.subarray(validationStart, testStart),
    test: tokens.subarray(testStart),
  };
}

/** The positions of each label, in the order in which labels first come. */
function grouped(labels: readonly string[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const [index, label] of labels.entries()) {
    const group = groups.get(label);
    if (group === undefined) groups.set(label, [index]);
    else group.push(index);
  }
  return groups;
}

/** Deals values out at random. The same seed gives the same parts, each in the order of the values. @throws DataError */
export function splitRandomly<T>(values: readonly T[], fractions: Fractions, seed: number): Parts<T[]> {
  return splitStratified(values, () => '', fractions, seed);
}

/**
 * Deals values out at random so that every class has its fraction in each part, and at least one value in each part that is not
 * to be empty. The same seed gives the same parts, each in the order of the values.
 * @throws DataError naming a class that has fewer values than there are parts
 */
export function splitStratified<T>(
  values: readonly T[],
  labelOf: (value: T) => string,
  fractions: Fractions,
  seed: number,
): Parts<T[]> {
  checkFractions(fractions);
  const wanted = (['validation', 'test'] as const).filter((part) => fractions[part] > 0);
  const partOf = new Array<keyof Parts<T>>(values.length).fill('train');
  const random = randomNumbers(seed);
  for (const [label, members] of grouped(values.map(labelOf))) {
    if (members.length <= wanted.length) {
      const those = label === '' ? 'all in all' : `of class "${label}"`;
      throw new DataError(
        `split: Expected at least ${wanted.length + 1} examples ${those}, one for each of train, ${wanted.join(', ')}, but received ${members.length}`,
      );
    }
    const order = shuffled(members, random);
    for (const [index, part] of wanted.entries()) {
      const most = order.length - (wanted.length - index); // one each for the parts to come and for training
      const count = Math.min(most, Math.max(1, Math.round(members.length * fractions[part])));
      for (const member of order.splice(0, count)) partOf[member] = part;
    }
  }
  const select = (part: keyof Parts<T>): T[] => values.filter((_, index) => partOf[index] === part);
  return { train: select('train'), validation: select('validation'), test: select('test') };
}
