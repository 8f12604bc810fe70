/** Measurements in processes of their own: what one is asked, what it answers, and in which order they run. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { MicroTime } from './micro.js';
import type { StepProfile } from './profile.js';
import type { StepTimes } from './step.js';
import type { Subject } from './subjects.js';
import type { FirstStep } from './verify.js';

/** The work of a process. */
export type Job =
  | { readonly kind: 'reference'; readonly cell: string }
  | TrainingJob
  | { readonly kind: 'micro'; readonly subject: Subject; readonly seconds: number };

export interface TrainingJob {
  readonly kind: 'step' | 'profile';
  readonly cell: string;
  readonly subject: Subject;
  /** What the reference got. */
  readonly expected: readonly FirstStep[];
  readonly seconds: number;
}

interface Answers {
  readonly reference: readonly FirstStep[];
  readonly step: StepTimes;
  readonly profile: StepProfile;
  readonly micro: readonly MicroTime[];
}

export type AnswerTo<K extends Job['kind']> = Answers[K];

/** A measurement that did not take place, and why. */
export interface Failure {
  readonly failure: string;
}

export const hasFailed = <T extends object, F extends Failure>(answer: T | F): answer is F => 'failure' in answer;

/** Runs a command to its end and reads the JSON on the last line of its output. */
export function runProcess<T>(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<T | Failure> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
      });
    }
    child.on('error', ({ message }) => resolve({ failure: message }));
    child.on('close', (code, signal) => {
      const line = said.stdout.trimEnd().split('\n').at(-1) ?? '';
      if (code === 0 && line !== '') resolve(JSON.parse(line) as T);
      else resolve({ failure: said.stderr.trim() || `ended with ${signal ?? `exit code ${code}`} and said nothing` });
    });
  });
}

const child = fileURLToPath(new URL('./child.js', import.meta.url));

/** Does a job in a fresh process. */
export const runJob = <K extends Job['kind']>(
  job: Job & { readonly kind: K },
  nodeArguments: readonly string[] = [],
): Promise<AnswerTo<K> | Failure> => runProcess(process.execPath, [...nodeArguments, child, JSON.stringify(job)]);

/**
 * Runs measurements one after the other, in rounds: a slow spell of the machine meets all of them.
 * @returns the answers of each measurement, or the first failure, after which it is not repeated.
 */
export async function alternate<T extends object>(
  measurements: readonly (() => Promise<T | Failure>)[],
  rounds: number,
): Promise<(T[] | Failure)[]> {
  const answers: (T[] | Failure)[] = measurements.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, measure] of measurements.entries()) {
      const known = answers[index] as T[] | Failure;
      if (hasFailed(known)) continue;
      const done = round * measurements.length + index;
      if (process.stderr.isTTY)
        process.stderr.write(`\r\u001b[2Kmeasuring ${done + 1} of ${rounds * measurements.length}`);
      const answer = await measure();
      if (hasFailed(answer)) answers[index] = answer;
      else known.push(answer);
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
  return answers;
}
