/** What every training task does: train with progress, evaluate now and then, save at the end or when interrupted. */
import { basename, join, resolve } from 'node:path';
import { NonFiniteError } from '../train/locate.js';
import type { MemoryPlan } from '../train/memory.js';
import type { Batch, Trainer } from '../train/trainer.js';
import { onInterrupt } from './interrupt.js';
import { formatBytes, type Report } from './report.js';

export interface TrainingRun {
  readonly trainer: Trainer;
  readonly batches: Iterable<Batch> | AsyncIterable<Batch>;
  readonly steps: number;
  readonly report: Report;
  /** Steps between two evaluations on the validation part; none when absent. */
  readonly evaluateEvery?: number | undefined;
  /** Metrics by name; undefined where nothing was held out. */
  readonly validate: (signal?: AbortSignal) => Promise<Readonly<Record<string, unknown>> | undefined>;
  readonly save: (folder: string) => Promise<void>;
  readonly out: string;
  /** Whether the folder holds an older model. */
  readonly replaces: boolean;
}

/** Those metrics that are one number. */
const numbersOf = (metrics: Readonly<Record<string, unknown>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(metrics).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );

/**
 * Trains and saves.
 * A run that is interrupted or meets a number that is not finite saves what it has beside an older model, never over it.
 * @returns whether it came to its end.
 * @throws NonFiniteError, after saving the parameters of the last good step.
 */
export async function runTraining(run: TrainingRun): Promise<boolean> {
  const { trainer, report, steps } = run;
  const unfinished = run.replaces ? join(run.out, '..', `${basename(resolve(run.out))}-unfinished`) : run.out;
  let interrupted = false;
  const { signal, restore } = onInterrupt('stopping after this step; Ctrl-C again ends at once, without saving');
  try {
    for await (const step of trainer.train(run.batches, { steps, signal })) {
      report.step(step, steps);
      const isDue = run.evaluateEvery !== undefined && step.step % run.evaluateEvery === 0 && step.step < steps;
      const validation = isDue ? await run.validate(signal) : undefined;
      if (validation !== undefined && !signal.aborted)
        report.evaluation(step.step, 'validation', numbersOf(validation));
    }
    interrupted = signal.aborted;
    await run.save(interrupted ? unfinished : run.out);
  } catch (error) {
    if (!(error instanceof NonFiniteError) || trainer.step === 0) throw error;
    await run.save(unfinished);
    report.note('saved', { step: trainer.step, folder: unfinished }, `saved step ${trainer.step} in ${unfinished}`);
    throw error;
  } finally {
    restore();
  }
  if (!interrupted) return true;
  process.exitCode = 130;
  report.done(
    { step: trainer.step, saved: unfinished, interrupted: true, validation: null, test: null },
    `interrupted after step ${trainer.step}; saved in ${unfinished}`,
  );
  return false;
}

/** A memory plan in three short lines. */
export const memoryText = (memory: MemoryPlan, parameterCount: number, planningMilliseconds: number): string => {
  const { parameters, gradients, optimizer, state, activations, packing, peak } = memory;
  return [
    `model: ${parameterCount.toLocaleString('en')} parameters, planned in ${Math.ceil(planningMilliseconds)} ms, ${formatBytes(peak)} of memory:`,
    `  parameters ${formatBytes(parameters)}, gradients ${formatBytes(gradients)}, optimizer ${formatBytes(optimizer)},`,
    `  state ${formatBytes(state)}, activations ${formatBytes(activations)}, packing ${formatBytes(packing)}`,
  ].join('\n');
};
