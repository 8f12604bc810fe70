/** The lanes of the shared builds: no ticket is lost or done twice, whoever comes, sleeps, stalls or leaves. */
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import { type AnyCall, encode, fingerprint } from '../../src/program/encode.js';
import { randomFrom } from '../support/random.js';
import { ALONE, type BuildName, buildNames, builds, instantiate, newMemory, Team } from './team.js';

const shared = (['simd.shared', 'relaxed.shared'] as const).filter((build) => builds.has(build));

/** Where assembly/team.ts keeps its state, in elements. */
const CONTROL = 8192 / 4;
const SLEEPERS = CONTROL + 2 * 16;
const PENDING = CONTROL + 3 * 16;
const rangeOf = (lane: number): number => CONTROL + 16 * (6 + lane);
const scratchOf = (lane: number): number => (16_384 + 1536 * lane) / 4;
/** Elements of a ticket of `add` and `fill`. */
const TICKET = 16_384;

const builtAs = (name: BuildName) => [name.startsWith('relaxed') ? 1 : 0, name.endsWith('.shared') ? 1 : 0];

for (const name of buildNames) {
  const module = builds.get(name);
  if (module === undefined) {
    test.skip(`${name}: says what it is (skipped: this engine has no relaxed SIMD)`, () => {});
    continue;
  }
  test(`${name}: says what it is, and takes no memory of the other kind`, (t) => {
    const isShared = name.endsWith('.shared');
    const exports = instantiate(module, newMemory(isShared));
    t.deepEqual([exports.relaxed(), exports.shared()], builtAs(name));
    t.is(exports.contract(), fingerprint);
    t.is(exports.laneCount(), isShared ? 32 : 1);
    t.throws(() => instantiate(module, newMemory(!isShared)), { instanceOf: WebAssembly.LinkError });
  });

  test(`${name}: an instantiation leaves alone what lanes write`, (t) => {
    const memory = newMemory(name.endsWith('.shared'));
    const bytes = new Uint8Array(memory.buffer).fill(0xa5, 8192);
    instantiate(module, memory);
    t.true(bytes.subarray(8192).every((byte) => byte === 0xa5));
  });

  test(`${name}: a number of lanes that cannot be is refused`, (t) => {
    const { setLanes, laneCount } = instantiate(module, newMemory(name.endsWith('.shared')));
    for (const count of [0, -1, laneCount() + 1])
      t.throws(() => setLanes(count), { instanceOf: WebAssembly.RuntimeError });
    t.notThrows(() => setLanes(laneCount()));
  });
}

/** Counters, and ones to add to them. */
const MOST = 40 * TICKET;
const [counters, ones, dataEnd] = [0, 1, 2].map((index) => RESERVED_ELEMENTS + index * MOST) as [
  number,
  number,
  number,
];

/** Each call adds 1 to the first n counters: one round, whose every element must be done once. */
const counting = (sizes: readonly number[]): Int32Array =>
  encode(
    sizes.map(
      (n): AnyCall<number> => ({
        instruction: 'add',
        operands: { a: counters, b: ones, y: counters },
        dims: { n },
        scalars: {},
      }),
    ),
  );

const random = randomFrom('sizes');
const randomSizes = (count: number): number[] =>
  Array.from({ length: count }, () => random.integer(1, random.uniform() < 0.05 ? MOST : 6 * TICKET));

/** Runs rounds of random sizes and gives the counters that are wrong after that. */
function miscounted(team: Team, rounds: number): number[] {
  team.floats.fill(1, ones, ones + MOST);
  team.floats.fill(0, counters, counters + MOST);
  const sizes = randomSizes(rounds);
  for (let done = 0; done < rounds; done += 10) team.run(counting(sizes.slice(done, done + 10)), dataEnd);
  const expected = new Float32Array(MOST);
  for (const n of sizes) expected[n - 1] = (expected[n - 1] as number) + 1;
  for (let index = MOST - 2; index >= 0; index--) {
    expected[index] = (expected[index] as number) + (expected[index + 1] as number);
  }
  const wrong: number[] = [];
  for (let index = 0; index < MOST && wrong.length < 5; index++) {
    if (team.floats[counters + index] !== expected[index]) wrong.push(index);
  }
  return wrong;
}

/** A product whose last rows and columns fill part of a tile only: every lane that does one leaves its sums in its scratch. */
function lanesAtWork(team: Team, lanes: number): number[] {
  const [M, N, K] = [1001, 257, 64];
  const [a, b, c] = [RESERVED_ELEMENTS, RESERVED_ELEMENTS + M * K, RESERVED_ELEMENTS + M * K + K * N] as const;
  team.floats.fill(1, a, c);
  const strides = { aBatch: 0, aRow: K, aColumn: 1, bBatch: 0, bRow: N, bColumn: 1, cBatch: 0, cRow: N };
  const dims = { batch: 1, M, N, K, ...strides, bfloat16: 0, activation: 0 };
  const call: AnyCall<number> = { instruction: 'matmul', operands: { a, b, c }, dims, scalars: {} };
  for (let times = 0; times < 50; times++) team.run(encode([call]), c + M * N);
  return Array.from({ length: lanes }, (_, lane) => lane).filter((lane) => team.floats[scratchOf(lane)] === K);
}

for (const build of shared) {
  for (const lanes of [1, 2, 3, 8]) {
    test.serial(`${build}: ${lanes} lanes do every ticket of 3000 rounds once`, async (t) => {
      const team = await Team.of(build, lanes);
      t.deepEqual(miscounted(team, 3000), []);
      await team.dismiss();
    });
  }

  test.serial(`${build}: helpers do some of the work`, async (t) => {
    const team = await Team.of(build, 3);
    const all = [0, 1, 2];
    let atWork: number[] = [];
    for (let times = 0; times < 100 && atWork.length < all.length; times++) atWork = lanesAtWork(team, all.length);
    t.deepEqual(atWork, all);
    await team.dismiss();
  });

  test.serial(`${build}: helpers that come in the middle`, async (t) => {
    const team = new Team(build);
    team.lane0.setLanes(3);
    const coming = [team.addHelper(1), team.addHelper(2)]; // while lane 0 is at work already
    t.deepEqual(miscounted(team, 2000), []);
    await Promise.all(coming);
    t.deepEqual(miscounted(team, 500), []);
    await team.dismiss();
  });

  test.serial(`${build}: helpers asleep, and empty rounds`, async (t) => {
    const team = await Team.of(build, 3);
    for (let times = 0; times < 30; times++) {
      while (Atomics.load(team.ints, SLEEPERS) < 2) await delay(1);
      t.deepEqual(miscounted(team, 1 + (times % 3)), []);
      team.lane0.barrier(1 + 100 * (times % 2));
    }
    await team.dismiss();
  });

  test.serial(`${build}: a barrier is where all lanes meet; one that never comes is missed`, async (t) => {
    const team = await Team.of(build, 3);
    let met = 0;
    // A busy machine may keep the three apart for long.
    for (const end = performance.now() + 60_000; met === 0 && performance.now() < end; ) met = team.lane0.barrier(10);
    t.true(met > 0);
    team.lane0.setLanes(4);
    t.is(team.lane0.barrier(3), 0);
    await team.dismiss();
  });

  test.serial(`${build}: sent away and come again`, async (t) => {
    const team = await Team.of(build, 3);
    for (let times = 0; times < 10; times++) {
      t.deepEqual(miscounted(team, 100), []);
      await team.dismiss();
      t.deepEqual(miscounted(team, 20), [], 'nobody helps');
      team.lane0.setLanes(2 + (times % 3));
      await Promise.all([team.addHelper(1), team.addHelper(2)]);
    }
    await team.dismiss();
  });

  test.serial(`${build}: a helper that never came, and one that was killed in its sleep`, async (t) => {
    const team = new Team(build);
    team.lane0.setLanes(4);
    const killed = await team.addHelper(1);
    await team.addHelper(2);
    while (Atomics.load(team.ints, SLEEPERS) < 2) await delay(1);
    await killed.terminate();
    t.deepEqual(miscounted(team, 500), []);
    await team.dismiss();
  });
}

/** Runs one call on lane 0 of a worker, so that this thread can be lane 1. */
const caller = new URL('./caller.js', import.meta.url);

/** Takes a ticket of lane 1 as soon as there is one: its number, counted from the end of the range; 0 if lane 0 was faster. */
function takeTicket(ints: Int32Array): number {
  while (Atomics.load(ints, ints.length - 1) === 0) {
    const left = Atomics.load(ints, rangeOf(1));
    if (left > 0 && Atomics.compareExchange(ints, rangeOf(1), left, left - 1) === left) return left;
  }
  return 0;
}

/** Reports `count` tickets as done. */
function report(ints: Int32Array, count: number): void {
  if (Atomics.sub(ints, PENDING, count) === count) Atomics.notify(ints, PENDING);
}

interface Stalled {
  /** Elements of the result that nobody wrote. */
  readonly unfilled: number;
  /** Whether lane 0 waited for the ticket. */
  readonly waited: boolean;
  /** Brief rounds that it will do alone after that. */
  readonly alone: number | undefined;
}

/** A `fill` of which lane 1, this thread, takes one ticket and keeps it for long; it says with `does` whether it does it at all. */
async function withStalledHelper(build: BuildName, does: boolean): Promise<Stalled> {
  const n = 400 * TICKET;
  const team = new Team(build);
  team.lane0.setLanes(2);
  const words = encode([
    { instruction: 'fill', operands: { y: RESERVED_ELEMENTS }, dims: { n }, scalars: { value: 1 } },
  ]);
  const { memory } = team;
  const worker = new Worker(caller, {
    workerData: { module: builds.get(build), memory, words, dataElements: RESERVED_ELEMENTS + n },
  });
  const finished = new Promise<void>((resolve, reject) => {
    worker.once('exit', () => resolve());
    worker.once('error', reject);
  });
  const left = takeTicket(team.ints);
  if (left === 0) return finished.then(() => withStalledHelper(build, does)); // this thread was not running
  const ticket = Atomics.load(team.ints, rangeOf(1) + 1) - left;
  while (Atomics.load(team.ints, PENDING) > 1) await delay(1);
  const waited = await Promise.race([finished.then(() => false), delay(50, true)]);
  const filled = team.floats.subarray(RESERVED_ELEMENTS, RESERVED_ELEMENTS + n);
  if (does) filled.fill(1, ticket * TICKET, (ticket + 1) * TICKET);
  report(team.ints, 1);
  await finished;
  return { unfilled: filled.reduce((count, value) => count + Number(value === 0), 0), waited, alone: team.ints[ALONE] };
}

for (const build of shared) {
  test.serial(
    `${build}: who stalls holds up its own ticket only; all others are done, and lane 0 waits for that one`,
    async (t) => {
      t.deepEqual(await withStalledHelper(build, true), { unfilled: 0, waited: true, alone: 64 });
    },
  );

  test.serial(`${build}: a ticket that is taken and not done would be noticed`, async (t) => {
    t.deepEqual(await withStalledHelper(build, false), { unfilled: TICKET, waited: true, alone: 64 });
  });
}
