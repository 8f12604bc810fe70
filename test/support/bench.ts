/** Runs one case on one backend and reports every write where nothing may be written. */
import type { Backend, Executor, Heap } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { encode } from '../../src/program/encode.js';
import { type Case, isOutput, operandsOf, type Values } from './case.js';
import { describeElement, HEAP_ELEMENTS, type Layout, type LayoutKind, layOut, turnOf, writable } from './layout.js';

/** A quiet NaN with a payload: around operands it shows writes, inside it shows reads of what was there before. */
const CANARY = 0x7fc0dead;

/** A heap and an executor of a backend. One is enough for all cases: they run one after the other. */
export class Bench {
  readonly heap: Heap;
  readonly executor: Executor;

  constructor(backend: Backend) {
    this.heap = backend.createHeap();
    this.heap.grow(HEAP_ELEMENTS);
    this.executor = backend.attach(this.heap);
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
  const offsetOf = (name: string): number => offsets[name] as number;

  const program = bench.executor.load(wordsOf(testCase, offsets), HEAP_ELEMENTS);
  const { floats, ints } = bench.heap.views();
  ints.fill(CANARY, start, end);
  for (const { name, spec } of operands) {
    const values = inputs.get(name);
    if (values !== undefined) (spec.type === 'i32' ? ints : floats).set(values, offsetOf(name));
  }
  const before = ints.slice(start, end);
  await program.run();

  const after = bench.heap.views();
  const mayChange = writable(layout, operands);
  const strayWrites: string[] = [];
  for (let index = 0; index < before.length; index++) {
    if (mayChange[index] || before[index] === after.ints[start + index]) continue;
    strayWrites.push(`wrote ${describeElement(start + index, layout, operands)} (${kind})`);
  }
  const outputs = operands.filter(isOutput);
  const sliced = <V>(slice: (from: number, to: number) => V): Map<string, V> =>
    new Map(outputs.map(({ name, extent }) => [name, slice(offsetOf(name), offsetOf(name) + extent)]));
  return {
    values: sliced((from, to) => Float64Array.from(after.floats.subarray(from, to))),
    bits: sliced((from, to) => Int32Array.from(after.ints.subarray(from, to))),
    strayWrites,
  };
}

const float64 = referenceBackend({ isa: 'float64' });
const float64Heap = float64.createHeap();
float64Heap.grow(HEAP_ELEMENTS);
const float64Executor = float64.attach(float64Heap);

/** What the float64 reference makes of a case: the numbers that every backend is compared with. */
export async function reference(testCase: Case, inputs: Values): Promise<Values> {
  const operands = operandsOf(testCase);
  const { offsets, start, end } = layOut('misaligned', operands, turnOf(testCase));
  const { floats } = float64Heap.views();
  floats.fill(Number.NaN, start, end);
  for (const [name, values] of inputs) floats.set(values, offsets[name] as number);
  await float64Executor.load(wordsOf(testCase, offsets), HEAP_ELEMENTS).run();
  return new Map(
    operands.filter(isOutput).map(({ name, extent }) => {
      const from = offsets[name] as number;
      return [name, Float64Array.from(floats.subarray(from, from + extent))];
    }),
  );
}
