/** Measurements in processes of their own: what one is asked, what it answers, and in which order they run. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { BandwidthReading } from './bandwidth.js';
import type { GemmJob, GemmTime } from './gemm.js';
import type { Limits, LimitsJob, MemoryJob } from './limits.js';
import type { Cell } from './models.js';
import type { ProfileJob, StepProfile } from './profile.js';
import type { StepJob, StepTimes } from './step.js';
import { nodeArgumentsFor, type Subject } from './subjects.js';
import type { FirstSteps } from './verify.js';

/** The first steps of a cell on some backend, for others to be compared with. */
export interface FirstStepsJob {
  readonly kind: 'first steps';
  readonly cell: Cell;
  readonly subject: Subject;
}

interface Answers {
  readonly 'first steps': FirstSteps;
  readonly step: StepTimes;
  readonly profile: StepProfile;
  readonly gemm: readonly GemmTime[];
  readonly limits: Limits;
  readonly memory: readonly BandwidthReading[];
}

/** The work of a process. */
export type Job = FirstStepsJob | StepJob | ProfileJob | GemmJob | LimitsJob | MemoryJob;

export type AnswerTo<J extends Job> = Answers[J['kind']];

/** A measurement that did not take place, and why. */
export interface Failure {
  readonly failure: string;
  /** Of the error, where it has one. */
  readonly code?: string | undefined;
}

export const hasFailed = <T extends object>(answer: T | Failure): answer is Failure => 'failure' in answer;

/** What the process of a job sends when it is done. */
export type Reply = { readonly answer: AnswerTo<Job> } | Failure;

const child = fileURLToPath(new URL('./child.js', import.meta.url));

/** Does a job in a fresh process, which ends with this one. */
export async function runJob<J extends Job>(job: J): Promise<AnswerTo<J> | Failure> {
  const execArgv = [...process.execArgv, ...('subject' in job ? await nodeArgumentsFor(job.subject) : [])];
  return new Promise((resolve) => {
    const worker = fork(child, [], { execArgv, serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let said = '';
    worker.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    worker.on('message', (reply: Reply) => resolve('answer' in reply ? (reply.answer as AnswerTo<J>) : reply));
    worker.on('error', ({ message }) => resolve({ failure: message }));
    worker.on('close', (code, signal) => {
      resolve({ failure: said.trim() || `its process ended with ${signal ?? `exit code ${code}`} and said nothing` });
    });
    worker.send(job);
  });
}

/** Is told what is being done, for those who wait. */
export type Watch = (doing: string) => void;

/** Something that takes its turn. */
export interface Measurement<T> {
  readonly name: string;
  /** Too slow to take more than one turn. */
  readonly once?: boolean;
  measure(): Promise<T | Failure>;
}

/**
 * Runs measurements one after the other, in rounds: a slow spell of the machine meets all of them.
 * @returns the answers of each measurement, or the first failure, after which it is not repeated.
 */
export async function alternate<T extends object>(
  measurements: readonly Measurement<T>[],
  rounds: number,
  watch: Watch = () => undefined,
): Promise<(T[] | Failure)[]> {
  const answers: (T[] | Failure)[] = measurements.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { name, once, measure }] of measurements.entries()) {
      const known = answers[index] as T[] | Failure;
      if (hasFailed(known) || (once && round > 0)) continue;
      watch(`round ${round + 1} of ${rounds}: ${name}`);
      const answer = await measure();
      if (hasFailed(answer)) answers[index] = answer;
      else known.push(answer);
    }
  }
  return answers;
}
