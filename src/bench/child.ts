/** A measuring process: does the job that its parent sends, answers, and ends. */
import { measureGemm } from './gemm.js';
import type { AnswerTo, Failure, Job, Reply } from './jobs.js';
import { measureLimits, measureMemory } from './limits.js';
import { profileStep } from './profile.js';
import { measureStep } from './step.js';
import { loadSubject } from './subjects.js';
import { firstSteps } from './verify.js';

async function answer(job: Job): Promise<AnswerTo<Job>> {
  switch (job.kind) {
    case 'first steps':
      return firstSteps(job.cell, await loadSubject(job.subject));
    case 'step':
      return measureStep(job);
    case 'profile':
      return profileStep(job);
    case 'gemm':
      return measureGemm(job);
    case 'limits':
      return measureLimits(job);
    case 'memory':
      return measureMemory(job);
  }
}

/** Errors that tell what is wrong need no stack; others do. */
function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { failure: String(error) };
  if ('code' in error) return { failure: error.message, code: String(error.code) };
  return { failure: error.stack ?? error.message };
}

process.on('disconnect', () => process.exit(1)); // nobody waits for the answer
process.once('message', (job: Job) => {
  const send = (reply: Reply): void => void process.send?.(reply, () => process.exit());
  answer(job).then(
    (its) => send({ answer: its }),
    (error) => send(failureOf(error)),
  );
});
