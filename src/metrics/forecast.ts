/** Metrics of forecasts. */
import { sameLength } from './errors.js';

function meanOf(
  metric: string,
  actual: ArrayLike<number>,
  forecast: ArrayLike<number>,
  error: (difference: number) => number,
): number {
  sameLength(metric, actual, forecast);
  let sum = 0;
  for (let index = 0; index < actual.length; index++)
    sum += error((forecast[index] as number) - (actual[index] as number));
  return sum / actual.length;
}

/** Mean absolute error, in the units of the values. */
export const mae = (actual: ArrayLike<number>, forecast: ArrayLike<number>): number =>
  meanOf('mae', actual, forecast, Math.abs);

/** Root of the mean squared error, in the units of the values. */
export const rmse = (actual: ArrayLike<number>, forecast: ArrayLike<number>): number =>
  Math.sqrt(meanOf('rmse', actual, forecast, (difference) => difference * difference));

/**
 * Mean absolute error relative to that of the naive forecast of the very same values (the scaled error of Hyndman & Koehler 2006, "Another
 * look at measures of forecast accuracy", with the scale taken where the forecasts are made): below 1 is better than naive.
 */
export const mase = (actual: ArrayLike<number>, forecast: ArrayLike<number>, naive: ArrayLike<number>): number =>
  mae(actual, forecast) / mae(actual, naive);

/**
 * Where the naive forecast takes its value from: the last one known that lies whole seasons back.
 * @param origin position of the first value that is not known
 * @param step how many values after that one, from 0
 * @param season 1: the last value; 12 with months: that of the same month
 * @returns a position below `origin`, negative where the series begins later
 */
export const naivePosition = (origin: number, step: number, season: number): number =>
  origin + step - season * Math.ceil((step + 1) / season);
