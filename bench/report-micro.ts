/** `npm run bench -- --micro`: single instructions on every subject. */
import { alternate, type Failure, hasFailed, runJob } from './jobs.js';
import type { MicroTime } from './micro.js';
import { type Cost, gbpsOf, gflopsOf, type Roofs, shareOfRoof } from './roof.js';
import { median, peakDoubts, summarise } from './statistics.js';
import { type Chosen, nameOf, type Subject } from './subjects.js';
import { formatNumber, formatShare, formatTable } from './table.js';

export interface MicroRow extends Cost, Roofs {
  readonly title: string;
  readonly name: string;
  readonly p25: number;
  readonly p75: number;
  readonly doubts: readonly string[];
}

interface FailedMicros extends Failure {
  readonly name: string;
}

export type MicroResult = MicroRow | FailedMicros;

/** The same case in several rounds. */
function rowOf(name: string, rounds: readonly MicroTime[]): MicroRow {
  const { median: milliseconds, p25, p75, doubts } = summarise(rounds.map((round) => round.milliseconds));
  const { title, flops, bytes } = rounds[0] as MicroTime;
  const peaks = rounds.flatMap((round) => round.peaks);
  const copyRate = median(rounds.map((round) => round.copyRate));
  const allDoubts = [...doubts, ...peakDoubts(peaks)];
  return { title, name, milliseconds, p25, p75, flops, bytes, peak: median(peaks), copyRate, doubts: allDoubts };
}

export async function measureMicros(
  { subjects, nodeArguments }: Chosen,
  rounds: number,
  seconds: number,
): Promise<MicroResult[]> {
  const measurements = subjects.map(
    (subject) => () => runJob({ kind: 'micro', subject, seconds }, nodeArguments(subject.isa)),
  );
  const answers = await alternate<readonly MicroTime[]>(measurements, rounds);
  return answers.flatMap((answer, index): MicroResult[] => {
    const name = nameOf(subjects[index] as Subject);
    if (hasFailed(answer)) return [{ name, ...answer }];
    const [first = []] = answer;
    return first.map((_, position) =>
      rowOf(
        name,
        answer.map((round) => round[position] as MicroTime),
      ),
    );
  });
}

const columns = [
  { heading: 'instruction', left: true },
  { heading: 'subject', left: true },
  ...['µs', 'p25', 'p75', 'GFLOP/s', 'GB/s', 'of roof', 'peak'].map((heading) => ({ heading })),
] as const;

const cellsOf = (row: MicroRow): string[] => [
  row.title,
  `${row.name}${row.doubts.length > 0 ? ' *' : ''}`,
  ...[row.milliseconds, row.p25, row.p75].map((milliseconds) => formatNumber(milliseconds * 1000)),
  formatNumber(gflopsOf(row)),
  formatNumber(gbpsOf(row)),
  formatShare(shareOfRoof(row, row)),
  formatNumber(row.peak),
];

export function formatMicros(results: readonly MicroResult[]): string {
  const rows = results.filter((result): result is MicroRow => !hasFailed(result));
  const titles = [...new Set(rows.map(({ title }) => title))];
  const byCase = titles.flatMap((title) => rows.filter((row) => row.title === title));
  const failures = results.flatMap((result) => (hasFailed(result) ? [`${result.name}: ${result.failure}`] : []));
  const isNoisy = rows.some(({ doubts }) => doubts.length > 0);
  const legend = isNoisy
    ? ['* noisy: half of the runs, the rounds or the peaks are more than 10 % of the median apart']
    : [];
  return [...(rows.length > 0 ? [formatTable(columns, byCase.map(cellsOf))] : []), ...legend, ...failures].join('\n');
}
