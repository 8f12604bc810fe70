import test from 'ava';
import { Forecaster, type ForecasterOptions } from '../../src/models/forecaster.js';
import { Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { onEvery } from '../train/backends.js';
import { columnOf, wave } from './examples.js';
import { folder } from './folder.js';

const series = wave(160);
const rows = { train: [0, 120], test: [120, 160] } as const;
const beginning = wave(120);

async function trained(options: ForecasterOptions, steps = 200): Promise<Forecaster> {
  const model = await Forecaster.create(beginning, {
    hiddenSize: 8,
    window: 8,
    horizon: 3,
    targets: ['wave'],
    ...options,
  });
  await new Trainer(model, { learningRate: 0.02 }).fit(model.batches(series, { rows: rows.train, batch: 16 }), {
    steps,
  });
  return model;
}

onEvery(
  'a forecaster of several rows learns from several columns, and comes back from its folder',
  async (t, backend) => {
    const model = await trained({ backend });
    const evaluation = await model.evaluate(series, { rows: rows.test });
    t.true(evaluation.mase < 0.35, `${evaluation.mase}`);
    t.is(evaluation.count, 38 * 3);
    const path = await folder(t);
    await model.save(path);
    const loaded = await Forecaster.load(path, { backend });
    t.deepEqual(await loaded.evaluate(series, { rows: rows.test }), evaluation);
    t.deepEqual(await loaded.predict(series), await model.predict(series));
    const forecasts = await model.predict(series);
    t.deepEqual(
      forecasts.map(({ step }) => step),
      [1, 2, 3],
    );
    const actual = wave(163).values;
    for (const { step, values } of forecasts)
      t.true(Math.abs((values.wave as number) - (actual[(159 + step) * 2] as number)) < 0.3);
  },
);

test('several targets at once, each with its own metrics', async (t) => {
  const model = await trained({ backend: float64, targets: ['wave', 'ahead'] });
  const { targets, mase, mae } = await model.evaluate(series, { rows: rows.test });
  t.deepEqual(Object.keys(targets), ['wave', 'ahead']);
  t.is(mase, ((targets.wave?.mase as number) + (targets.ahead?.mase as number)) / 2);
  t.true(Math.abs(mae - ((targets.wave?.mae as number) + (targets.ahead?.mae as number)) / 2) < 1e-12);
  t.deepEqual(Object.keys((await model.predict(series))[0]?.values ?? {}), ['wave', 'ahead']);
});

test('loss and metrics are those of the predictions, by hand', async (t) => {
  const one = columnOf(series, 'wave');
  const train = columnOf(beginning, 'wave');
  for (const loss of ['mse', 'mae', 'quantile'] as const) {
    const model = await Forecaster.create(train, {
      hiddenSize: 4,
      window: 5,
      loss,
      quantiles: [0.7],
      backend: float64,
    });
    const [deviation] = model.settings.scaling.deviation as [number];
    const evaluation = await model.evaluate(one, { rows: rows.test, season: 2 });
    const sums = { loss: 0, absolute: 0, squared: 0, naive: 0 };
    for (let origin = 120; origin < 160; origin++) {
      const actual = one.values[origin] as number;
      const known = { ...one, values: one.values.slice(0, origin), length: origin };
      const [forecast] = await model.predict(known);
      const value = forecast?.values.wave as number;
      const quantiles = forecast?.quantiles?.wave ?? [];
      const pinball = (q: number, guess: number): number =>
        Math.max(q * (actual - guess), (1 - q) * (guess - actual)) / deviation;
      sums.loss +=
        loss === 'mse'
          ? ((actual - value) / deviation) ** 2
          : loss === 'mae'
            ? Math.abs(actual - value) / deviation
            : pinball(0.7, quantiles[0] as number);
      sums.absolute += Math.abs(actual - value);
      sums.squared += (actual - value) ** 2;
      sums.naive += Math.abs(actual - (one.values[origin - 2] as number));
    }
    const close = (a: number, b: number): boolean => Math.abs(a - b) < 1e-5 * Math.abs(b);
    t.true(close(evaluation.mae, sums.absolute / 40), loss);
    t.true(close(evaluation.rmse, Math.sqrt(sums.squared / 40)), loss);
    t.true(close(evaluation.mase, sums.absolute / sums.naive), loss);
    t.true(close(evaluation.naiveMae, sums.naive / 40), loss);
    t.true(close(evaluation.loss, sums.loss / 40), loss);
  }
});

test('the scaling is that of the training part only', async (t) => {
  const model = await Forecaster.create(beginning, { targets: ['wave'], backend: float64 });
  const values = Array.from({ length: 120 }, (_, row) => beginning.values[row * 2] as number);
  const mean = values.reduce((sum, value) => sum + value, 0) / 120;
  t.true(Math.abs((model.settings.scaling.mean[0] as number) - mean) < 1e-12);
});

test('a series at another level gives the same forecasts at that level, unless the network sees values as they are', async (t) => {
  const one = columnOf(series, 'wave');
  const raised = { ...one, values: one.values.map((value) => value + 50) };
  for (const relative of [true, false]) {
    const model = await Forecaster.create(columnOf(beginning, 'wave'), {
      window: 8,
      hiddenSize: 8,
      relative,
      backend: float64,
    });
    const [low, high] = await Promise.all(
      [one, raised].map(async (each) => (await model.predict(each))[0]?.values.wave as number),
    );
    t.is(Math.abs((high as number) - (low as number) - 50) < 1e-5, relative);
  }
});

test('with a logarithm a series of another scale gives forecasts of that scale', async (t) => {
  const positive = columnOf(wave(160, { level: 5 }), 'wave');
  const model = await Forecaster.create(positive, { transform: 'log', window: 8, hiddenSize: 8, backend: float64 });
  const tripled = { ...positive, values: positive.values.map((value) => value * 3) };
  const [low, high] = await Promise.all(
    [positive, tripled].map(async (each) => (await model.predict(each))[0]?.values.wave as number),
  );
  t.true(Math.abs((high as number) / (low as number) - 3) < 1e-5);
  await t.throwsAsync(Forecaster.create(columnOf(wave(40), 'wave'), { transform: 'log', backend: float64 }), {
    code: 'ERR_SEQGRAD_DATA',
    message: /Expected values above 0 for their logarithm but received -?[\d.]+ in column "wave" at row \d+/,
  });
});

test('quantiles are in order, and cover about what they say', async (t) => {
  const model = await trained({ backend: float64, loss: 'quantile', quantiles: [0.1, 0.5, 0.9], horizon: 1 }, 150);
  const { coverage = 0 } = await model.evaluate(series, { rows: rows.train });
  t.true(coverage > 0.6 && coverage < 1, `${coverage}`);
  const quantiles = (await model.predict(series))[0]?.quantiles?.wave ?? [];
  t.is(quantiles.length, 3);
  t.deepEqual(
    quantiles.toSorted((a, b) => a - b),
    [...quantiles],
  );
  t.is((await model.predict(series))[0]?.values.wave, quantiles[1]);
});

test('series and options that do not fit are refused by name', async (t) => {
  const model = await trained({ backend: float64 }, 1);
  const short = wave(7);
  await t.throwsAsync(model.predict(short), {
    code: 'ERR_SEQGRAD_DATA',
    message: 'Expected at least 8 rows (`window`) to forecast from but received 7',
  });
  await t.throwsAsync(model.evaluate(wave(10)), {
    message: /at least 11 rows \(window 8 \+ horizon 3\) in the series but received 10: lower/,
  });
  t.throws(() => model.batches(short).next(), { message: /at least 11 rows/ });
  await t.throwsAsync(model.evaluate(series, { season: 12 }), {
    message: /at least 12 rows \(`season`\) before the first forecast but received 8/,
  });
  await t.throwsAsync(model.predict(columnOf(series, 'wave')), {
    message: 'Expected the columns wave, ahead but received wave',
  });
  const create = (options: object) => Forecaster.create(beginning, { backend: float64, ...options });
  await t.throwsAsync(create({}), {
    code: 'ERR_SEQGRAD_OPTION',
    message: /Expected `targets`, some of the columns wave, ahead, but received none/,
  });
  await t.throwsAsync(create({ targets: ['tide'] }), {
    message: /`targets` to be of the columns wave, ahead but received tide/,
  });
  await t.throwsAsync(create({ targets: ['wave'], quantiles: [0.9, 0.1] }), { message: /`quantiles` to be ascending/ });
  await t.throwsAsync(create({ targets: ['wave'], windw: 3 }), { message: /did you mean `window`/ });
});
