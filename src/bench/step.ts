/** The time of a whole training step, from batch to batch: forward, loss, backward, clipping, AdamW, and the way there and back. */
import type { Backend } from '../backends/executor.js';
import { measureBarrier } from './barrier.js';
import { type Cell, creditedFlops, smaller } from './models.js';
import { Peak } from './peak.js';
import { loadSubject, type Subject } from './subjects.js';
import { executedFlops, startTraining, type Training } from './training.js';
import { type Expectation, startVerified } from './verify.js';

export interface StepJob {
  readonly kind: 'step';
  readonly cell: Cell;
  readonly subject: Subject;
  readonly expectations: readonly Expectation[];
  readonly seconds: number;
}

export interface StepTimes {
  /** What really ran. */
  readonly threads: number;
  /** Of a step: means over as many steps in a row as fill some milliseconds. */
  readonly milliseconds: readonly number[];
  /** GFLOP/s, measured in between; none for the reference. */
  readonly peaks: readonly number[];
  /** Of matrix products in a step. */
  readonly executedFlops: number;
  readonly planningMilliseconds: number;
  /** Nanoseconds of a fork-join of the threads; undefined for one thread and where it cannot be measured. */
  readonly barrier: number | undefined;
}

/** Until V8 has optimised, and memory pages are there. */
const WARM_UP_SECONDS = 0.5;
/** Short steps are timed together, so that the turns they leave to the event loop count. */
const SAMPLE_MILLISECONDS = 10;
/** Between two measurements of the peak. */
const PEAK_MILLISECONDS = 40;

/** Trains for some time, at least one sample; `between` gets the mean time of the steps of a sample, and all of its time. */
export async function trainFor(
  { trainer, batches }: Training,
  seconds: number,
  between: (milliseconds: number, elapsed: number) => Promise<void>,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  const steps = trainer.train(batches);
  do {
    const start = performance.now();
    let elapsed = 0;
    let count = 0;
    for (; elapsed < SAMPLE_MILLISECONDS; count++) {
      const { done } = await steps.next();
      if (done) throw new Error('Expected batches without end but they ended');
      elapsed = performance.now() - start;
    }
    await between(elapsed / count, elapsed);
  } while (performance.now() < end);
}

/** Longer than this nobody waits for one step of the reference. */
const REFERENCE_SECONDS = 60;

export const TOO_SLOW = 'ERR_SEQGRAD_SLOW';

/** A measurement that would take too long. */
export class TooSlowError extends Error {
  readonly code = TOO_SLOW;
  override readonly name = 'TooSlowError';
}

/**
 * Trains a small shape for as long as V8 takes to optimise.
 * @throws TooSlowError where its steps say that one of the cell would take too long.
 */
async function warmUpReference(cell: Cell, backend: Backend): Promise<void> {
  const small = smaller(cell);
  const training = await startTraining(small, backend);
  let least = Number.POSITIVE_INFINITY;
  await trainFor(training, 2 * WARM_UP_SECONDS, async (milliseconds) => {
    least = Math.min(least, milliseconds);
  });
  await training.model.engine.close();
  const seconds = (least / 1000) * (creditedFlops(cell) / creditedFlops(small));
  if (seconds <= REFERENCE_SECONDS) return;
  throw new TooSlowError(`not timed, because one step would take about ${Math.round(seconds)} s`);
}

/**
 * Verifies, warms up and measures.
 * @throws WrongResultError, TooSlowError
 */
export async function measureStep({ cell, subject, expectations, seconds }: StepJob): Promise<StepTimes> {
  const backend = await loadSubject(subject);
  const isReference = backend.name === 'reference';
  if (isReference) await warmUpReference(cell, backend);
  const training = await startVerified(cell, backend, expectations);
  const peak = await Peak.of(backend);
  if (!isReference) await trainFor(training, Math.min(WARM_UP_SECONDS, seconds), async () => undefined);

  const milliseconds: number[] = [];
  let sincePeak = Number.POSITIVE_INFINITY;
  await trainFor(training, seconds, async (mean, elapsed) => {
    milliseconds.push(mean);
    sincePeak += elapsed;
    if (sincePeak < PEAK_MILLISECONDS) return;
    sincePeak = 0;
    await peak.measure();
  });
  return {
    threads: backend.threads,
    milliseconds,
    peaks: peak.readings,
    executedFlops: await executedFlops(training, cell),
    planningMilliseconds: training.trainer.planningMilliseconds,
    barrier: await measureBarrier(backend),
  };
}
