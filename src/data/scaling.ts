/** Standard scaling: each column with mean 0 and standard deviation 1, by what the training part holds. */
import { DataError } from './errors.js';

export interface ScalingJson {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

export class StandardScaling {
  private constructor(
    readonly mean: readonly number[],
    readonly deviation: readonly number[],
  ) {}

  /** Fits to values [rows, columns], row by row. A column that never changes is only shifted. */
  static fit(values: Float64Array, columns: number): StandardScaling {
    const rows = values.length / columns;
    const column = (index: number): number[] =>
      Array.from({ length: rows }, (_, row) => values[row * columns + index] as number);
    const meanOf = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0) / rows;
    const all = Array.from({ length: columns }, (_, index) => column(index));
    const mean = all.map(meanOf);
    const deviation = all.map((numbers, index) => {
      const spread = Math.sqrt(meanOf(numbers.map((value) => (value - (mean[index] as number)) ** 2)));
      return spread > 0 ? spread : 1;
    });
    return new StandardScaling(mean, deviation);
  }

  /** The scaling that {@link toJSON} described. @param name what messages call the source @throws DataError */
  static fromJSON(json: unknown, name = 'scaling'): StandardScaling {
    const { mean, deviation } = (json ?? {}) as Partial<Record<keyof ScalingJson, unknown>>;
    const isList = (list: unknown): list is number[] => Array.isArray(list) && list.every(Number.isFinite);
    if (
      !isList(mean) ||
      !isList(deviation) ||
      mean.length !== deviation.length ||
      deviation.some((value) => value <= 0)
    ) {
      throw new DataError(`${name}: Expected { "mean": […], "deviation": […] } of one length, deviations above 0`);
    }
    return new StandardScaling(mean, deviation);
  }

  get columns(): number {
    return this.mean.length;
  }

  /** (value − mean) / deviation of values [rows, columns]. */
  apply(values: Float64Array): Float64Array {
    return values.map((value, index) => {
      const column = index % this.columns;
      return (value - (this.mean[column] as number)) / (this.deviation[column] as number);
    });
  }

  /** The value that was scaled to `scaled` in a column. */
  invert(scaled: number, column: number): number {
    return scaled * (this.deviation[column] as number) + (this.mean[column] as number);
  }

  toJSON(): ScalingJson {
    return { mean: this.mean, deviation: this.deviation };
  }
}
