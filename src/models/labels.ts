/** The classes of a model by name. */
import { DataError } from '../data/errors.js';

/** Class names that fit into a message. */
const SHOWN = 20;

export class Labels {
  readonly #indices: ReadonlyMap<string, number>;

  constructor(readonly names: readonly string[]) {
    this.#indices = new Map(names.map((name, index) => [name, index]));
  }

  /** The labels of examples, by name. @throws DataError if there are fewer than two: nothing could be learnt */
  static of(labels: Iterable<string>): Labels {
    const names = [...new Set(labels)].sort();
    if (names.length >= 2) return new Labels(names);
    const found = names.length === 0 ? 'none' : `only "${names[0]}"`;
    throw new DataError(`Expected labels of at least two classes but received ${found}`);
  }

  get size(): number {
    return this.names.length;
  }

  name(index: number): string {
    return this.names[index] as string;
  }

  /** @param where what messages call the place of the label @throws DataError for a label the model does not have */
  index(label: string, where: string | undefined): number {
    const index = this.#indices.get(label);
    if (index !== undefined) return index;
    const more = this.names.length > SHOWN ? ', …' : '';
    const known = `one of the model’s ${this.size} labels (${this.names.slice(0, SHOWN).join(', ')}${more})`;
    throw new DataError(`${where === undefined ? '' : `${where}: `}Expected ${known} but received "${label}"`);
  }
}

/** Probabilities of each row of logits [rows, classes]. */
export function softmaxRow(logits: ArrayLike<number>, row: number, classes: number): number[] {
  const values = Array.from({ length: classes }, (_, index) => logits[row * classes + index] as number);
  const most = Math.max(...values);
  const weights = values.map((value) => Math.exp(value - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** The index of the largest value of a row [rows, classes]; of equals the first. */
export function largestInRow(values: ArrayLike<number>, row: number, classes: number): number {
  let best = 0;
  for (let index = 1; index < classes; index++) {
    if ((values[row * classes + index] as number) > (values[row * classes + best] as number)) best = index;
  }
  return best;
}
