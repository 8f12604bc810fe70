/** The time of a whole training step, from batch to batch: forward, loss, backward, clipping, AdamW, and the way there and back. */
import { cellOf, type Training } from './cells.js';
import type { TrainingJob } from './jobs.js';
import { peakOf } from './peak.js';
import { loadSubject } from './subjects.js';
import { startVerified } from './verify.js';

export interface StepTimes {
  /** Of a step: means over as many steps in a row as fill some milliseconds. */
  readonly milliseconds: readonly number[];
  /** Measured in between. */
  readonly peaks: readonly number[];
}

/** Until V8 has optimised, and memory pages are there. */
const WARM_UP_SECONDS = 0.5;
/** Short steps are timed together, so that the turns they leave to the event loop count. */
const SAMPLE_MILLISECONDS = 10;
/** Between two measurements of the peak. */
const PEAK_MILLISECONDS = 40;

/** Trains for some time; `between` is called after each sample with the mean time of its steps and with all of its time. */
async function train(
  { trainer, batches }: Training,
  seconds: number,
  between: (milliseconds: number, elapsed: number) => void,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  const steps = trainer.train(batches);
  while (performance.now() < end) {
    const start = performance.now();
    let elapsed = 0;
    let count = 0;
    for (; elapsed < SAMPLE_MILLISECONDS; count++) {
      const { done } = await steps.next();
      if (done) throw new Error('Expected batches without end but they ended');
      elapsed = performance.now() - start;
    }
    between(elapsed / count, elapsed);
  }
}

/**
 * Verifies, warms up and measures.
 * @throws WrongResultError
 */
export async function measureStep({ cell, subject, expected, seconds }: TrainingJob): Promise<StepTimes> {
  const backend = await loadSubject(subject);
  const training = await startVerified(cellOf(cell), backend, expected);

  const peak = await peakOf(backend);
  await train(training, WARM_UP_SECONDS, () => undefined);
  const milliseconds: number[] = [];
  const peaks: number[] = [];
  let sincePeak = Number.POSITIVE_INFINITY;
  await train(training, seconds, (mean, elapsed) => {
    milliseconds.push(mean);
    sincePeak += elapsed;
    if (peak === undefined || sincePeak < PEAK_MILLISECONDS) return;
    peaks.push(peak());
    sincePeak = 0;
  });
  return { milliseconds, peaks };
}
