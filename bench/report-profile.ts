/** `npm run bench -- --profile`: where the time of a training step goes. */
import { type Cell, describeCell } from './cells.js';
import { type Failure, hasFailed, runJob } from './jobs.js';
import type { CallTime, StepProfile } from './profile.js';
import { type Cost, gbpsOf, gflopsOf, shareOfRoof, totalOf } from './roof.js';
import { type Chosen, nameOf } from './subjects.js';
import { formatNumber, formatShare, formatTable } from './table.js';

/** What a line stands for: all calls of an instruction, or one call. */
export const profileLines = ['kind', 'call'] as const;
export type ProfileLines = (typeof profileLines)[number];

export interface ProfileRow {
  readonly cell: Cell;
  readonly name: string;
  readonly profile: StepProfile | Failure;
}

export async function measureProfiles(cells: readonly Cell[], chosen: Chosen, seconds: number): Promise<ProfileRow[]> {
  const rows: ProfileRow[] = [];
  for (const cell of cells) {
    const expected = await runJob({ kind: 'reference', cell: cell.name });
    for (const subject of chosen.subjects) {
      const profile = hasFailed(expected)
        ? expected
        : await runJob(
            { kind: 'profile', cell: cell.name, subject, expected, seconds },
            chosen.nodeArguments(subject.isa),
          );
      rows.push({ cell, name: nameOf(subject), profile });
    }
  }
  return rows;
}

interface Line extends Cost {
  readonly name: string;
  readonly calls: number;
}

/** A call as its instruction, the sizes that say what it is, and the module that asked for it. */
function describeCall({ label, instruction, dims }: CallTime): string {
  const sizes = ['T', 'B', 'H', 'M', 'N', 'K', 'V', 'C', 'R', 'n', 'P'].filter((name) => name in dims);
  return `${instruction} ${sizes.map((name) => dims[name]).join('×')} ${label}`;
}

function linesOf(calls: readonly CallTime[], by: ProfileLines): Line[] {
  const groups = new Map<string, CallTime[]>();
  for (const [index, call] of calls.entries()) {
    const key = by === 'kind' ? call.instruction : `${index}`;
    groups.set(key, [...(groups.get(key) ?? []), call]);
  }
  const lines = [...groups.values()].map((group): Line => {
    const [first] = group as [CallTime];
    return { name: by === 'kind' ? first.instruction : describeCall(first), calls: group.length, ...totalOf(group) };
  });
  return lines.sort((a, b) => b.milliseconds - a.milliseconds);
}

const columns = [
  { heading: 'instruction', left: true },
  ...['calls', 'ms', 'of step', 'GFLOP/s', 'GB/s', 'of roof'].map((heading) => ({ heading })),
] as const;

function formatProfile(profile: StepProfile, by: ProfileLines): string {
  const { calls, stepMilliseconds, peak, copyRate } = profile;
  const rows = linesOf(calls, by).map((line) => [
    line.name,
    `${line.calls}`,
    formatNumber(line.milliseconds),
    formatShare(line.milliseconds / stepMilliseconds),
    formatNumber(gflopsOf(line)),
    formatNumber(gbpsOf(line)),
    formatShare(shareOfRoof(line, profile)),
  ]);
  const { milliseconds, flops, bytes } = totalOf(calls);
  const rest = stepMilliseconds - milliseconds;
  rows.push(['the rest of the step', '', formatNumber(rest), formatShare(rest / stepMilliseconds), '', '', '']);
  return [
    formatTable(columns, rows),
    `whole step: ${formatNumber(stepMilliseconds)} ms`,
    `floor: ${formatNumber(flops / 1e9)} GFLOP at the peak of ${formatNumber(peak)} GFLOP/s ` +
      `take ${formatNumber(flops / peak / 1e6)} ms; ${formatNumber(bytes / 1e6)} MB at the ${formatNumber(copyRate)} ` +
      `GB/s of a copy take ${formatNumber(bytes / copyRate / 1e6)} ms`,
  ].join('\n');
}

export const formatProfiles = (rows: readonly ProfileRow[], by: ProfileLines): string =>
  rows
    .map(({ cell, name, profile }) => {
      const body = hasFailed(profile) ? profile.failure : formatProfile(profile, by);
      return `${name}: ${describeCell(cell)}\n${body}`;
    })
    .join('\n\n');
