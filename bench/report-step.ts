/** `npm run bench`: training steps of every cell on every subject, and by PyTorch where it is given. */
import { type Cell, describeCell, flopsOfStep, tokensOf } from './cells.js';
import { alternate, type Failure, hasFailed, runJob } from './jobs.js';
import { type PytorchOptions, type PytorchTimes, runPytorch } from './pytorch.js';
import { median, peakDoubts, type Summary, summarise, timerResolution } from './statistics.js';
import type { StepTimes } from './step.js';
import { backendOf, type Chosen, nameOf, type Subject } from './subjects.js';
import { formatNumber, formatShare, formatTable } from './table.js';

export interface StepsOptions {
  readonly cells: readonly Cell[];
  readonly chosen: Chosen;
  readonly rounds: number;
  readonly seconds: number;
  readonly pytorch: PytorchOptions | undefined;
}

export interface StepRow {
  readonly cell: Cell;
  readonly name: string;
  readonly summary: Summary;
  readonly gflops: number;
  /** GFLOP/s of multiply-adds, measured in the same processes; for PyTorch that of the first native subject. */
  readonly peak: number;
  readonly tokensPerSecond: number;
  readonly subject?: Subject;
  readonly pytorch?: Omit<PytorchTimes, 'milliseconds'> & {
    /** This time divided by that of the first subject. */
    readonly ratio: number;
  };
}

export interface FailedRow extends Failure {
  readonly cell: Cell;
  readonly name: string;
}

function rowOf(
  cell: Cell,
  name: string,
  rounds: readonly (readonly number[])[],
  peak: number,
  doubts: readonly string[] = [],
): StepRow {
  const times = summarise(rounds, timerResolution());
  const summary = { ...times, doubts: [...times.doubts, ...doubts] };
  const gflops = flopsOfStep(cell) / summary.median / 1e6;
  const tokensPerSecond = (tokensOf(cell) / summary.median) * 1000;
  return { cell, name, summary, gflops, peak, tokensPerSecond };
}

/** PyTorch's times differ from launch to launch: the best launch counts. */
function bestLaunch(launches: readonly PytorchTimes[]): PytorchTimes {
  const [best] = launches.toSorted((a, b) => median(a.milliseconds) - median(b.milliseconds));
  return best as PytorchTimes;
}

function pytorchRow(cell: Cell, launches: readonly PytorchTimes[], ours: StepRow | undefined): StepRow {
  const { milliseconds, ...about } = bestLaunch(launches);
  const row = rowOf(cell, `PyTorch ${about.version}`, [milliseconds], ours?.peak ?? Number.NaN);
  return { ...row, pytorch: { ...about, ratio: row.summary.median / (ours?.summary.median ?? Number.NaN) } };
}

async function measureCell(cell: Cell, options: StepsOptions): Promise<(StepRow | FailedRow)[]> {
  const { chosen, seconds, pytorch } = options;
  const expected = await runJob({ kind: 'reference', cell: cell.name });
  if (hasFailed(expected)) return [{ cell, name: 'reference', ...expected }];

  const ours = chosen.subjects.map(
    (subject) => () =>
      runJob({ kind: 'step', cell: cell.name, subject, expected, seconds }, chosen.nodeArguments(subject.isa)),
  );
  const theirs = pytorch === undefined ? [] : [() => runPytorch(cell, pytorch, seconds)];
  const answers = await alternate<StepTimes | PytorchTimes>([...ours, ...theirs], options.rounds);

  const rows: (StepRow | FailedRow)[] = [];
  for (const [index, answer] of answers.entries()) {
    const subject = chosen.subjects[index];
    const name = subject === undefined ? 'PyTorch' : nameOf(subject);
    if (hasFailed(answer)) rows.push({ cell, name, ...answer });
    else if (subject === undefined) {
      const [first] = rows.filter((row) => !hasFailed(row));
      rows.push(pytorchRow(cell, answer as PytorchTimes[], first as StepRow | undefined));
    } else {
      const times = answer as StepTimes[];
      const peaks = times.flatMap((round) => round.peaks);
      const rounds = times.map(({ milliseconds }) => milliseconds);
      rows.push({ ...rowOf(cell, name, rounds, median(peaks), peakDoubts(peaks)), subject });
    }
  }
  return rows;
}

/** Measures cell by cell; within a cell the subjects take turns. */
export async function measureSteps(options: StepsOptions): Promise<(StepRow | FailedRow)[]> {
  const rows: (StepRow | FailedRow)[] = [];
  for (const cell of options.cells) rows.push(...(await measureCell(cell, options)));
  return rows;
}

const columns = [
  { heading: 'subject', left: true },
  ...['ms', 'min', 'p25', 'p75', 'runs', 'GFLOP/s', 'of peak', 'peak', 'tokens/s'].map((heading) => ({ heading })),
] as const;

const cellsOf = ({ name, summary, gflops, peak, tokensPerSecond }: StepRow): string[] => [
  `${name}${summary.doubts.length > 0 ? ' *' : ''}`,
  ...[summary.median, summary.min, summary.p25, summary.p75].map(formatNumber),
  `${summary.runs}`,
  formatNumber(gflops),
  formatShare(gflops / peak),
  formatNumber(peak),
  formatNumber(tokensPerSecond),
];

function remarks(row: StepRow | FailedRow, first: string): string[] {
  if (hasFailed(row)) return [`${row.name}: ${row.failure}`];
  const doubts = row.summary.doubts.map((doubt) => `* ${row.name}: ${doubt}`);
  if (row.pytorch === undefined) return doubts;
  const { ratio, blas, form } = row.pytorch;
  return [
    ...doubts,
    `${row.name} takes ${formatNumber(ratio)} times as long as ${first} (best launch; ${form}; ${blas})`,
  ];
}

export function formatSteps(rows: readonly (StepRow | FailedRow)[], cells: readonly Cell[]): string {
  const blocks = cells.map((cell) => {
    const its = rows.filter((row) => row.cell === cell);
    const measured = its.filter((row): row is StepRow => !hasFailed(row));
    const lines = [`${describeCell(cell)}; ${formatNumber(flopsOfStep(cell) / 1e9)} GFLOP`];
    if (measured.length > 0) lines.push(formatTable(columns, measured.map(cellsOf)));
    return [...lines, ...its.flatMap((row) => remarks(row, measured[0]?.name ?? ''))].join('\n');
  });
  return blocks.join('\n\n');
}

/** A row with the names that machines read. */
export function jsonOf(row: StepRow | FailedRow): object {
  const { name: cell, hiddenSize: hidden, batch, time, vocabularySize: vocabulary } = row.cell;
  const sizes = { cell, hidden, batch, time, vocabulary };
  if (hasFailed(row)) return { ...sizes, name: row.name, failure: row.failure };
  const { summary, subject, pytorch } = row;
  return {
    ...sizes,
    name: row.name,
    ...(subject && { backend: backendOf(subject.isa), ...subject }),
    threads: 1,
    ms_median: summary.median,
    ms_min: summary.min,
    ms_p25: summary.p25,
    ms_p75: summary.p75,
    runs: summary.runs,
    tokens_per_s: row.tokensPerSecond,
    gflop: row.gflops * summary.median * 1e-3,
    gflops: row.gflops,
    peak_gflops: row.peak,
    share_of_peak: row.gflops / row.peak,
    doubts: summary.doubts,
    ...pytorch,
  };
}
