/** Whole measurements: who must agree with whom, fresh processes in turns, and what their answers amount to. */

import { bandwidthRoof } from './bandwidth.js';
import { alternate, type Failure, hasFailed, type Measurement, runJob, type Watch } from './jobs.js';
import { type Cell, creditedFlops, tokensOf } from './models.js';
import type { StepProfile } from './profile.js';
import type { Roofs } from './roof.js';
import { type Doubtful, median, peakDoubts, type Summary, summarise, timerResolution } from './statistics.js';
import type { StepTimes } from './step.js';
import { nameOf, type Subject, usableWitnesses } from './subjects.js';
import { type Expectation, verifications, witnessFor } from './verify.js';

/** What was measured of a subject, against the peak in the same processes. */
export interface Measured {
  /** With the threads that really ran. */
  readonly subject: Subject;
  readonly summary: Summary;
  /** GFLOP/s; NaN for the reference. */
  readonly peak: number;
  /** Why peak and shares are not to be trusted. */
  readonly peakDoubts: Doubtful;
}

export interface MeasuredStep extends Measured {
  readonly cell: Cell;
  readonly creditedFlops: number;
  readonly executedFlops: number;
  readonly planningMilliseconds: number;
  /** Nanoseconds; undefined for one thread and where it cannot be measured. */
  readonly barrier: number | undefined;
}

/** A subject that was not measured, and why. */
export interface Failed extends Failure {
  readonly subject: Subject;
}

export const allDoubts = ({ summary, peakDoubts }: Measured): string[] => [...summary.doubts, ...peakDoubts];

/** GFLOP/s of the operations that a step is credited with, at the median. */
export const creditedRate = ({ creditedFlops, summary }: MeasuredStep): number => creditedFlops / summary.median / 1e6;

export const tokensPerSecond = ({ cell, summary }: MeasuredStep): number => (tokensOf(cell) / summary.median) * 1000;

const reference: Subject = { backend: 'reference', isa: 'float64', numerics: 'fast', threads: 1 };

/** Says what the first steps of a cell are; each backend is asked once for each cell. */
class Witnesses {
  readonly #known = new Map<string, Promise<Expectation | Failure>>();
  readonly #watch: Watch;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  ask(cell: Cell, subject: Subject): Promise<Expectation | Failure> {
    const key = JSON.stringify([cell, subject]);
    const known = this.#known.get(key) ?? this.#run(cell, subject);
    this.#known.set(key, known);
    return known;
  }

  async #run(cell: Cell, subject: Subject): Promise<Expectation | Failure> {
    this.#watch(`first steps of ${nameOf(subject)}, for comparison`);
    const steps = await runJob({ kind: 'first steps', cell, subject });
    if (hasFailed(steps)) return { failure: `${nameOf(subject)}, for comparison: ${steps.failure}` };
    return { cell, steps, by: nameOf(subject), exact: subject.isa === 'float64' };
  }
}

/**
 * What the first steps of a subject are compared with. The reference is not compared with others on shapes where it is slow.
 * @returns a note where no other backend is there to check the shape itself.
 */
async function expectationsFor(
  cell: Cell,
  subject: Subject,
  witnesses: Witnesses,
): Promise<{ readonly expectations: readonly Expectation[]; readonly note?: string } | Failure> {
  const expectations: Expectation[] = [];
  let note: string | undefined;
  const usable = await usableWitnesses(subject.numerics);
  for (const { cell: checked, byReference } of verifications(cell)) {
    if (!byReference && subject.backend === 'reference') continue;
    const witness = byReference ? reference : witnessFor(subject, usable);
    if (witness === undefined) {
      note = `${nameOf(subject)} was verified on a smaller shape only: no other backend works here`;
      continue;
    }
    const expectation = await witnesses.ask(checked, witness);
    if (hasFailed(expectation)) return expectation;
    expectations.push(expectation);
  }
  return { expectations, ...(note === undefined ? {} : { note }) };
}

export interface StepsOptions {
  readonly cell: Cell;
  readonly subjects: readonly Subject[];
  /** Processes for each subject. */
  readonly rounds: number;
  /** Of measuring in each. */
  readonly seconds: number;
  readonly watch?: Watch | undefined;
  /** What else takes its turn in every round. */
  readonly others?: readonly Measurement<StepTimes>[];
}

export interface Results<T> {
  readonly rows: readonly (T | Failed)[];
  readonly notes: readonly string[];
}

type Prepared = Awaited<ReturnType<typeof expectationsFor>>;

/** One after the other: they take the machine for themselves. */
async function prepare(
  cell: Cell,
  subjects: readonly Subject[],
  watch: Watch = () => undefined,
): Promise<{ prepared: Prepared[]; notes: string[] }> {
  const witnesses = new Witnesses(watch);
  const prepared: Prepared[] = [];
  for (const subject of subjects) prepared.push(await expectationsFor(cell, subject, witnesses));
  return { prepared, notes: prepared.flatMap((its) => (!hasFailed(its) && its.note ? [its.note] : [])) };
}

/** Training steps of a cell, the subjects in turns, each turn in a fresh process. */
export async function measureSteps({
  cell,
  subjects,
  rounds,
  seconds,
  watch,
  others = [],
}: StepsOptions): Promise<Results<MeasuredStep> & { readonly others: readonly (StepTimes[] | Failure)[] }> {
  const { prepared, notes } = await prepare(cell, subjects, watch);
  const own = subjects.map((subject, index) => ({
    name: nameOf(subject),
    once: subject.backend === 'reference',
    measure: async (): Promise<StepTimes | Failure> => {
      const its = prepared[index] as Prepared;
      if (hasFailed(its)) return its;
      return runJob({ kind: 'step', cell, subject, expectations: its.expectations, seconds });
    },
  }));
  const answers = await alternate<StepTimes>([...own, ...others], rounds, watch);
  const rows = subjects.map((subject, index) => stepOf(cell, subject, answers[index] as StepTimes[] | Failure));
  return { rows, notes, others: answers.slice(subjects.length) };
}

function stepOf(cell: Cell, subject: Subject, rounds: readonly StepTimes[] | Failure): MeasuredStep | Failed {
  if (hasFailed(rounds)) return { subject, ...rounds };
  const [first] = rounds as readonly [StepTimes];
  const barriers = rounds.flatMap(({ barrier }) => (barrier === undefined ? [] : [barrier]));
  return {
    ...measuredOf({ ...subject, threads: first.threads }, rounds),
    cell,
    creditedFlops: creditedFlops(cell),
    executedFlops: first.executedFlops,
    planningMilliseconds: median(rounds.map(({ planningMilliseconds }) => planningMilliseconds)),
    barrier: barriers.length === 0 ? undefined : median(barriers),
  };
}

/** Times and peaks of all rounds together. `resolution` is that of the clock, where single steps were timed with it. */
export function measuredOf(
  subject: Subject,
  rounds: readonly { readonly milliseconds: readonly number[]; readonly peaks: readonly number[] }[],
  resolution = 0,
): Measured {
  const peaks = rounds.flatMap((round) => round.peaks);
  const summary = summarise(
    rounds.map(({ milliseconds }) => milliseconds),
    resolution,
  );
  return { subject, summary, peak: median(peaks), peakDoubts: peakDoubts(peaks) };
}

export interface MeasuredProfile extends Measured {
  readonly cell: Cell;
  readonly profile: StepProfile;
}

/** Without roofs for the reference, which has no peak. */
export const roofsOf = ({ profile, peak }: MeasuredProfile): Roofs => ({
  peak,
  bandwidth: Number.isNaN(peak) ? () => Number.NaN : bandwidthRoof(profile.bandwidth),
});

/** Where the time of each subject goes; one process for each. */
export async function measureProfiles({
  cell,
  subjects,
  seconds,
  watch,
}: Omit<StepsOptions, 'rounds' | 'others'>): Promise<Results<MeasuredProfile>> {
  const { prepared, notes } = await prepare(cell, subjects, watch);
  const rows: (MeasuredProfile | Failed)[] = [];
  for (const [index, subject] of subjects.entries()) {
    const its = prepared[index] as Prepared;
    watch?.(`profile of ${nameOf(subject)}`);
    const profile = hasFailed(its)
      ? its
      : await runJob({ kind: 'profile', cell, subject, expectations: its.expectations, seconds });
    if (hasFailed(profile)) rows.push({ subject, ...profile });
    else {
      const { stepMilliseconds: milliseconds, peaks, threads } = profile;
      rows.push({
        ...measuredOf({ ...subject, threads }, [{ milliseconds, peaks }], timerResolution()),
        cell,
        profile,
      });
    }
  }
  return { rows, notes };
}
