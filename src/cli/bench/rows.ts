/** What every kind of result has in common: the keys that machines read, and marks of doubt for people. */

import { hasFailed } from '../../bench/jobs.js';
import {
  allDoubts,
  creditedRate,
  type Failed,
  type Measured,
  type MeasuredStep,
  tokensPerSecond,
} from '../../bench/measure.js';
import { type Cell, creditedFlops, describeCell } from '../../bench/models.js';
import { nameOf, type Subject } from '../../bench/subjects.js';
import type { Dtype } from '../../program/dtype.js';
import type { JsonRow } from './output.js';
import { type Column, formatNumber, formatShare } from './table.js';

export const measuredIn = <T extends object>(rows: readonly (T | Failed)[]): T[] =>
  rows.filter((row): row is T => !hasFailed(row));
export const failedIn = (rows: readonly (object | Failed)[]): Failed[] =>
  rows.filter((row): row is Failed => hasFailed(row));

export const subjectKeys = ({ backend, isa, threads, numerics }: Subject, dtype: Dtype = 'float32'): JsonRow => ({
  backend,
  isa,
  threads,
  numerics,
  dtype,
});

export const cellKeys = ({ model, hidden, layers, heads, feedForward, vocabulary, batch, time }: Cell): JsonRow => ({
  model,
  hidden,
  layers,
  heads: heads ?? null,
  ff: feedForward ?? null,
  vocab: vocabulary,
  batch,
  time,
});

/** Times and rates of work worth so many operations. */
export function timeKeys(measured: Measured, flops: number): JsonRow {
  const { summary, peak } = measured;
  const rate = flops / summary.median / 1e6;
  return {
    ms_median: summary.median,
    ms_min: summary.min,
    ms_p25: summary.p25,
    ms_p75: summary.p75,
    runs: summary.runs,
    tokens_per_s: null,
    gflop: flops / 1e9,
    gflops: rate,
    peak_gflops: peak,
    share_of_peak: rate / peak,
    doubts: allDoubts(measured),
  };
}

export const stepRow = (bench: string, row: MeasuredStep): JsonRow => ({
  bench,
  ...cellKeys(row.cell),
  ...subjectKeys(row.subject, row.cell.dtype),
  ...timeKeys(row, row.creditedFlops),
  tokens_per_s: tokensPerSecond(row),
  gflop_executed: row.executedFlops / 1e9,
  planning_ms: row.planningMilliseconds,
  barrier_ns: row.barrier ?? null,
});

export const titleOf = (cell: Cell): string =>
  `${describeCell(cell)}: ${formatNumber(creditedFlops(cell) / 1e9)} GFLOP a step`;

/** A name, with a star where something about it is in doubt. */
export const marked = (name: string, measured: Measured): string =>
  `${name}${allDoubts(measured).length > 0 ? ' *' : ''}`;

/** What the stars mean. */
export const doubtLines = (
  rows: readonly Measured[],
  name = ({ subject }: Measured): string => nameOf(subject),
): string[] =>
  rows.flatMap((row) => (allDoubts(row).length > 0 ? [`* ${name(row)}: ${allDoubts(row).join('; ')}`] : []));

export const stepColumns: readonly Column[] = [
  { heading: 'subject', left: true },
  ...['ms', 'min', 'p25', 'p75', 'runs', 'tokens/s', 'GFLOP/s', 'peak', 'of peak'].map((heading) => ({ heading })),
];

export const stepCells = (row: MeasuredStep): string[] => {
  const { subject, summary, peak } = row;
  return [
    marked(nameOf(subject), row),
    ...[summary.median, summary.min, summary.p25, summary.p75].map(formatNumber),
    `${summary.runs}`,
    formatNumber(tokensPerSecond(row)),
    formatNumber(creditedRate(row)),
    formatNumber(peak),
    formatShare(creditedRate(row) / peak),
  ];
};

/** What the table has no column for: the barrier, and operations that were saved. */
export function stepRemarks(row: MeasuredStep): string[] {
  const { subject, barrier, executedFlops } = row;
  const remarks: string[] = [];
  if (barrier !== undefined) remarks.push(`a fork and join of its threads takes ${formatNumber(barrier)} ns`);
  if (executedFlops !== row.creditedFlops) {
    remarks.push(`its matrix products take ${formatNumber(executedFlops / 1e9)} GFLOP`);
  }
  return remarks.map((remark) => `${nameOf(subject)}: ${remark}`);
}
