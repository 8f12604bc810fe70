/** Where the time of a training step goes, instruction by instruction. */
import type { InstructionTime } from '../backends/engine.js';
import { type BandwidthReading, ladderUpTo, measureBandwidth } from './bandwidth.js';
import { batchesOf, type Cell } from './models.js';
import { Peak } from './peak.js';
import { type Cost, totalOf } from './roof.js';
import { median, quantile } from './statistics.js';
import { loadSubject, type Subject } from './subjects.js';
import { type Expectation, startVerified } from './verify.js';

export interface ProfileJob {
  readonly kind: 'profile';
  readonly cell: Cell;
  readonly subject: Subject;
  readonly expectations: readonly Expectation[];
  readonly seconds: number;
}

/** One instruction of the step. */
export interface CallTime {
  readonly label: string;
  readonly instruction: string;
  readonly dims: Readonly<Record<string, number>>;
  /** Median over all steps. */
  readonly milliseconds: number;
  readonly least: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface StepProfile {
  readonly threads: number;
  /** Steps taken apart. */
  readonly runs: number;
  readonly calls: readonly CallTime[];
  /** Of whole steps that were not taken apart. */
  readonly stepMilliseconds: readonly number[];
  /** GFLOP/s that the machine can do; none for the reference. */
  readonly peaks: readonly number[];
  readonly bandwidth: readonly BandwidthReading[];
}

const WARM_UP_STEPS = 20;
const WARM_UP_SECONDS = 1;
/** Steps in a row between two that are taken apart. */
const WHOLE_STEPS = 4;

/** Median and minimum of each column. */
function timesOf(rows: readonly (readonly InstructionTime[])[]): CallTime[] {
  const [first = []] = rows;
  return first.map(({ call, flops, bytes }, index) => {
    const column = rows.map((row) => row[index]?.milliseconds ?? Number.NaN);
    const { label, instruction, dims } = call;
    return { label, instruction, dims, milliseconds: median(column), least: quantile(column, 0), flops, bytes };
  });
}

/**
 * Takes steps apart and whole ones in turns. The scalars of the last whole step serve the ones taken apart.
 * @throws WrongResultError
 */
export async function profileStep({ cell, subject, expectations, seconds }: ProfileJob): Promise<StepProfile> {
  const backend = await loadSubject(subject);
  const { model, trainer, batches } = await startVerified(cell, backend, expectations);
  const peak = await Peak.of(backend);
  const warm = performance.now() + WARM_UP_SECONDS * 1000;
  for (let step = 0; step < WARM_UP_STEPS && performance.now() < warm; step++) await trainer.fit(batches, { steps: 1 });
  const program = await trainer.program(cell);

  const { inputs } = batchesOf(cell).next().value;
  const rows: InstructionTime[][] = [];
  const stepMilliseconds: number[] = [];
  const end = performance.now() + seconds * 1000;
  do {
    for (const { milliseconds } of await trainer.fit(batches, { steps: WHOLE_STEPS }))
      stepMilliseconds.push(milliseconds);
    rows.push(await model.engine.profile(program, inputs));
    await peak.measure();
  } while (performance.now() < end);
  await peak.close();
  const calls = timesOf(rows);
  const largest = Math.max(...calls.map(({ bytes }) => bytes));
  return {
    threads: backend.threads,
    runs: rows.length,
    calls,
    stepMilliseconds,
    peaks: peak.readings,
    bandwidth: await measureBandwidth(backend.threads, ladderUpTo(largest / backend.threads)),
  };
}

/** All calls of an instruction, or one call. */
export interface ProfileLine extends Cost {
  readonly name: string;
  readonly calls: readonly CallTime[];
  /** The least milliseconds of each call, added up. */
  readonly least: number;
}

/** What a line stands for. */
export type ProfileLines = 'kind' | 'call';

/** A call as its instruction, the sizes that say what it is, and the module that asked for it. */
function describeCall({ label, instruction, dims }: CallTime): string {
  const sizes = ['T', 'B', 'H', 'M', 'N', 'K', 'V', 'C', 'R', 'n', 'P'].filter((name) => name in dims);
  return `${instruction} ${sizes.map((name) => dims[name]).join('×')} ${label}`;
}

/** The longest first. */
export function linesOf(calls: readonly CallTime[], by: ProfileLines): ProfileLine[] {
  const groups = new Map<string, CallTime[]>();
  for (const [index, call] of calls.entries()) {
    const key = by === 'kind' ? call.instruction : `${index}`;
    groups.set(key, [...(groups.get(key) ?? []), call]);
  }
  const lines = [...groups.values()].map((group): ProfileLine => {
    const [first] = group as [CallTime];
    const name = by === 'kind' ? first.instruction : describeCall(first);
    return { name, calls: group, least: group.reduce((sum, { least }) => sum + least, 0), ...totalOf(group) };
  });
  return lines.sort((a, b) => b.milliseconds - a.milliseconds);
}
