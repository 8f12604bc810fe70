/** A measuring process: does the job in its first argument and prints the answer as JSON. */
import { loadBackend } from '../src/backends/select.js';
import { cellOf } from './cells.js';
import type { AnswerTo, Job } from './jobs.js';
import { measureMicro } from './micro.js';
import { profileStep } from './profile.js';
import { measureStep } from './step.js';
import { firstSteps } from './verify.js';

async function answer(job: Job): Promise<AnswerTo<Job['kind']>> {
  switch (job.kind) {
    case 'reference':
      return firstSteps(cellOf(job.cell), await loadBackend({ backend: 'reference', isa: 'float32' }));
    case 'step':
      return measureStep(job);
    case 'profile':
      return profileStep(job);
    case 'micro':
      return measureMicro(job);
  }
}

/** A failure is an answer: the other measurements go on. */
const failureOf = (error: unknown): object => ({ failure: error instanceof Error ? error.message : String(error) });

const job = JSON.parse(process.argv[2] as string) as Job;
process.stdout.write(`${JSON.stringify(await answer(job).catch(failureOf))}\n`);
