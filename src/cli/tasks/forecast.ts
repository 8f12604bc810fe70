/** `seqgrad train forecast`: the next values of a series. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DataError } from '../../data/errors.js';
import type { Missing } from '../../data/missing.js';
import { readSeries, type Series } from '../../data/series.js';
import { splitPoints } from '../../data/split.js';
import {
  type ForecastEvaluation,
  Forecaster,
  type ForecastPassOptions,
  type Transform,
} from '../../models/forecaster.js';
import type { ForecastLoss } from '../../models/networks/forecaster.js';
import { tableText } from '../classes.js';
import { backendFrom, required, several } from '../command.js';
import { sourceOf, tableOptions, withTable } from '../data.js';
import { networkOf, type RecurrentFlags, withRecurrent } from '../recurrent.js';
import { metricsText } from '../report.js';
import { stepsOf, type TrainingFlags, trainTask, whole, withTraining } from '../training.js';
import type { EvaluateFlags, Measured, PredictFlags, Prediction, TableFlags, Task } from './task.js';

interface Flags extends TrainingFlags, RecurrentFlags, TableFlags {
  data?: string;
  validationData?: string;
  testData?: string;
  target?: string[];
  input?: string[];
  window: number;
  horizon: number;
  stride: number;
  loss: ForecastLoss;
  quantiles: number[];
  transform: Transform;
  absolute: boolean;
  season: number;
}

function quantilesOption(text: string): number[] {
  const quantiles = text.split(',').map(Number);
  const isAscending = quantiles.every((value, index) => value > (quantiles[index - 1] ?? 0) && value < 1);
  if (isAscending) return quantiles;
  throw new InvalidArgumentError(
    `Expected ascending numbers between 0 and 1, such as 0.1,0.5,0.9, but received ${text}.`,
  );
}

const read = (path: string, flags: TableFlags, columns?: readonly string[]): Promise<Series> =>
  readSeries(sourceOf(path), { ...tableOptions(flags), columns, missing: flags.missing as Missing });

/** The series to train on, and its targets. @throws DataError where it is not clear what to forecast */
async function readTraining(flags: Flags): Promise<{ series: Series; targets: readonly string[] }> {
  const path = required(flags.data, '--data <path>');
  const { target, input = [] } = flags;
  if (target !== undefined) {
    return { series: await read(path, flags, [...new Set([...target, ...input])]), targets: target };
  }
  const series = await read(path, flags);
  const others = series.columns.filter((column) => !input.includes(column));
  if (others.length === 1) return { series, targets: others };
  const expected = 'one column of numbers, or --target <column>,';
  throw new DataError(`${path}: Expected ${expected} but received the columns ${series.columns.join(', ')}`);
}

function measured(evaluation: ForecastEvaluation, season: number): Measured {
  const { loss, mae, rmse, mase, naiveMae, targets, coverage, count } = evaluation;
  const names = Object.keys(targets);
  const metrics = {
    loss,
    mae,
    rmse,
    mase,
    season,
    naive_mae: naiveMae,
    count,
    ...(coverage === undefined ? {} : { coverage }),
  };
  const naive = season === 1 ? 'the last value' : `the value ${season} rows before`;
  const rows = Object.entries(targets).map(([name, its]) => [
    name,
    ...[its.mae, its.rmse, its.mase].map((value) => value.toPrecision(4)),
  ]);
  return {
    metrics: names.length === 1 ? metrics : { ...metrics, targets },
    text:
      `${metricsText({ loss, mae, rmse, mase })} over ${count.toLocaleString('en')} values ` +
      `(${naive} as forecast: MAE ${naiveMae.toPrecision(4)}${mase < 1 ? '' : ', which is better'})` +
      (coverage === undefined ? '' : `; ${(100 * coverage).toFixed(0)} % between the outer quantiles`),
    ...(names.length === 1 ? {} : { details: tableText([['target', 'MAE', 'RMSE', 'MASE'], ...rows]) }),
  };
}

/** The rows of each part, and the series they are of. */
interface Part {
  readonly series: Series;
  readonly of: Pick<ForecastPassOptions, 'rows' | 'part'>;
}

async function partsOf(
  series: Series,
  flags: Flags,
): Promise<Record<'train' | 'validation' | 'test', Part | undefined>> {
  const { validationData, testData } = flags;
  const validation = validationData === undefined ? flags.validation : 0;
  const test = testData === undefined ? flags.test : 0;
  const [validationStart, testStart] = splitPoints(series.length, { validation, test });
  const rows = (from: number, to: number, part: string): Part | undefined =>
    from === to ? undefined : { series, of: { rows: [from, to], part: `the ${part} part` } };
  const other = async (path: string): Promise<Part> => ({
    series: await read(path, flags, series.columns),
    of: { part: path },
  });
  return {
    train: rows(0, validationStart, 'training'),
    validation:
      validationData === undefined ? rows(validationStart, testStart, 'validation') : await other(validationData),
    test: testData === undefined ? rows(testStart, series.length, 'test') : await other(testData),
  };
}

async function train(flags: Flags): Promise<void> {
  const { series, targets } = await readTraining(flags);
  const parts = await partsOf(series, flags);
  const { columns, length } = series;
  const { window, horizon, stride, loss, quantiles, transform, season } = flags;
  const trainRows = parts.train?.of.rows?.[1] ?? 0;
  const trained = { columns, values: series.values.slice(0, trainRows * columns.length), length: trainRows };
  if (trainRows === 0) throw new DataError(`Expected rows to train on but received ${length} in all`);
  const model = await Forecaster.create(trained, {
    targets,
    ...networkOf(flags),
    window,
    horizon,
    loss,
    quantiles,
    transform,
    relative: !flags.absolute,
    backend: await backendFrom(flags),
  });
  const count = model.windows(series, { ...parts.train?.of, stride });
  for (const part of [parts.validation, parts.test])
    if (part !== undefined) model.windows(part.series, { ...part.of, season });
  const batch = Math.min(flags.batch, count);
  const perEpoch = Math.floor(count / batch);
  const rowsOf = (part: Part | undefined): number =>
    part === undefined ? 0 : (part.of.rows ?? [0, part.series.length]).reduce((a, b) => b - a);
  const rows = { train: rowsOf(parts.train), validation: rowsOf(parts.validation), test: rowsOf(parts.test) };
  const others = columns.filter((column) => !targets.includes(column));
  await trainTask(flags, {
    unit: 'values',
    data: {
      values: { rows: length, ...rows, windows: count, targets, inputs: others },
      text:
        `series: ${length.toLocaleString('en')} rows of ${targets.join(', ')}${others.length === 0 ? '' : ` with ${others.join(', ')}`}; ` +
        `${rows.train} to train (${count} windows of ${window} + ${horizon}), ${rows.validation} for validation, ${rows.test} for the test`,
    },
    createModel: async () => model,
    batches: () => model.batches(series, { ...parts.train?.of, stride, batch, seed: flags.seed }),
    shape: { time: window, batch },
    steps: stepsOf(flags, perEpoch),
    measure: async (_model, name, signal) => {
      const part = parts[name];
      if (part === undefined) return undefined;
      return measured(await model.evaluate(part.series, { ...part.of, season, signal }), season);
    },
    next: `npx seqgrad predict --model ${flags.out} --data ${flags.data}`,
  });
}

export const forecastTask: Task = {
  name: 'forecast',
  summary: 'a forecaster of numeric series',
  modelTypes: ['forecaster'],

  define(command: Command): void {
    command
      .option('--data <path>', 'required: a .csv, .tsv or .jsonl file, its rows in the order of time')
      .option('--validation-data <path>', 'another series for validation, instead of a share of --data')
      .option('--test-data <path>', 'another series for the test, instead of a share of --data')
      .option(
        '--target <column>',
        'column to forecast; several times for several (default: the only one of numbers)',
        several,
      )
      .option('--input <column>', 'another column that forecasts are made from; may be given several times', several);
    withTable(command, ['error', 'skip', 'previous']);
    command
      .option('--window <n>', 'rows that a forecast is made from, T', whole, 24)
      .option('--horizon <n>', 'rows that are forecast at once', whole, 1)
      .option('--stride <n>', 'rows from one training window to the next', whole, 1)
      .addOption(
        new Option('--loss <kind>', 'what is learnt: the mean, the median, or quantiles')
          .choices(['mse', 'mae', 'quantile'])
          .default('mse'),
      )
      .option('--quantiles <list>', 'of the quantile loss', quantilesOption, [0.1, 0.5, 0.9])
      .addOption(
        new Option('--transform <kind>', 'log: for values above 0 whose swings grow with their level')
          .choices(['none', 'log'])
          .default('none'),
      )
      .option('--absolute', 'show the network values as they are, not as differences to the window’s last one', false)
      .option('--season <n>', 'MASE compares with the value this many rows before', whole, 1);
    withRecurrent(command, { hidden: 32 });
    withTraining(command, {
      batch: 32,
      steps: 1000,
      schedule: 'cosine',
      validation: 0.1,
      test: 0.2,
      held: { validation: 'of the rows, before the test part,', test: 'of the rows, at their end,' },
    }).action(train);
  },

  async evaluate(folder: string, flags: EvaluateFlags) {
    const model = await Forecaster.load(folder, { backend: await backendFrom(flags) });
    const path = required(flags.data, '--data <path>');
    const series = await read(path, flags, model.settings.columns);
    const { season = 1, last } = flags;
    const rows =
      last === undefined
        ? undefined
        : ([splitPoints(series.length, { validation: 0, test: last })[1], series.length] as const);
    const part = last === undefined ? path : `the last part of ${path}`;
    return measured(await model.evaluate(series, { season, rows, part }), season);
  },

  async *predict(folder: string, flags: PredictFlags): AsyncGenerator<Prediction, void, undefined> {
    const model = await Forecaster.load(folder, { backend: await backendFrom(flags) });
    const series = await read(required(flags.data, '--data <path>'), flags, model.settings.columns);
    for (const { step, values, quantiles } of await model.predict(series)) {
      const shown = Object.entries(values).map(([name, value]) => {
        const all = quantiles?.[name];
        const range =
          all === undefined ? '' : ` (${(all[0] as number).toPrecision(4)} … ${(all.at(-1) as number).toPrecision(4)})`;
        return `${name} ${value.toPrecision(5)}${range}`;
      });
      yield {
        json: { step, values, ...(quantiles === undefined ? {} : { quantiles }) },
        text: `+${step}  ${shown.join('  ')}`,
      };
    }
  },
};
