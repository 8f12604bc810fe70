/** `seqgrad bench peak`: what the machine can do at most. */

import { type Command, Option } from 'commander';
import { threadsWithin } from '../../backends/threads.js';
import { type BandwidthReading, ladder } from '../../bench/bandwidth.js';
import { alternate, type Failure, hasFailed, runJob } from '../../bench/jobs.js';
import type { Limits } from '../../bench/limits.js';
import type { Failed } from '../../bench/measure.js';
import { memoryOperations } from '../../bench/meters.js';
import { median, peakDoubts, quantile } from '../../bench/statistics.js';
import { nameOf, peakIsas, peakSubjects, type Subject } from '../../bench/subjects.js';
import { formatBytes } from '../report.js';
import { type EffortFlags, type OutputFlags, whole, withEffort, withOutput } from './options.js';
import { type JsonRow, Output } from './output.js';
import { subjectKeys } from './rows.js';
import { formatNumber, formatTable } from './table.js';

/** As many as the native backend takes. */
const MOST_THREADS = 256;

type Flags = OutputFlags & EffortFlags & { readonly isa?: readonly string[]; readonly threads?: number };

interface Row {
  readonly subject: Subject;
  readonly peaks: readonly number[];
  readonly barrier: number | undefined;
}

function rowOf(subject: Subject, rounds: readonly Limits[]): Row {
  const barriers = rounds.flatMap(({ barrier }) => (barrier === undefined ? [] : [barrier]));
  return {
    subject,
    peaks: rounds.flatMap(({ peaks }) => peaks),
    barrier: barriers.length === 0 ? undefined : median(barriers),
  };
}

const jsonOf = ({ subject, peaks, barrier }: Row): JsonRow => ({
  bench: 'peak',
  measured: 'arithmetic',
  ...subjectKeys(subject),
  ms_median: null,
  ms_min: null,
  runs: peaks.length,
  tokens_per_s: null,
  gflop: null,
  gflops: median(peaks),
  peak_gflops: median(peaks),
  peak_gflops_max: quantile(peaks, 1),
  share_of_peak: 1,
  barrier_ns: barrier ?? null,
  doubts: peakDoubts(peaks),
});

interface MemoryRow extends BandwidthReading {
  readonly threads: number;
}

const memoryJsonOf = ({ operation, bytes, rate, threads }: MemoryRow): JsonRow => ({
  bench: 'peak',
  measured: 'memory',
  operation,
  bytes,
  threads,
  gb_per_s: rate,
});

/** The same readings of several rounds. */
const medianReadings = (rounds: readonly (readonly BandwidthReading[])[]): BandwidthReading[] =>
  (rounds[0] ?? []).map((reading, index) => ({
    ...reading,
    rate: median(rounds.map((round) => round[index]?.rate ?? Number.NaN)),
  }));

const arithmeticColumns = [
  { heading: 'multiply-adds in registers', left: true },
  ...['GFLOP/s', 'best', 'readings', 'fork and join'].map((heading) => ({ heading })),
] as const;

function arithmeticTable(rows: readonly Row[]): string {
  const cells = rows.map(({ subject, peaks, barrier }) => [
    `${nameOf(subject)}${peakDoubts(peaks).length > 0 ? ' *' : ''}`,
    formatNumber(median(peaks)),
    formatNumber(quantile(peaks, 1)),
    `${peaks.length}`,
    barrier === undefined ? '' : `${formatNumber(barrier)} ns`,
  ]);
  const doubts = rows.flatMap(({ subject, peaks }) =>
    peakDoubts(peaks).map((doubt) => `* ${nameOf(subject)}: ${doubt}`),
  );
  return [formatTable(arithmeticColumns, cells), ...doubts].join('\n');
}

function memoryTable(rows: readonly MemoryRow[]): string {
  const threads = [...new Set(rows.map((row) => row.threads))];
  const columns = [
    { heading: 'memory, GB/s; bytes per thread', left: true as const },
    ...threads.flatMap((count) =>
      memoryOperations.map((operation) => ({ heading: `${operation}${threads.length > 1 ? ` ${count}T` : ''}` })),
    ),
  ];
  const cells = ladder.map((bytes) => [
    formatBytes(bytes),
    ...threads.flatMap((count) =>
      memoryOperations.map((operation) => {
        const found = rows.find(
          (row) => row.threads === count && row.operation === operation && row.bytes === bytes * count,
        );
        return formatNumber(found?.rate ?? Number.NaN);
      }),
    ),
  ]);
  return formatTable(columns, cells);
}

/** Memory has no ISA: failures to measure it are the portable backend's. */
const memorySubject: Subject = { backend: 'wasm', isa: 'wasm-simd', numerics: 'fast' };

async function peak(flags: Flags): Promise<void> {
  const output = new Output(flags);
  const { rounds, seconds } = flags;
  const most = threadsWithin(MOST_THREADS, flags.threads).count;
  const counts = most > 1 ? [1, most] : [1];
  const { subjects, notes } = await peakSubjects(counts, flags.isa);
  const arithmetic = subjects.map((subject) => ({
    name: nameOf(subject),
    measure: (): Promise<Limits | Failure> => {
      const { threads = 1, ...rest } = subject;
      return runJob({ kind: 'limits', subject: rest, threads, seconds });
    },
  }));
  const memory = counts.map((threads) => ({
    name: `memory, ${threads} thread${threads === 1 ? '' : 's'}`,
    measure: () => runJob({ kind: 'memory', threads, sizes: ladder, seconds: seconds / 10 } as const),
  }));
  type Answer = Limits | readonly BandwidthReading[];
  const answers = await alternate<Answer>([...arithmetic, ...memory], rounds, output.watch);

  const rows: Row[] = [];
  const memoryRows: MemoryRow[] = [];
  const failures: Failed[] = [];
  for (const [index, answer] of answers.entries()) {
    const subject = subjects[index];
    if (hasFailed(answer)) failures.push({ subject: subject ?? memorySubject, ...answer });
    else if (subject !== undefined) rows.push(rowOf(subject, answer as Limits[]));
    else {
      const threads = counts[index - subjects.length] as number;
      const readings = medianReadings(answer as (readonly BandwidthReading[])[]);
      memoryRows.push(...readings.map((reading) => ({ ...reading, threads })));
    }
  }
  output.print({
    title: 'What this machine can do at most',
    rows: [...rows.map(jsonOf), ...memoryRows.map(memoryJsonOf)],
    text: [arithmeticTable(rows), '', memoryTable(memoryRows)].join('\n'),
    notes,
    failures,
  });
}

export function definePeak(bench: Command): void {
  const command = bench
    .command('peak')
    .description(
      'what the machine can do at most: multiply-adds for each instruction set, memory, spreading work over threads',
    )
    .addOption(new Option('--isa <names...>', 'only these instruction sets').choices(peakIsas))
    .option('--threads <n>', 'measure 1 and so many threads (default: all cores)', whole)
    .action(peak);
  withOutput(withEffort(command, 0.2));
}
