/** Times of single instructions, by the package `benchmark`. */
import Benchmark from 'benchmark';
import { type Backend, type Executor, RESERVED_ELEMENTS, type Result } from '../src/backends/executor.js';
import { loadBackend } from '../src/backends/select.js';
import { extent } from '../src/program/check.js';
import { bytesOf, flopsOf } from '../src/program/cost.js';
import { type AnyCall, encode } from '../src/program/encode.js';
import { type OperandSpec, specOf } from '../src/program/instructions.js';
import { aligned } from '../src/program/variable.js';
import type { Job } from './jobs.js';
import { type MicroCase, microCases } from './micro-cases.js';
import { copyRate, type Peak, peakOf } from './peak.js';
import { loadSubject } from './subjects.js';
import { WrongResultError } from './verify.js';

export interface MicroTime {
  readonly title: string;
  /** Of one instruction, one number for each cycle of `benchmark`. */
  readonly milliseconds: readonly number[];
  readonly flops: number;
  readonly bytes: number;
  /** GFLOP/s, measured between the cycles. */
  readonly peaks: readonly number[];
  /** GB/s of a copy that moves as many bytes. */
  readonly copyRate: number;
}

/** Largest ‖result − reference‖ / ‖reference‖ of an operand: float32 sums taken in another order. */
const TOLERANCE = 2e-5;
/** Instructions of a program, so that the call from JavaScript does not show. */
const RUN_FLOPS = 5e7;

interface Operand {
  readonly name: string;
  readonly spec: OperandSpec;
  readonly offset: number;
  readonly elements: number;
}

/** An executor with the operands of a case in a row. */
class Stage {
  readonly operands: Operand[] = [];
  readonly end: number;
  readonly call: AnyCall<number>;
  readonly executor: Executor;

  constructor(
    readonly micro: MicroCase,
    backend: Backend,
  ) {
    const { instruction, dims, scalars, absent } = micro;
    let offset = RESERVED_ELEMENTS;
    for (const [name, spec] of Object.entries(specOf(instruction).operands)) {
      if (absent.includes(name)) continue;
      const elements = extent(spec, dims);
      this.operands.push({ name, spec, offset, elements });
      offset += aligned(elements);
    }
    this.end = offset;
    const operands = Object.fromEntries(this.operands.map((operand) => [operand.name, operand.offset]));
    this.call = { instruction, operands, dims, scalars };
    this.executor = backend.createExecutor();
  }

  async fill(): Promise<void> {
    await this.executor.grow(this.end);
    let random = 1;
    for (const { name, spec, offset, elements } of this.operands) {
      const filling = this.micro.fillings[name] ?? ((_index, value) => value);
      const values = new Float64Array(elements);
      for (let index = 0; index < elements; index++) {
        random = (random * 48271) % 0x7fffffff;
        values[index] = filling(index, random / 0x7fffffff - 0.5);
      }
      await this.executor.write(offset, spec.type ?? 'f32', values);
    }
  }

  /** Runs the instruction `times` times. */
  async load(times: number): Promise<() => Promise<void>> {
    const program = await this.executor.load(encode(Array.from({ length: times }, () => this.call)), this.end);
    return () => program.run();
  }

  read({ offset, elements }: Operand): Promise<Result> {
    return this.executor.read(offset, 'f32', elements);
  }
}

function norm(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/** @throws WrongResultError if an operand that the instruction writes is not what the reference has. */
async function verify(stage: Stage, reference: Backend): Promise<void> {
  const right = new Stage(stage.micro, reference);
  for (const each of [right, stage]) {
    await each.fill();
    await (await each.load(1))();
  }
  for (const operand of stage.operands) {
    if (operand.spec.access === 'read' || operand.spec.access === 'scratch') continue;
    const expected = await right.read(operand);
    const difference = norm((await stage.read(operand)).map((value, index) => value - (expected[index] as number)));
    const error = difference / norm(expected);
    if (error <= TOLERANCE) continue; // NaN is not
    const message = `\`${operand.name}\` is ${error.toExponential(1)} off the reference, at most ${TOLERANCE} is right`;
    throw new WrongResultError(`${stage.micro.title}: not timed, because it is wrong: ${message}`);
  }
}

/** Lets `benchmark` repeat a program; resolves to the milliseconds of each of its cycles. */
function repeat(run: () => Promise<void>, seconds: number, between: () => void): Promise<number[]> {
  return new Promise((resolve, reject) => {
    new Benchmark({
      defer: true,
      fn: (deferred: { resolve(): void }) => {
        run().then(() => deferred.resolve(), reject);
      },
      maxTime: seconds,
      onCycle: between,
      onComplete: ({ target }: { target: Benchmark }) => resolve(target.stats.sample.map((each) => each * 1000)),
      onError: ({ target }: { target: { error: Error } }) => reject(target.error),
    }).run();
  });
}

async function measure(
  micro: MicroCase,
  backend: Backend,
  reference: Backend,
  peak: Peak | undefined,
  seconds: number,
): Promise<MicroTime> {
  const stage = new Stage(micro, backend);
  await verify(stage, reference);
  const [flops, bytes] = [flopsOf(stage.call), bytesOf(stage.call)];
  const times = Math.ceil(RUN_FLOPS / flops);
  const peaks: number[] = [];
  const cycles = await repeat(await stage.load(times), seconds, () => {
    if (peak !== undefined) peaks.push(peak());
  });
  return {
    title: micro.title,
    milliseconds: cycles.map((cycle) => cycle / times),
    flops,
    bytes,
    peaks,
    copyRate: copyRate(bytes),
  };
}

/**
 * Verifies and times every case.
 * @throws WrongResultError
 */
export async function measureMicro({ subject, seconds }: Extract<Job, { kind: 'micro' }>): Promise<MicroTime[]> {
  const backend = await loadSubject(subject);
  const reference = await loadBackend({ backend: 'reference', isa: 'float32' });
  const peak = await peakOf(backend);
  const times: MicroTime[] = [];
  for (const micro of microCases) times.push(await measure(micro, backend, reference, peak, seconds));
  return times;
}
