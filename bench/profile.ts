/** Where the time of a training step goes, instruction by instruction. */
import type { InstructionTime } from '../src/backends/engine.js';
import { cellOf } from './cells.js';
import type { TrainingJob } from './jobs.js';
import { copyRate, peakOf } from './peak.js';
import { median } from './statistics.js';
import { loadSubject } from './subjects.js';
import { startVerified } from './verify.js';

/** One instruction of the step. */
export interface CallTime {
  readonly label: string;
  readonly instruction: string;
  readonly dims: Readonly<Record<string, number>>;
  /** Median over all steps. */
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface StepProfile {
  readonly calls: readonly CallTime[];
  /** Median time of whole steps that were not taken apart. */
  readonly stepMilliseconds: number;
  /** GFLOP/s and GB/s that the machine can do. */
  readonly peak: number;
  readonly copyRate: number;
}

const WARM_UP_STEPS = 50;
/** Steps in a row between two that are taken apart. */
const WHOLE_STEPS = 4;

/** Median of each column. */
function medians(rows: readonly (readonly InstructionTime[])[]): CallTime[] {
  const [first = []] = rows;
  return first.map(({ call, flops, bytes }, index) => ({
    label: call.label,
    instruction: call.instruction,
    dims: call.dims,
    milliseconds: median(rows.map((row) => row[index]?.milliseconds ?? Number.NaN)),
    flops,
    bytes,
  }));
}

/**
 * Takes steps apart and whole ones in turns. The scalars of the last whole step serve the ones taken apart.
 * @throws WrongResultError
 */
export async function profileStep({ cell: name, subject, expected, seconds }: TrainingJob): Promise<StepProfile> {
  const cell = cellOf(name);
  const backend = await loadSubject(subject);
  const { model, trainer, batches } = await startVerified(cell, backend, expected);
  const peak = await peakOf(backend);
  await trainer.fit(batches, { steps: WARM_UP_STEPS });
  const { accumulate, update } = await trainer.programs(cell);

  const [batch] = batches;
  const rows: InstructionTime[][] = [];
  const steps: number[] = [];
  const peaks: number[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    for (const { milliseconds } of await trainer.fit(batches, { steps: WHOLE_STEPS })) steps.push(milliseconds);
    const times = await model.engine.profile(accumulate, batch?.inputs);
    rows.push([...times, ...(await model.engine.profile(update))]);
    if (peak !== undefined && rows.length % 4 === 0) peaks.push(peak());
  }
  const calls = medians(rows);
  const bytes = calls.reduce((sum, call) => sum + call.bytes, 0);
  return { calls, stepMilliseconds: median(steps), peak: median(peaks), copyRate: copyRate(bytes / calls.length) };
}
