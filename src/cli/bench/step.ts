/** `seqgrad bench step`: the time of a training step. */
import type { Command } from 'commander';
import { measureSteps } from '../../bench/measure.js';
import { notesOn } from '../../bench/subjects.js';
import { type BackendFlags, withBackend } from '../command.js';
import {
  type CellFlags,
  cellFrom,
  type EffortFlags,
  type OutputFlags,
  subjectFrom,
  withCell,
  withEffort,
  withOutput,
} from './options.js';
import { Output } from './output.js';
import { doubtLines, failedIn, measuredIn, stepCells, stepColumns, stepRemarks, stepRow, titleOf } from './rows.js';
import { formatTable } from './table.js';

type Flags = BackendFlags & CellFlags & EffortFlags & OutputFlags;

async function step(flags: Flags): Promise<void> {
  const output = new Output(flags);
  const cell = cellFrom(flags);
  const subject = await subjectFrom(flags);
  const { rounds, seconds } = flags;
  const { rows, notes } = await measureSteps({ cell, subjects: [subject], rounds, seconds, watch: output.watch });
  const measured = measuredIn(rows);
  const table = measured.length > 0 ? [formatTable(stepColumns, measured.map(stepCells))] : [];
  output.print({
    title: titleOf(cell),
    rows: measured.map((row) => stepRow('step', row)),
    text: [...table, ...measured.flatMap(stepRemarks), ...doubtLines(measured)].join('\n'),
    notes: [...(await notesOn(subject)), ...notes],
    failures: failedIn(rows),
  });
}

export function defineStep(bench: Command): void {
  const command = bench
    .command('step')
    .description(
      'a full training step: forward, loss, backward, clipping, AdamW, and the asynchronous way there and back',
    )
    .action(step);
  withOutput(withEffort(withBackend(withCell(command)), 1));
}
