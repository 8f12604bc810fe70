/** The time of a whole training step, from batch to batch: forward, loss, backward, clipping, AdamW, and the way there and back. */
import { cellOf, startTraining, type Training } from './cells.js';
import type { Failure, StepJob } from './jobs.js';
import { peakOf } from './peak.js';
import { loadSubject } from './subjects.js';
import { findDisagreement, firstSteps } from './verify.js';

export interface StepTimes {
  /** Of every step. */
  readonly milliseconds: readonly number[];
  /** Measured between steps. */
  readonly peaks: readonly number[];
}

/** Until V8 has optimised, and memory pages are there. */
const WARM_UP_SECONDS = 0.5;
/** Between two measurements of the peak. */
const PEAK_MILLISECONDS = 40;

/** Trains for some time; `between` is called after each step with what it took, outside the time of steps. */
async function train({ trainer, batches }: Training, seconds: number, between: (milliseconds: number) => void): Promise<void> {
  const end = performance.now() + seconds * 1000;
  const steps = trainer.train(batches);
  for (;;) {
    const start = performance.now();
    await steps.next();
    const now = performance.now();
    between(now - start);
    if (now >= end) return;
  }
}

/** Trains, verifies, warms up and measures. */
export async function measureStep({ cell: name, subject, expected, seconds }: StepJob): Promise<StepTimes | Failure> {
  const backend = await loadSubject(subject);
  const training = await startTraining(cellOf(name), backend);
  const disagreement = findDisagreement(expected, await firstSteps(training));
  if (disagreement !== undefined) return { failure: `not timed, because it is wrong: ${disagreement}` };

  const peak = await peakOf(backend);
  await train(training, WARM_UP_SECONDS, () => undefined);
  const milliseconds: number[] = [];
  const peaks: number[] = [];
  let sincePeak = Number.POSITIVE_INFINITY;
  await train(training, seconds, (time) => {
    milliseconds.push(time);
    sincePeak += time;
    if (peak === undefined || sincePeak < PEAK_MILLISECONDS) return;
    peaks.push(peak());
    sincePeak = 0;
  });
  return { milliseconds, peaks };
}
