/** Runs one case on one backend and reports every write where nothing may be written. */
import type { Backend, Executor, Result } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { encode } from '../../src/program/encode.js';
import { type Case, isOutput, operandsOf, type Values } from './case.js';
import { describeElement, HEAP_ELEMENTS, type Layout, type LayoutKind, layOut, turnOf, writable } from './layout.js';

/** A quiet NaN with a payload: around operands it shows writes, inside it shows reads of what was there before. */
const CANARY = 0x7fc0dead;

/** An executor of a backend with memory for the suites. One is enough for all cases: they run one after the other. */
export class Bench {
  readonly executor: Executor;
  readonly ready: Promise<void>;

  constructor(backend: Backend) {
    this.executor = backend.createExecutor();
    this.ready = this.executor.grow(HEAP_ELEMENTS);
  }
}

export interface Outcome {
  /** The outputs as numbers, by operand. */
  readonly values: Values;
  /** The same as bit patterns. */
  readonly bits: ReadonlyMap<string, Int32Array>;
  /** Writes outside the operands, in words. */
  readonly strayWrites: readonly string[];
}

const wordsOf = ({ instruction, dims, scalars }: Case, offsets: Layout['offsets']): Int32Array =>
  encode([{ instruction, operands: offsets, dims, scalars }]);

export async function runCase(bench: Bench, testCase: Case, inputs: Values, kind: LayoutKind): Promise<Outcome> {
  const operands = operandsOf(testCase);
  const layout = layOut(kind, operands, turnOf(testCase));
  const { start, end, offsets } = layout;
  const placeOf = (name: string): number => (offsets[name] as number) - start;

  const before = new Int32Array(end - start).fill(CANARY);
  const floats = new Float32Array(before.buffer);
  for (const { name, spec } of operands) {
    const values = inputs.get(name);
    if (values !== undefined) (spec.type === 'i32' ? before : floats).set(values, placeOf(name));
  }
  const { executor, ready } = bench;
  await ready;
  const program = await executor.load(wordsOf(testCase, offsets), HEAP_ELEMENTS);
  await executor.write(start, 'i32', before);
  await program.run();
  const after = (await executor.read(start, 'i32', end - start)) as Int32Array;

  const mayChange = writable(layout, operands);
  const strayWrites: string[] = [];
  for (let index = 0; index < before.length; index++) {
    if (mayChange[index] || before[index] === after[index]) continue;
    strayWrites.push(`wrote ${describeElement(start + index, layout, operands)} (${kind})`);
  }
  const bits = new Map(
    operands
      .filter(isOutput)
      .map(({ name, extent }) => [name, after.slice(placeOf(name), placeOf(name) + extent)] as const),
  );
  const isInt = new Set(operands.filter(({ spec }) => spec.type === 'i32').map(({ name }) => name));
  const values = [...bits].map(
    ([name, its]) => [name, Float64Array.from(isInt.has(name) ? its : new Float32Array(its.buffer))] as const,
  );
  return { values: new Map(values), bits, strayWrites };
}

const float64 = new Bench(referenceBackend({ isa: 'float64' }));

/** What the float64 reference makes of a case: the numbers that every backend is compared with. */
export async function reference(testCase: Case, inputs: Values): Promise<Values> {
  const operands = operandsOf(testCase);
  const { offsets, start, end } = layOut('misaligned', operands, turnOf(testCase));
  const before = new Float64Array(end - start).fill(Number.NaN);
  for (const [name, values] of inputs) before.set(values, (offsets[name] as number) - start);
  const { executor, ready } = float64;
  // Cases may be asked for at the same time: all of it is sent down at once, so that nothing comes in between.
  const [, program] = await Promise.all([ready, executor.load(wordsOf(testCase, offsets), HEAP_ELEMENTS)]);
  const [, , after] = await Promise.all([
    executor.write(start, 'f32', before),
    program.run(),
    executor.read(start, 'f32', end - start) as Promise<Result>,
  ]);
  return new Map(
    operands.filter(isOutput).map(({ name, extent }) => {
      const from = (offsets[name] as number) - start;
      return [name, Float64Array.from(after.subarray(from, from + extent))];
    }),
  );
}
