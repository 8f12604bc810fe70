/** How fast memory is: GB/s for arrays of different sizes, from those that a cache holds to those that none does. */
import { Crew } from './crew.js';
import { type MemoryOperation, memoryOperations } from './meters.js';
import { wasmModule } from './peak.js';
import { median } from './statistics.js';

/** One measurement, bytes counted as programs do: each array once. A write that fetches the old line first moves more. */
export interface BandwidthReading {
  readonly operation: MemoryOperation;
  /** Of all arrays and threads together. */
  readonly bytes: number;
  /** GB/s of all threads together. */
  readonly rate: number;
}

const MEBIBYTE = 2 ** 20;
/** Bytes for each thread: within L1, L2, and beyond; the last is beyond what a core has of any cache so far. */
export const ladder: readonly number[] = [1 / 64, 1 / 4, 1, 4, 16, 64, 256].map((size) => size * MEBIBYTE);

/** The sizes of the ladder that say how fast work on at most so many bytes can be. */
export const ladderUpTo = (bytes: number): number[] =>
  ladder.filter((_, index) => index === 0 || (ladder[index - 1] as number) < bytes);

/** Of one reading; the seconds of a measurement allow for several. */
const MILLISECONDS = 2;

/** Measures every operation at every size for some time, at least once, each thread in memory of its own. */
export async function measureBandwidth(
  threads: number,
  sizes: readonly number[] = ladder,
  seconds = 0.02,
): Promise<BandwidthReading[]> {
  const crew = await Crew.gather({ kind: 'memory', module: await wasmModule('wasm-simd') }, threads);
  const readings: BandwidthReading[] = [];
  for (const bytes of sizes) {
    for (const operation of memoryOperations) {
      const rates: number[] = [];
      const end = performance.now() + seconds * 1000;
      do rates.push(await crew.measure({ milliseconds: MILLISECONDS, operation, bytes }));
      while (performance.now() < end);
      readings.push({ operation, bytes: bytes * threads, rate: median(rates) });
    }
  }
  await crew.disband();
  return readings;
}

/** GB/s at most that work on so many bytes can move: the best operation, interpolated between the sizes that were measured. */
export function bandwidthRoof(readings: readonly BandwidthReading[]): (bytes: number) => number {
  const best = new Map<number, number>();
  for (const { bytes, rate } of readings) best.set(bytes, Math.max(rate, best.get(bytes) ?? 0));
  const points = [...best].sort(([a], [b]) => a - b);
  return (bytes) => {
    const above = points.findIndex(([size]) => size >= bytes);
    const [highSize, highRate] = points.at(above) ?? [1, Number.NaN];
    if (above <= 0) return highRate; // smaller than all (the first), or larger (−1: the last)
    const [lowSize, lowRate] = points[above - 1] as [number, number];
    const part = Math.log(bytes / lowSize) / Math.log(highSize / lowSize);
    return lowRate * (highRate / lowRate) ** part;
  };
}
