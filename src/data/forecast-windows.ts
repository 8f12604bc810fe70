/** Windows of a series: what is known, and the values after it that are to be forecast. */
import { DataError } from './errors.js';

export interface ForecastWindowOptions {
  /** Rows that are known, T. */
  readonly window: number;
  /** Rows to forecast. */
  readonly horizon: number;
  /** Rows from one window to the next. Default 1. */
  readonly stride?: number;
}

/**
 * The origins of all windows whose forecasts lie in the rows `from` … `to` − 1. An origin is the first row to forecast; the rows known
 * before it may lie before `from`.
 * @param part what messages call these rows
 * @throws DataError if there is none, saying how many rows it takes
 */
export function forecastOrigins(
  [from, to]: readonly [number, number],
  { window, horizon, stride = 1 }: ForecastWindowOptions,
  part: string,
): number[] {
  const first = Math.max(from, window);
  const count = Math.max(0, Math.floor((to - horizon - first) / stride) + 1);
  if (count === 0) {
    const needed = first + horizon - from;
    const why = from < window ? `window ${window - from} + horizon ${horizon}` : `horizon ${horizon}`;
    throw new DataError(
      `Expected at least ${needed} rows (${why}) in ${part} but received ${to - from}: lower \`window\` or \`horizon\``,
    );
  }
  return Array.from({ length: count }, (_, index) => first + index * stride);
}
