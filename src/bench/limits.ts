/** The limits of the machine, each measured in a process of its own: arithmetic and barrier of a backend's threads, and memory. */

import { type BandwidthReading, measureBandwidth } from './bandwidth.js';
import { measureBarrier } from './barrier.js';
import { Peak } from './peak.js';
import { loadSubject, type Subject } from './subjects.js';

export interface LimitsJob {
  readonly kind: 'limits';
  readonly subject: Subject;
  /** Threads to measure, whatever the backend would take by itself. */
  readonly threads: number;
  readonly seconds: number;
}

export interface Limits {
  /** GFLOP/s */
  readonly peaks: readonly number[];
  /** Nanoseconds; undefined for one thread, and where it cannot be measured. */
  readonly barrier: number | undefined;
}

export async function measureLimits({ subject, threads, seconds }: LimitsJob): Promise<Limits> {
  const backend = { ...(await loadSubject(subject)), threads };
  const peak = await Peak.of(backend);
  const end = performance.now() + seconds * 1000;
  do await peak.measure();
  while (performance.now() < end);
  await peak.close();
  return { peaks: peak.readings, barrier: await measureBarrier(backend) };
}

export interface MemoryJob {
  readonly kind: 'memory';
  readonly threads: number;
  /** Bytes for each thread. */
  readonly sizes: readonly number[];
  /** For each operation on each size. */
  readonly seconds: number;
}

export const measureMemory = ({ threads, sizes, seconds }: MemoryJob): Promise<BandwidthReading[]> =>
  measureBandwidth(threads, sizes, seconds);
