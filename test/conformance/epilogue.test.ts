/** What follows a product within its instruction has the bits that instructions of their own give, on every backend and in every numerics. */
import test from 'ava';
import { activations } from '../../src/program/instructions.js';
import { type Bench, type Outcome, runCase } from '../support/bench.js';
import { type Case, caseOf, inputsOf, type Values } from '../support/case.js';
import { bitDifferences } from '../support/examine.js';
import { subjects } from '../support/subjects.js';

interface Shape {
  readonly batch: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly bfloat16?: number;
}

/** Dense matrices, so that instructions of elements can follow. */
const dimsOf = ({ batch, M, N, K, bfloat16 = 0 }: Shape, activation: number) => ({
  ...{ batch, M, N, K, aBatch: M * K, aRow: K, aColumn: 1, bBatch: K * N, bRow: N, bColumn: 1, cBatch: M * N, cRow: N },
  ...{ bfloat16, activation },
});

const shapes: readonly Shape[] = [
  ...[0, 1, 255, 256, 257, 600].map((K) => ({ batch: 1, M: 5, N: 67, K })),
  { batch: 3, M: 7, N: 33, K: 19 },
  { batch: 1, M: 1, N: 150, K: 40 },
  { batch: 2, M: 150, N: 3, K: 300 },
  { batch: 1, M: 150, N: 1, K: 7 },
  { batch: 1, M: 131, N: 259, K: 64 },
  { batch: 2, M: 19, N: 70, K: 301, bfloat16: 1 },
];

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
/** Around the ends of what the functions tell apart. */
const special = [nan, inf, -inf, 0, -0, 1e-38, -1e-38, 1e-42, 5, -5, 15.9, -16.1, 90, -90, 3e38, -3e38, 0.3];

const fused = (shape: Shape, activation: number, note?: string): Case =>
  note === undefined
    ? caseOf('matmul', dimsOf(shape, activation))
    : caseOf('matmul', dimsOf(shape, activation), { note, fillings: { a: [0, 0.5], b: [0, 0.25], residual: special } });

/** The bits of an operand as numbers in a heap of float32, where they stay as they are (but for payloads of NaN). */
const floatsOf = (outcome: Outcome, name: string): Float64Array => outcome.values.get(name) as Float64Array;

const run = (bench: Bench, testCase: Case, inputs: Values): Promise<Outcome> =>
  runCase(bench, testCase, inputs, 'misaligned');

/** matmul, add and a function, one after the other. */
async function separately(bench: Bench, whole: Case, inputs: Values): Promise<Record<string, Float64Array>> {
  const { batch = 0, M = 0, N = 0, activation = 0 } = whole.dims;
  const dims = { n: batch * M * N };
  const product = { ...whole, dims: { ...whole.dims, activation: 0 }, absent: ['residual', 'preActivation'] };
  const a = floatsOf(await run(bench, product, inputs), 'c');
  const b = inputs.get('residual') as Float64Array;
  const preActivation = floatsOf(await run(bench, caseOf('add', dims), new Map(Object.entries({ a, b }))), 'y');
  const name = activations[activation] ?? 'none';
  if (name === 'none') return { preActivation, c: preActivation };
  const c = floatsOf(await run(bench, caseOf(name, dims), new Map([['x', preActivation]])), 'y');
  return { preActivation, c };
}

const bitsOf = (values: Float64Array): Int32Array => new Int32Array(Float32Array.from(values).buffer);

async function differences(bench: Bench, whole: Case): Promise<string[]> {
  const inputs = inputsOf(whole);
  const together = await run(bench, whole, inputs);
  const apart = Object.entries(await separately(bench, whole, inputs));
  const bits = new Map(apart.map(([name, values]) => [name, bitsOf(values)]));
  return bitDifferences(whole, together, { ...together, bits }).map((words) => `${whole.title}: ${words}`);
}

const cases: readonly Case[] = activations.flatMap((_, activation) =>
  shapes.flatMap((shape) => [fused(shape, activation), fused(shape, activation, 'special values')]),
);

for (const { title, bench } of subjects) {
  test.serial(`${title}: a product with what follows = matmul, add, ${activations.slice(1).join(' | ')}`, async (t) => {
    for (const whole of cases) t.deepEqual((await differences(bench, whole)).slice(0, 5), []);
  });
}

test('planted fault: another function, or a residual added before the bias, has other bits', async (t) => {
  const { bench } = subjects.at(-1)!;
  const whole = fused({ batch: 1, M: 9, N: 40, K: 30 }, 2);
  const inputs = inputsOf(whole);
  const together = await run(bench, whole, inputs);
  const other = await run(bench, { ...whole, dims: { ...whole.dims, activation: 3 } }, inputs);
  t.true(bitDifferences(whole, together, other).length > 100);
  const bias = [...(inputs.get('bias') ?? [])];
  const residual = (inputs.get('residual') ?? new Float64Array()).map((x, i) =>
    Math.fround(x + (bias[i % 40] as number)),
  );
  const early = await run(bench, whole, new Map([...inputs, ['residual', residual], ['bias', new Float64Array(40)]]));
  t.true(bitDifferences(whole, together, early).length > 20);
});
