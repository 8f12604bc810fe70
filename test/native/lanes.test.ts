/** The bits of a result are the same on any number of threads: every instruction, large enough for many tickets. */
import test from 'ava';
import { RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import { extent } from '../../src/program/check.js';
import { encode } from '../../src/program/encode.js';
import { type InstructionName, instructionNames, specOf } from '../../src/program/instructions.js';
import { scalarSlots } from '../../src/program/scalars.js';
import { type Addon, absence, loadAddon } from './addon.js';

const ELEMENTS = 2 ** 20;

type Dims = Readonly<Record<string, number>>;

/** c [M, N] = op(a) · op(b) */
function product(M: number, N: number, K: number, a: 'N' | 'T', b: 'N' | 'T', bfloat16 = 0): Dims {
  const [aRow, aColumn] = a === 'N' ? [K, 1] : [1, M];
  const [bRow, bColumn] = b === 'N' ? [N, 1] : [1, K];
  const [aBatch, bBatch, cBatch] = [0, K * N, M * N];
  return { batch: 2, M, N, K, aBatch, aRow, aColumn, bBatch, bRow, bColumn, cBatch, cRow: N, bfloat16 };
}

const box = { n0: 3, n1: 2, n2: 90, n3: 70, x0: 12600, x1: 6300, x2: 70, x3: 1, y0: 12600, y1: 6300, y2: 70, y3: 1 };
const boxes: readonly Dims[] = [
  box,
  { ...box, x2: 1, x3: 90 }, // transposed
  { n0: 1, n1: 1, n2: 1, n3: 50_001, x0: 0, x1: 0, x2: 0, x3: 1, y0: 0, y1: 0, y2: 0, y3: 1 },
  { n0: 1, n1: 1, n2: 5, n3: 9001, x0: 0, x1: 0, x2: 9001, x3: 1, y0: 0, y1: 0, y2: 9005, y3: 1 },
  { n0: 200, n1: 100, n2: 2, n3: 1, x0: 200, x1: 2, x2: 1, x3: 1, y0: 200, y1: 2, y2: 1, y3: 1 },
];
const sums: readonly Dims[] = [...boxes, { ...box, y1: 0 }, { ...box, y3: 0 }]; // over an axis: in order
const products = [
  product(61, 130, 300, 'N', 'N'),
  product(200, 96, 257, 'T', 'N'),
  product(300, 96, 257, 'T', 'N'),
  product(130, 190, 64, 'N', 'T'),
  product(3, 700, 120, 'N', 'N'),
  product(61, 130, 301, 'N', 'T', 1),
  product(200, 96, 257, 'T', 'N', 1),
];
const recurrent: readonly Dims[] = [
  { T: 5, B: 8, H: 64, reverse: 0 },
  { T: 4, B: 32, H: 128, reverse: 1 },
  { T: 3, B: 13, H: 100, reverse: 0 },
  { T: 3, B: 7, H: 230, reverse: 1 },
  { T: 3, B: 1, H: 256, reverse: 0 },
];
const projected = recurrent.map((dims) => ({ ...dims, P: 37 }));
const relu = recurrent.flatMap((dims) => [0, 1].map((relu) => ({ ...dims, relu })));

/** Sizes for the instructions that are not elementwise; others take an `n` of 50,001. */
const sizes: Partial<Record<InstructionName, readonly Dims[]>> = {
  copy: boxes,
  copyAdd: sums,
  matmul: products.flatMap((dims) => [0, 1, 2, 3].map((activation) => ({ ...dims, activation }))),
  matmulAdd: products,
  lstmForward: recurrent,
  lstmBackward: recurrent,
  gruForward: recurrent,
  gruBackward: recurrent,
  rnnForward: relu,
  rnnBackward: relu,
  projectedLstmForward: projected,
  projectedLstmBackward: projected,
};
/** Of the optimizer's parameters. */
const P = 70_001;
const sizeOf: Dims = { ...{ n: 50_001, stream: 3, R: 333, C: 777, N: 700, V: 96, T: 20, B: 16 }, P, S: 4, G: 2 };

const dimsOf = (instruction: InstructionName): readonly Dims[] =>
  sizes[instruction] ?? [Object.fromEntries(specOf(instruction).dims.map((dim) => [dim, sizeOf[dim] ?? 2]))];

const segments = [0, 20_000, 0, 0, 20_000, 30_001, 1, 0, 50_001, 7, 0, 1, 50_008, 19_993, 1, 0];

/** What an operand holds before: anything, or what the instruction needs to do its work. */
function initial(name: string, index: number, random: number): number {
  if (name === 'segments') return segments[index] as number;
  if (name === 'scalars') return ['epsilon', 'correction2'].includes(scalarSlots[index] as string) ? 0.5 : 0.1;
  if (name === 'labels' || name === 'ids') return Math.floor((random + 0.5) * 96);
  if (name === 'lengths') return 1 + (index % 20);
  if (name === 'secondMoment' || name === 'squaredNorm' || name === 'denominator') return random + 0.75;
  if (name === 'finite' || name === 'flag') return 1;
  return random;
}

const scramble = (index: number): number => (Math.imul(index + 1, 0x9e3779b1) >>> 8) / 2 ** 24 - 0.5;

/** A heap with the operands of a call, and the call. */
function stage(instruction: InstructionName, dims: Dims): { heap: Uint8Array; words: Int32Array } {
  const heap = new Uint8Array(ELEMENTS * 4);
  const [floats, ints] = [new Float32Array(heap.buffer), new Int32Array(heap.buffer)];
  const operands: Record<string, number> = {};
  let at = RESERVED_ELEMENTS;
  for (const [name, spec] of Object.entries(specOf(instruction).operands)) {
    const elements = extent(spec, dims);
    operands[name] = at;
    const view = spec.type === 'i32' ? ints : floats;
    for (let i = 0; i < elements; i++) view[at + i] = initial(name, i, scramble(at + i));
    at += Math.ceil(elements / 16) * 16 + 16;
  }
  const scalars = Object.fromEntries((specOf(instruction).scalars ?? []).map((name) => [name, 0.25]));
  return { heap, words: encode([{ instruction, operands, dims, scalars }]) };
}

type Threads = ReadonlyMap<number, InstanceType<Addon['Thread']>>;

async function bitsOn(addon: Addon, threads: Threads, count: number, words: Int32Array, heap: Uint8Array, isa: string) {
  const program = new addon.Program(words, isa, 'fast');
  const fault = program.check(ELEMENTS);
  if (fault !== null) throw new Error(`Expected a program without faults but found ${JSON.stringify(fault)}`);
  const copy = heap.slice();
  await threads.get(count)!.run(program, copy, ELEMENTS, 0, 1, null);
  return Buffer.from(copy.buffer);
}

if (absence === undefined) {
  const addon = loadAddon();
  const threads: Threads = new Map([1, 2, 3, 8].map((count) => [count, new addon.Thread(count)]));
  const isas = addon.candidates().filter(({ usable }) => usable);

  for (const instruction of instructionNames) {
    test(`${instruction}: the same bits on 1, 2, 3 and 8 threads`, async (t) => {
      for (const dims of dimsOf(instruction)) {
        const { heap, words } = stage(instruction, dims);
        for (const { isa } of isas) {
          const alone = await bitsOn(addon, threads, 1, words, heap, isa);
          t.false(alone.equals(heap), 'it does something');
          for (const count of [2, 3, 8, 8]) {
            const together = await bitsOn(addon, threads, count, words, heap, isa);
            t.true(together.equals(alone), `${isa}, ${count} threads, ${JSON.stringify(dims)}`);
          }
        }
      }
    });
  }

  test('planted fault: a sum in another order gives other bits', async (t) => {
    const { heap, words } = stage('squaredNorm', { n: 50_001 });
    const alone = await bitsOn(addon, threads, 1, words, heap, isas[0]!.isa);
    const floats = new Float32Array(heap.buffer);
    floats.subarray(RESERVED_ELEMENTS, RESERVED_ELEMENTS + 50_001).reverse();
    const y = RESERVED_ELEMENTS + Math.ceil(50_001 / 16) * 16 + 16;
    const backwards = await bitsOn(addon, threads, 1, words, heap, isas[0]!.isa);
    t.not(backwards.readInt32LE(4 * y), alone.readInt32LE(4 * y));
    t.true(Math.abs(backwards.readFloatLE(4 * y) / alone.readFloatLE(4 * y) - 1) < 1e-5);
  });
} else {
  test.skip(`the same bits on any number of threads (skipped: ${absence})`, () => {});
}
