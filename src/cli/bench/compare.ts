/** `seqgrad bench compare`: the same training step on every backend, in fresh processes, in turns. */
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Command, Option } from 'commander';
import type { Numerics } from '../../backends/executor.js';
import { type MeasuredStep, measureProfiles, measureSteps } from '../../bench/measure.js';
import { TOO_SLOW } from '../../bench/step.js';
import { chooseSubjects, isas, nameOf } from '../../bench/subjects.js';
import { replaceFile } from '../../formats/atomic.js';
import { FileError } from '../../formats/errors.js';
import { renderPage } from './html.js';
import {
  type CellFlags,
  cellFrom,
  type EffortFlags,
  type OutputFlags,
  whole,
  withCell,
  withEffort,
  withOutput,
} from './options.js';
import { Output } from './output.js';
import { doubtLines, failedIn, measuredIn, stepCells, stepColumns, stepRemarks, stepRow, titleOf } from './rows.js';
import { formatNumber, formatTable } from './table.js';

type Flags = CellFlags &
  EffortFlags &
  OutputFlags & {
    readonly isa?: readonly string[];
    readonly numerics: Numerics;
    readonly threads?: readonly number[];
    readonly html?: string;
  };

/** How many times as long as the first. */
const ratioOf = (row: MeasuredStep, rows: readonly MeasuredStep[]): number =>
  row.summary.median / (rows[0]?.summary.median ?? Number.NaN);

const columns = [...stepColumns, { heading: 'times as long' }];

function tableOf(rows: readonly MeasuredStep[]): string {
  return formatTable(
    columns,
    rows.map((row) => [...stepCells(row), formatNumber(ratioOf(row, rows))]),
  );
}

/** Minutes of measuring are not to end with a page that has no place. @throws FileError */
async function checkWritable(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK);
  } catch (cause) {
    throw new FileError('write', path, cause);
  }
}

async function compare(flags: Flags): Promise<void> {
  const output = new Output(flags);
  const cell = cellFrom(flags);
  const { isa, numerics, threads, rounds, seconds, html } = flags;
  if (html !== undefined) await checkWritable(html);
  const { subjects, notes } = await chooseSubjects({ isas: isa, numerics, threads });
  const options = { cell, subjects, seconds, watch: output.watch };
  const steps = await measureSteps({ ...options, rounds });
  const measured = measuredIn(steps.rows);
  const failures = failedIn(steps.rows);
  const tooSlow = failures.filter(({ code }) => code === TOO_SLOW);
  const allNotes = [
    ...notes,
    ...steps.notes,
    ...tooSlow.map(({ subject, failure }) => `${nameOf(subject)} is ${failure}`),
  ];
  if (html !== undefined) {
    const profiled = subjects.filter((subject) => subject.backend !== 'reference');
    const profiles = await measureProfiles({ ...options, subjects: profiled });
    const page = renderPage({
      title: titleOf(cell),
      machine: output.machine,
      notes: allNotes,
      steps: measured,
      failures: [...failures.filter((each) => !tooSlow.includes(each)), ...failedIn(profiles.rows)],
      profiles: measuredIn(profiles.rows),
      command: process.argv.slice(2),
    });
    await replaceFile(html, page);
    allNotes.push(`page written: ${html}`);
  }
  output.print({
    title: titleOf(cell),
    rows: measured.map((row) => ({ ...stepRow('compare', row), times_as_long: ratioOf(row, measured) })),
    text: [
      ...(measured.length > 0 ? [tableOf(measured)] : []),
      ...measured.flatMap(stepRemarks),
      ...doubtLines(measured),
    ].join('\n'),
    notes: allNotes,
    failures: failures.filter((each) => !tooSlow.includes(each)),
  });
}

const collectWhole = (text: string, previous: readonly number[] | undefined): number[] => [
  ...(previous ?? []),
  whole(text),
];

export function defineCompare(bench: Command): void {
  const command = bench
    .command('compare')
    .description('a training step on native code, WASM and the reference, in fresh processes, in turns')
    .addOption(
      new Option(
        '--isa <names...>',
        'who is compared (default: the best native one, both WASM builds, float32)',
      ).choices(isas),
    )
    .addOption(
      new Option('--numerics <kind>', 'fused multiply-adds or not').choices(['fast', 'strict']).default('fast'),
    )
    .option(
      '--threads <n...>',
      'numbers of threads, each of them measured (default: what each backend takes)',
      collectWhole,
    )
    .option('--html <file>', 'write a page with bars and rooflines: one file, nothing is loaded')
    .action(compare);
  withOutput(withEffort(withCell(command), 1));
}
