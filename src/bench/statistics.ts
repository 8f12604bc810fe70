/** Medians and spreads of repeated measurements, and whether they can be believed. */

/** By linear interpolation between the ordered values. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Why a number is not to be trusted; empty where it is. */
export type Doubtful = readonly string[];

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly p25: number;
  readonly p75: number;
  readonly runs: number;
  /** Of the median. */
  readonly doubts: Doubtful;
}

/** Half of all runs, or whole rounds, this far apart relative to the median are noise. */
const NOISE = 0.1;
/** A time must be this many ticks of the timer. */
const TICKS = 100;

/** The smallest difference of two readings of the clock, in milliseconds. */
export function timerResolution(): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let reading = 0; reading < 1000; reading++) {
    const start = performance.now();
    let end = start;
    while (end === start) end = performance.now();
    smallest = Math.min(smallest, end - start);
  }
  return smallest;
}

/** How far the middle half of some values is apart, relative to their median. */
const spreadOf = (values: readonly number[]): number =>
  (quantile(values, 0.75) - quantile(values, 0.25)) / median(values);

/** Whether a peak can be believed. */
export function peakDoubts(peaks: readonly number[]): string[] {
  const spread = spreadOf(peaks);
  return spread > NOISE ? [`half of its peaks ${percent(spread)} apart`] : [];
}

const percent = (fraction: number): string => `${Math.round(fraction * 100)} %`;

/** Summarises the times of all rounds, in milliseconds. `resolution` is that of the timer, where single times were taken with it. */
export function summarise(rounds: readonly (readonly number[])[], resolution = 0): Summary {
  const all = rounds.flat();
  const [middle, p25, p75] = [median(all), quantile(all, 0.25), quantile(all, 0.75)];
  const medians = rounds.map(median);
  const spread = spreadOf(all);
  const drift = (Math.max(...medians) - Math.min(...medians)) / middle;
  const doubts: string[] = [];
  if (spread > NOISE) doubts.push(`half of the runs ${percent(spread)} apart`);
  if (drift > NOISE) doubts.push(`the rounds ${percent(drift)} apart`);
  if (middle < TICKS * resolution) doubts.push(`the timer is saturated, one tick is ${percent(resolution / middle)}`);
  return { median: middle, min: quantile(all, 0), p25, p75, runs: all.length, doubts };
}
