/** Forecasts of numeric series: the network, its scaling, and what one does with them. */

import type { Backend } from '../backends/executor.js';
import { DataError } from '../data/errors.js';
import { forecastOrigins } from '../data/forecast-windows.js';
import { type ScalingJson, StandardScaling } from '../data/scaling.js';
import type { Series } from '../data/series.js';
import { randomNumbers, shuffled } from '../data/shuffle.js';
import { FormatError } from '../formats/errors.js';
import { join } from '../host/node.js';
import { mae, mase, naivePosition, rmse } from '../metrics/forecast.js';
import { checkOptions, OptionError, oneOf, type Rule, wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import { built, type Fields, field, fromJson, namesRule, rulesOf, sizeRule, toJson } from './fields.js';
import { readModelConfig } from './folder.js';
import { ForecasterNetwork, type ForecastLoss } from './networks/forecaster.js';
import { type TrainingPassOptions, trainingPassRules } from './passes.js';
import {
  buildRules,
  type RecurrentOptions,
  type RecurrentSettings,
  recurrentFields,
  recurrentSettings,
} from './recurrent-options.js';
import { backendOr } from './saved-model.js';

import { type PassOptions, TaskModel } from './task-model.js';

/** What a series goes through before it is scaled. */
export type Transform = 'none' | 'log';

interface Settings extends RecurrentSettings {
  /** Columns that are read. */
  readonly columns: readonly string[];
  /** Those of them that are forecast. */
  readonly targets: readonly string[];
  readonly window: number;
  readonly horizon: number;
  readonly loss: ForecastLoss;
  readonly quantiles: readonly number[];
  readonly transform: Transform;
  readonly relative: boolean;
  readonly scaling: ScalingJson;
}

export interface ForecasterOptions extends Omit<RecurrentOptions, 'bidirectional'> {
  /** Columns to forecast. Default: the only column of the series. */
  readonly targets?: readonly string[];
  /** Rows that a forecast is made from, T. Default 24. */
  readonly window?: number;
  /** Rows that are forecast at once. Default 1. */
  readonly horizon?: number;
  /** What is learnt: the mean (mse, the default), the median (mae), or `quantiles`. */
  readonly loss?: ForecastLoss;
  /** For the quantile loss, ascending; the middle one is the forecast. Default [0.1, 0.5, 0.9]. */
  readonly quantiles?: readonly number[];
  /** `log` for series above 0 whose swings grow with their level. Default none. */
  readonly transform?: Transform;
  /**
   * Whether the network sees a target's values as differences to the last one of the window, and not as they are: for series that leave
   * the range they were trained in. Forecasts are made as differences to the last value either way. Default true.
   */
  readonly relative?: boolean;
}

export interface ForecastMetrics {
  readonly mae: number;
  readonly rmse: number;
  /** MAE relative to that of the naive forecast of the same values. */
  readonly mase: number;
  /** MAE of the naive forecast. */
  readonly naiveMae: number;
}

export interface ForecastEvaluation extends ForecastMetrics {
  /** Mean over all values, in scaled units. */
  readonly loss: number;
  /** By target. */
  readonly targets: Readonly<Record<string, ForecastMetrics>>;
  /** With the quantile loss: the share of values between the lowest and the highest quantile. */
  readonly coverage?: number;
  /** Values that were forecast. */
  readonly count: number;
}

/** One row that is forecast: a value for each target. */
export interface Forecast {
  /** From 1: rows after the last one known. */
  readonly step: number;
  readonly values: Readonly<Record<string, number>>;
  /** With the quantile loss: each target's value for each quantile. */
  readonly quantiles?: Readonly<Record<string, readonly number[]>>;
}

export interface ForecastPassOptions extends PassOptions {
  /** Rows whose values are forecast, from … to − 1. Default: all that have a window before them. */
  readonly rows?: readonly [from: number, to: number] | undefined;
  /** What messages call these rows, `the test part` for one. */
  readonly part?: string | undefined;
}

const MODEL_TYPE = 'forecaster';

const quantilesRule: Rule = {
  expected: 'ascending numbers above 0 and below 1',
  accepts: (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((each, index) => each > (value[index - 1] ?? 0) && each < 1),
};

const scalingRule: Rule = {
  expected: 'means and deviations of the columns',
  accepts: (value) => {
    try {
      return StandardScaling.fromJSON(value).columns > 0;
    } catch {
      return false;
    }
  },
};

const fields: Fields<Settings> = {
  ...recurrentFields,
  columns: field('columns', namesRule),
  targets: field('targets', namesRule),
  window: field('window', sizeRule),
  horizon: field('horizon', sizeRule),
  loss: field('loss', oneOf('mse', 'mae', 'quantile')),
  quantiles: field('quantiles', quantilesRule),
  transform: field('transform', oneOf('none', 'log')),
  relative: field('relative', { expected: 'true or false', accepts: (value) => typeof value === 'boolean' }),
  scaling: field('scaling', scalingRule),
};

const { bidirectional: _, scaling: __, columns: ___, ...optionRules } = rulesOf(fields);
const rules = { ...optionRules, ...buildRules };

const transforms: Readonly<Record<Transform, { to(x: number): number; from(y: number): number }>> = {
  none: { to: (x) => x, from: (y) => y },
  log: { to: Math.log, from: Math.exp },
};

/** Refuses a season that the naive forecast of the first window would look for before the series. @throws DataError */
function checkSeason([first = 0]: readonly number[], season: number): void {
  if (first >= season) return;
  throw new DataError(`Expected at least ${season} rows (\`season\`) before the first forecast but received ${first}`);
}

/** Transformed values. @throws DataError naming a value that has no logarithm */
function transformed({ values, columns }: Series, transform: Transform): Float64Array {
  const bad = transform === 'log' ? values.findIndex((value) => !(value > 0)) : -1;
  if (bad >= 0) {
    const where = `column "${columns[bad % columns.length]}" at row ${Math.floor(bad / columns.length) + 1}`;
    throw new DataError(`Expected values above 0 for their logarithm but received ${values[bad]} in ${where}`);
  }
  return values.map(transforms[transform].to);
}

export class Forecaster extends TaskModel<ForecasterNetwork> {
  readonly #scaling: StandardScaling;
  /** The columns that are forecast. */
  readonly #targets: readonly number[];

  private constructor(
    readonly settings: Settings,
    backend: Backend,
  ) {
    const { columns, targets, horizon } = settings;
    super(
      new ForecasterNetwork({ ...settings, inputSize: columns.length, outputSize: horizon * targets.length }),
      backend,
    );
    this.#scaling = StandardScaling.fromJSON(settings.scaling);
    this.#targets = targets.map((target) => columns.indexOf(target));
  }

  /**
   * A model with fresh parameters, its scaling fitted to a series: the part it is to be trained on.
   * @throws OptionError for an option that is unknown or does not fit; DataError; OutOfMemoryError naming the bytes it would take.
   */
  static async create(train: Series, options: ForecasterOptions = {}): Promise<Forecaster> {
    checkOptions('Forecaster', options, rules);
    const { columns } = train;
    const { targets = columns, window = 24, horizon = 1, loss = 'mse', quantiles = [0.1, 0.5, 0.9] } = options;
    const { transform = 'none', relative = true, seed = 1, backend } = options;
    if (options.targets === undefined && columns.length > 1) {
      throw new OptionError(
        `Forecaster: Expected \`targets\`, some of the columns ${columns.join(', ')}, but received none`,
      );
    }
    const unknown = targets.find((target) => !columns.includes(target));
    if (unknown !== undefined) {
      throw new OptionError(
        `Forecaster: Expected \`targets\` to be of the columns ${columns.join(', ')} but received ${unknown}`,
      );
    }
    const scaling = StandardScaling.fit(transformed(train, transform), columns.length).toJSON();
    const recurrent = recurrentSettings({ hiddenSize: 32, ...options });
    const settings = { ...recurrent, columns, targets, window, horizon, loss, quantiles, transform, relative, scaling };
    return new Forecaster(settings, await backendOr(backend)).fresh(seed);
  }

  /**
   * A model from a folder that {@link save} wrote.
   * @throws FileError, FormatError or DataError naming the file, the tensor or field, what was expected and what was found.
   */
  static async load(folder: string, { backend }: { readonly backend?: Backend | undefined } = {}): Promise<Forecaster> {
    const json = await readModelConfig(folder, MODEL_TYPE);
    const config = join(folder, 'config.json');
    const settings = fromJson(fields, json, config);
    const { columns, targets, scaling } = settings;
    if (scaling.mean.length !== columns.length) {
      const expected = `\`scaling\` to be means and deviations of ${columns.length} columns`;
      throw new FormatError(config, undefined, expected, `${scaling.mean.length}`);
    }
    const unknown = targets.find((target) => !columns.includes(target));
    if (unknown !== undefined) {
      throw new FormatError(config, undefined, `\`targets\` to be of the columns ${columns.join(', ')}`, unknown);
    }
    const loaded = await backendOr(backend);
    return built(config, fields, () => new Forecaster(settings, loaded)).stored(folder);
  }

  /**
   * Batches for training, without end: all windows whose forecasts lie in `rows`, in a new order in every pass. A last batch that
   * would not be full is left out, so that batches share a program.
   * @throws DataError where the series is shorter than a window
   */
  *batches(
    series: Series,
    {
      rows,
      part,
      stride = 1,
      ...options
    }: TrainingPassOptions & Omit<ForecastPassOptions, 'signal'> & { readonly stride?: number } = {},
  ): Generator<Batch, void, undefined> {
    checkOptions('batches', { stride, ...options }, { ...trainingPassRules, stride: wholeNumber(1) });
    const { batch = 32, seed = 1 } = options;
    const scaled = this.#scaled(series);
    const origins = this.#origins(series, { rows, part }, stride);
    const size = Math.min(batch, origins.length);
    for (let turn = 0; ; turn++) {
      const order = shuffled(origins, randomNumbers(seed, turn));
      for (let start = 0; start + size <= order.length; start += size)
        yield this.#batch(scaled, order.slice(start, start + size));
    }
  }

  /**
   * How many windows a series has.
   * @param season as {@link evaluate} takes it
   * @throws DataError as {@link batches}, or where the series is shorter than the season
   */
  windows(
    series: Series,
    {
      stride = 1,
      season = 1,
      ...which
    }: Pick<ForecastPassOptions, 'rows' | 'part'> & { readonly stride?: number; readonly season?: number } = {},
  ): number {
    const origins = this.#origins(series, which, stride);
    checkSeason(origins, season);
    return origins.length;
  }

  /**
   * Loss and metrics over the forecasts of every window.
   * @param season of the naive forecast that MASE compares with: 1 takes the last value, 12 with months the one of the same month.
   * @throws DataError where the series is shorter than a window or a season
   */
  async evaluate(
    series: Series,
    { season = 1, batch = 64, signal, ...which }: ForecastPassOptions & { readonly season?: number } = {},
  ): Promise<ForecastEvaluation> {
    checkOptions('evaluate', { season, batch }, { season: wholeNumber(1), batch: wholeNumber(1) });
    const origins = this.#origins(series, which, 1);
    const { columns, targets, horizon } = this.settings;
    checkSeason(origins, season);
    const valueAt = (row: number, column: number): number => series.values[row * columns.length + column] as number;
    const seen = targets.map(() => ({ actual: [] as number[], forecast: [] as number[], naive: [] as number[] }));
    const scaled = this.#scaled(series);
    let [loss, inside] = [0, 0];
    for (let start = 0; start < origins.length && !signal?.aborted; start += batch) {
      const some = origins.slice(start, start + batch);
      const result = await this.#forecasts(scaled, some);
      loss += result.loss;
      for (const [row, origin] of some.entries()) {
        for (let step = 0; step < horizon; step++) {
          for (const [target, column] of this.#targets.entries()) {
            const its = seen[target] as (typeof seen)[number];
            const actual = valueAt(origin + step, column);
            const quantiles = result.at(row, step, target);
            its.actual.push(actual);
            its.forecast.push(this.#middle(quantiles));
            its.naive.push(valueAt(naivePosition(origin, step, season), column));
            inside += Number((quantiles[0] as number) <= actual && actual <= (quantiles.at(-1) as number));
          }
        }
      }
    }
    const byTarget = seen.map(({ actual, forecast, naive }) => ({
      mae: mae(actual, forecast),
      rmse: rmse(actual, forecast),
      mase: mase(actual, forecast, naive),
      naiveMae: mae(actual, naive),
    }));
    const all = (key: 'actual' | 'forecast' | 'naive'): number[] => seen.flatMap((its) => its[key]);
    const count = all('actual').length;
    return {
      loss: loss / count,
      mae: mae(all('actual'), all('forecast')),
      rmse: rmse(all('actual'), all('forecast')),
      mase: byTarget.reduce((sum, its) => sum + its.mase, 0) / byTarget.length,
      naiveMae: mae(all('actual'), all('naive')),
      targets: Object.fromEntries(targets.map((target, index) => [target, byTarget[index] as ForecastMetrics])),
      ...(this.settings.loss === 'quantile' ? { coverage: inside / count } : {}),
      count,
    };
  }

  /** The `horizon` rows that follow a series. @throws DataError where the series is shorter than a window */
  async predict(series: Series): Promise<Forecast[]> {
    const { window, horizon, targets, loss } = this.settings;
    this.#checkColumns(series);
    if (series.length < window) {
      throw new DataError(
        `Expected at least ${window} rows (\`window\`) to forecast from but received ${series.length}`,
      );
    }
    const { at } = await this.#forecasts(this.#scaled(series), [series.length]);
    const named = <T>(value: (target: number) => T): Record<string, T> =>
      Object.fromEntries(targets.map((target, index) => [target, value(index)]));
    return Array.from({ length: horizon }, (_, step) => ({
      step: step + 1,
      values: named((target) => this.#middle(at(0, step, target))),
      ...(loss === 'quantile' ? { quantiles: named((target) => at(0, step, target)) } : {}),
    }));
  }

  protected description() {
    return { config: { model_type: MODEL_TYPE, ...toJson(fields, this.settings) } };
  }

  /** The middle one of a value's quantiles; the value itself where there is one only. */
  #middle(quantiles: readonly number[]): number {
    return quantiles[Math.floor(quantiles.length / 2)] as number;
  }

  #checkColumns({ columns }: Series): void {
    if (columns.join('\n') === this.settings.columns.join('\n')) return;
    throw new DataError(`Expected the columns ${this.settings.columns.join(', ')} but received ${columns.join(', ')}`);
  }

  #scaled(series: Series): Float64Array {
    return this.#scaling.apply(transformed(series, this.settings.transform));
  }

  #origins(
    series: Series,
    { rows = [0, series.length], part = 'the series' }: Pick<ForecastPassOptions, 'rows' | 'part'>,
    stride: number,
  ): number[] {
    this.#checkColumns(series);
    const { window, horizon } = this.settings;
    return forecastOrigins(rows, { window, horizon, stride }, part);
  }

  /** The window before each origin, and what comes after it where that is known. */
  #batch(scaled: Float64Array, origins: readonly number[]): Batch {
    const { columns, targets, window, horizon, relative } = this.settings;
    const [F, B, K] = [columns.length, origins.length, horizon * targets.length];
    const x = new Float32Array(window * B * F);
    const values = new Float32Array(B * K);
    for (const [b, origin] of origins.entries()) {
      const last = (column: number): number => scaled[(origin - 1) * F + column] as number;
      const shift = columns.map((_, column) => (relative && this.#targets.includes(column) ? last(column) : 0));
      for (let t = 0; t < window; t++) {
        for (let f = 0; f < F; f++) {
          x[(t * B + b) * F + f] = (scaled[(origin - window + t) * F + f] as number) - (shift[f] as number);
        }
      }
      for (let step = 0; step < horizon; step++) {
        for (const [target, column] of this.#targets.entries()) {
          const value = scaled[(origin + step) * F + column] ?? last(column);
          values[b * K + step * targets.length + target] = value - last(column);
        }
      }
    }
    return { inputs: { x, targets: values }, time: window, batch: B, labelCount: B * K, first: true };
  }

  /** Forecasts at some origins, in the units of the series. */
  async #forecasts(scaled: Float64Array, origins: readonly number[]) {
    const { columns, targets, horizon, loss: kind, quantiles, transform } = this.settings;
    const K = horizon * targets.length;
    const Q = kind === 'quantile' ? quantiles.length : 1;
    const { loss, predictions } = await this.compute(this.#batch(scaled, origins));
    /** One number for each quantile, ascending: quantiles that cross are put in order. */
    const at = (row: number, step: number, target: number): number[] => {
      const column = this.#targets[target] as number;
      const last = scaled[((origins[row] as number) - 1) * columns.length + column] as number;
      return Array.from({ length: Q }, (_, q) => {
        const change = predictions[row * Q * K + q * K + step * targets.length + target] as number;
        return transforms[transform].from(this.#scaling.invert(last + change, column));
      }).sort((a, b) => a - b);
    };
    return { loss, at };
  }
}
