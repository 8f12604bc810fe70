/** `npm run bench -- micro`: times of single instructions, by the package `benchmark`. */
import Benchmark from 'benchmark';
import type { Command } from 'commander';
import type { Backend } from '../src/backends/executor.js';
import { referenceBackend } from '../src/backends/reference.js';
import { bandwidthRoof, measureBandwidth } from '../src/bench/bandwidth.js';
import { describeInLines, describeMachine } from '../src/bench/machine.js';
import { Peak } from '../src/bench/peak.js';
import { gbpsOf, gflopsOf, shareOfNearerRoof } from '../src/bench/roof.js';
import { Stage, type StageOperand } from '../src/bench/stage.js';
import { median, summarise } from '../src/bench/statistics.js';
import { WrongResultError } from '../src/bench/verify.js';
import { formatNumber, formatShare, formatTable } from '../src/cli/bench/table.js';
import { type BackendFlags, backendFrom, nameOf, positive, withBackend } from '../src/cli/command.js';
import { bytesOf, flopsOf } from '../src/program/cost.js';
import { type MicroCase, microCases } from './micro-cases.js';

/** Largest ‖result − reference‖ / ‖reference‖ of an operand: float32 sums taken in another order. */
const TOLERANCE = 2e-5;
/** Instructions of a program, so that the call from JavaScript does not show. */
const RUN_FLOPS = 5e7;

/** What operands hold before; the same for every backend. */
export function filling({ fillings }: MicroCase): (operand: StageOperand) => Float64Array {
  let random = 1;
  return ({ name, elements }) =>
    Float64Array.from({ length: elements }, (_, index) => {
      random = (random * 48271) % 0x7fffffff;
      const value = random / 0x7fffffff - 0.5;
      return fillings[name]?.(index, value) ?? value;
    });
}

function norm(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/** @throws WrongResultError if an operand that the instruction writes is not what the reference has. */
export async function verify(micro: MicroCase, stage: Stage): Promise<void> {
  const right = new Stage(micro, referenceBackend({ isa: 'float32' }));
  for (const each of [right, stage]) {
    await each.fill(filling(micro));
    await (await each.load(1))();
  }
  for (const operand of stage.operands) {
    if (operand.spec.access === 'read' || operand.spec.access === 'scratch') continue;
    const expected = await right.read(operand);
    const difference = norm((await stage.read(operand)).map((value, index) => value - (expected[index] as number)));
    const error = difference / norm(expected);
    if (error <= TOLERANCE) continue; // NaN is not
    const message = `\`${operand.name}\` is ${error.toExponential(1)} off the reference, at most ${TOLERANCE} is right`;
    throw new WrongResultError(`${micro.title}: ${message}`);
  }
}

/** Lets `benchmark` repeat a program; resolves to the milliseconds of each of its cycles. */
function repeat(run: () => Promise<void>, seconds: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    new Benchmark({
      defer: true,
      fn: (deferred: { resolve(): void }) => {
        run().then(() => deferred.resolve(), reject);
      },
      maxTime: seconds,
      onComplete: ({ target }: { target: Benchmark }) => resolve(target.stats.sample.map((each) => each * 1000)),
      onError: ({ target }: { target: { error: Error } }) => reject(target.error),
    }).run();
  });
}

/** Verifies a case, times it, and measures the peak before and afterwards. */
async function row(
  micro: MicroCase,
  backend: Backend,
  bandwidth: (bytes: number) => number,
  seconds: number,
): Promise<string[]> {
  const stage = new Stage(micro, backend);
  await verify(micro, stage);
  const [flops, bytes] = [flopsOf(stage.call), bytesOf(stage.call)];
  const times = Math.ceil(RUN_FLOPS / flops);
  const peak = await Peak.of(backend);
  await peak.measure();
  const cycles = (await repeat(await stage.load(times), seconds)).map((cycle) => cycle / times);
  await peak.measure();
  await peak.close();
  await stage.close();
  const { median: milliseconds, p25, p75, doubts } = summarise([cycles]);
  const cost = { milliseconds, flops, bytes };
  const { share, roof } = shareOfNearerRoof([cost], { peak: median(peak.readings), bandwidth });
  return [
    `${micro.title}${doubts.length > 0 ? ' *' : ''}`,
    ...[milliseconds, p25, p75].map((each) => formatNumber(each * 1000)),
    formatNumber(gflopsOf(cost)),
    formatNumber(gbpsOf(cost)),
    formatShare(share),
    Number.isFinite(share) ? roof : '–',
  ];
}

const columns = [
  { heading: 'instruction', left: true },
  ...['µs', 'p25', 'p75', 'GFLOP/s', 'GB/s', 'of roof'].map((heading) => ({ heading })),
  { heading: 'nearer roof', left: true },
] as const;

async function micro({ seconds, ...flags }: BackendFlags & { readonly seconds: number }): Promise<void> {
  const backend = await backendFrom(flags);
  const bandwidth = bandwidthRoof(await measureBandwidth(backend.threads));
  const rows: string[][] = [];
  for (const each of microCases) rows.push(await row(each, backend, bandwidth, seconds));
  const stars = '* noisy: half of the runs are more than 10 % of the median apart';
  const lines = [nameOf(backend), ...describeInLines(describeMachine()), '', formatTable(columns, rows), stars];
  process.stdout.write(`${lines.join('\n')}\n`);
}

export function defineMicro(program: Command): void {
  const command = program
    .command('micro')
    .description('single instructions, in this process')
    .option('--seconds <s>', 'of measuring for each', positive(), 1)
    .action(micro);
  withBackend(command);
}
