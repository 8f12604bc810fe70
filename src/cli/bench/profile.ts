/** `seqgrad bench profile`: where the time of a training step goes. */
import type { Command } from 'commander';
import { type MeasuredProfile, measureProfiles, roofsOf } from '../../bench/measure.js';
import { linesOf, type ProfileLine, type ProfileLines } from '../../bench/profile.js';
import { floorOf, gbpsOf, gflopsOf, type Roofs, shareOfNearerRoof, totalOf } from '../../bench/roof.js';
import { nameOf, notesOn } from '../../bench/subjects.js';
import { type BackendFlags, positive, withBackend } from '../command.js';
import { type CellFlags, cellFrom, type OutputFlags, subjectFrom, withCell, withOutput } from './options.js';
import { type JsonRow, Output } from './output.js';
import { cellKeys, doubtLines, failedIn, measuredIn, subjectKeys, timeKeys, titleOf } from './rows.js';
import { formatNumber, formatShare, formatTable } from './table.js';

type Flags = BackendFlags & CellFlags & OutputFlags & { readonly seconds: number; readonly calls?: true };

const columns = [
  { heading: 'instruction', left: true },
  ...['calls', 'ms', 'of step', 'GFLOP/s', 'GB/s', 'of roof'].map((heading) => ({ heading })),
  { heading: 'nearer roof', left: true },
] as const;

function cellsOf(line: ProfileLine, step: number, roofs: Roofs): string[] {
  const { share, roof } = shareOfNearerRoof(line.calls, roofs);
  return [
    line.name,
    `${line.calls.length}`,
    formatNumber(line.milliseconds),
    formatShare(line.milliseconds / step),
    formatNumber(gflopsOf(line)),
    formatNumber(gbpsOf(line)),
    formatShare(share),
    Number.isFinite(share) ? roof : '–',
  ];
}

function textOf(measured: MeasuredProfile, by: ProfileLines): string {
  const { profile, summary, peak, subject } = measured;
  const roofs = roofsOf(measured);
  const total = totalOf(profile.calls);
  const rows = linesOf(profile.calls, by).map((line) => cellsOf(line, summary.median, roofs));
  const rest = summary.median - total.milliseconds;
  rows.push(['the rest of the step', '', formatNumber(rest), formatShare(rest / summary.median), '', '', '', '']);
  const floor = profile.calls.map((call) => floorOf(call, roofs));
  const arithmetic = floor.reduce((sum, each) => sum + each.arithmetic, 0);
  const memory = floor.reduce((sum, each) => sum + each.memory, 0);
  return [
    formatTable(columns, rows),
    `${nameOf(subject)}: a whole step takes ${formatNumber(summary.median)} ms (median of ${summary.runs}, least ${formatNumber(summary.min)})`,
    `floors: ${formatNumber(total.flops / 1e9)} GFLOP at the peak of ${formatNumber(peak)} GFLOP/s take ${formatNumber(arithmetic)} ms; ` +
      `${formatNumber(total.bytes / 1e6)} MB at ${formatNumber(total.bytes / memory / 1e6)} GB/s take ${formatNumber(memory)} ms`,
    ...doubtLines([measured]),
  ].join('\n');
}

function jsonOf(measured: MeasuredProfile, by: ProfileLines): JsonRow[] {
  const { profile, summary, cell, subject, peak } = measured;
  const roofs = roofsOf(measured);
  const keys = { bench: 'profile', ...cellKeys(cell), ...subjectKeys(subject, cell.dtype) };
  const lines = linesOf(profile.calls, by).map((line) => {
    const { share, roof } = shareOfNearerRoof(line.calls, roofs);
    return {
      ...keys,
      instruction: line.name,
      calls: line.calls.length,
      ms_median: line.milliseconds,
      ms_min: line.least,
      runs: profile.runs,
      tokens_per_s: null,
      share_of_step: line.milliseconds / summary.median,
      gflop: line.flops / 1e9,
      gflops: gflopsOf(line),
      gb_per_s: gbpsOf(line),
      peak_gflops: peak,
      share_of_peak: gflopsOf(line) / peak,
      share_of_roof: share,
      nearer_roof: Number.isFinite(share) ? roof : null,
    };
  });
  const step = { ...keys, instruction: null, ...timeKeys(measured, totalOf(profile.calls).flops) };
  return [...lines, step];
}

async function profile(flags: Flags): Promise<void> {
  const output = new Output(flags);
  const cell = cellFrom(flags);
  const subject = await subjectFrom(flags);
  const { rows, notes } = await measureProfiles({
    cell,
    subjects: [subject],
    seconds: flags.seconds,
    watch: output.watch,
  });
  const by = flags.calls ? 'call' : 'kind';
  const measured = measuredIn(rows);
  output.print({
    title: titleOf(cell),
    rows: measured.flatMap((row) => jsonOf(row, by)),
    text: measured.map((row) => textOf(row, by)).join('\n\n'),
    notes: [...(await notesOn(subject)), ...notes],
    failures: failedIn(rows),
  });
}

export function defineProfile(bench: Command): void {
  const command = bench
    .command('profile')
    .description('where the time of a training step goes: a line for each kind of instruction')
    .option('--calls', 'a line for each call instead')
    .option('--seconds <s>', 'of measuring', positive(), 2)
    .action(profile);
  withOutput(withBackend(withCell(command)));
}
