/** The same bits from every number of lanes, for calls large enough to be shared out. conform.ts asks the same of the small ones. */
import test from 'ava';
import { instructionNames } from '../../src/program/instructions.js';
import { scalarSlots } from '../../src/program/scalars.js';
import { attentionCases } from '../support/attention.js';
import { type Case, caseOf, type Filling } from '../support/case.js';
import { laneCounts, laneDifferences, twins } from './same-bits.js';

const n = 70_001;

type Four = readonly [number, number, number, number];
const box = (sizes: Four, x: Four, y: Four) => ({
  ...{ n0: sizes[0], n1: sizes[1], n2: sizes[2], n3: sizes[3] },
  ...{ x0: x[0], x1: x[1], x2: x[2], x3: x[3] },
  ...{ y0: y[0], y1: y[1], y2: y[2], y3: y[3] },
});
const boxes: readonly (readonly [note: string, dims: ReturnType<typeof box>])[] = [
  ['a long row', box([1, 1, 1, n], [0, 0, 0, 1], [0, 0, 0, 1])],
  ['rows', box([3, 5, 700, 9], [31_500, 6300, 9, 1], [31_500, 6300, 9, 1])],
  ['transposed', box([1, 2, 190, 201], [0, 38_190, 1, 190], [0, 38_190, 201, 1])],
  ['transposed into', box([1, 2, 190, 201], [0, 38_190, 201, 1], [0, 38_190, 1, 190])],
  ['two long rows, every second element', box([1, 1, 2, 20_000], [0, 0, 40_000, 2], [0, 0, 60_000, 3])],
  ['over an axis', box([7, 1, 50, 130], [6500, 0, 130, 1], [0, 0, 130, 1])],
  ['over the last axis', box([1, 1, 30, 1500], [0, 0, 1500, 1], [0, 0, 1, 0])],
];

const product = (batch: number, M: number, N: number, K: number, bfloat16 = 0) => ({
  ...{ batch, M, N, K, aBatch: M * K, aRow: K, aColumn: 1, bBatch: K * N, bRow: N, bColumn: 1, cBatch: M * N, cRow: N },
  bfloat16,
});
const products = [
  product(1, 200, 330, 520),
  product(1, 1, 1100, 300),
  product(1, 700, 1, 300),
  product(5, 70, 50, 90),
  product(40, 33, 17, 300),
  { ...product(1, 130, 70, 257), aRow: 1, aColumn: 130, bRow: 1, bColumn: 257 },
  product(3, 40, 60, 0),
  product(1, 200, 330, 519, 1),
  product(5, 70, 50, 91, 1),
];

const weightHh: Filling = (random) => random.value() / 8;
const gates: Filling = (random) => random.uniform();
const lengthsOf = (T: number): number[] => [T, 1, 0, T - 1, 2];
const layers: readonly (readonly [T: number, B: number, H: number])[] = [
  [5, 32, 130],
  [4, 37, 64],
  [6, 1, 160],
  [5, 2, 131],
  [4, 3, 144],
  [3, 5, 100],
  [3, 9, 200],
  [0, 1, 160],
];
/** Some rows of some steps start anew. */
const resets: Filling = (random) => (random.uniform() < 0.2 ? 1 : 0);
const recurrent = { weightHh, weightHr: weightHh, gates, tanhCell: gates, resets };

type Recurrence = 'lstm' | 'gru' | 'rnn' | 'projectedLstm';
/** A layer forward and backward: whole, in rows of several lengths, and with rows that start anew; `others` are dims beside T, B, H. */
const layersOf = (kind: Recurrence, others: Readonly<Record<string, number>> = {}): Case[] =>
  (['Forward', 'Backward'] as const).flatMap((direction) =>
    layers.flatMap(([T, B, H]) =>
      [0, 1].flatMap((reverse) => {
        const instruction = `${kind}${direction}` as 'lstmForward';
        const dims = { T, B, H, reverse, ...others };
        const lengths = lengthsOf(T);
        return [
          caseOf(instruction, dims, { fillings: recurrent, absent: ['lengths', 'resets'] }),
          caseOf(instruction, dims, { fillings: { ...recurrent, lengths }, absent: ['resets'], note: 'lengths' }),
          caseOf(instruction, dims, { fillings: recurrent, absent: ['lengths'], note: 'resets' }),
        ];
      }),
    ),
  );

/** Many heads; one long one; one of long rows; with a mask, causal, and with dropout. */
const attentions = (
  await Promise.all([
    attentionCases({ B: 4, T: 70, NH: 3, HS: 20, causal: 0 }, { fillings: { mask: (_, j) => Number(j % 70 < 65) } }),
    attentionCases({ B: 1, T: 200, NH: 1, HS: 33, causal: 1 }, { absent: ['mask'] }),
    attentionCases({ B: 1, T: 70, NH: 2, HS: 256, causal: 0 }, { absent: ['mask'] }),
    attentionCases({ B: 2, T: 130, NH: 2, HS: 16, causal: 0 }, { absent: ['mask'], rate: 0.3 }),
  ])
).flatMap(({ attention, attentionBackward }) => [attention, attentionBackward]);

const P = 50_000;
/** Rows of offset, length, group, frozen: long, short, frozen, skipped, and two of the same elements. */
const segments = [
  ...[0, 20_000, 0, 0, 20_000, 3, 1, 0, 20_003, 9997, 0, 1, 30_000, 15_000, 1, 0, 45_000, 6000, 0, 0],
  ...[35_000, 10_000, 0, 0],
];
const scalars = scalarSlots.map((slot) => (slot === 'epsilon' ? 1e-8 : 0.01 * slot.length));
const arena = { segments, groups: [1, 0.01, 0.5, 0], scalars, clipFactor: [0.7], finite: [1] };
const positive: Filling = (random) => random.uniform();

const ids: Filling = (random) => random.integer(-1, 51);
const random = [5, 6, 7];

const cases: readonly Case[] = [
  caseOf('fill', { n }, { scalars: { value: 1.5 } }),
  ...boxes.flatMap(([note, dims]) => [caseOf('copy', dims, { note }), caseOf('copyAdd', dims, { note })]),
  caseOf('copyIf', { n }, { fillings: { flag: [1] } }),
  ...(
    ['add', 'mul', 'scaleBy', 'sigmoid', 'sigmoidBackward', 'tanh', 'tanhBackward', 'relu', 'reluBackward'] as const
  ).map((instruction) => caseOf(instruction, { n })),
  ...(['gelu', 'geluBackward', 'geluTanh', 'geluTanhBackward'] as const).map((instruction) =>
    caseOf(instruction, { n }),
  ),
  caseOf('scale', { n }, { scalars: { factor: 1.7 } }),
  ...products.flatMap((dims) => [0, 1, 2, 3].map((activation) => caseOf('matmul', { ...dims, activation }))),
  ...products.map((dims) => caseOf('matmulAdd', dims)),
  caseOf('matmulAdd', { ...product(6, 90, 80, 70), cBatch: 0 }, { note: 'all matrices onto one' }),
  ...(['columnSum', 'columnSumAdd'] as const).flatMap((instruction) => [
    caseOf(instruction, { R: 3000, C: 70 }),
    caseOf(instruction, { R: 130, C: 1030 }),
  ]),
  caseOf('sum', { n: 200_003 }),
  caseOf('squaredNorm', { n: 200_003 }),
  caseOf('embedding', { N: 3000, V: 50, C: 70 }, { fillings: { ids } }),
  caseOf('embeddingBackward', { N: 3000, V: 50, C: 70 }, { fillings: { ids } }),
  caseOf('maskSteps', { T: 40, B: 7, C: 300 }, { fillings: { lengths: [40, 3, 0, 39] } }),
  ...layersOf('lstm'),
  ...layersOf('gru'),
  ...[0, 1].flatMap((relu) => layersOf('rnn', { relu })),
  ...[24, 70].flatMap((P) => layersOf('projectedLstm', { P })),
  ...[0, 0.1].map((smoothing) =>
    caseOf(
      'softmaxCrossEntropy',
      { N: 900, V: 70 },
      {
        scalars: { smoothing },
        fillings: { labels: (source) => source.integer(-1, 69) },
        note: `smoothing ${smoothing}`,
      },
    ),
  ),
  ...[
    [3000, 70],
    [130, 1030],
  ].flatMap(([R = 0, C = 0]) => [
    caseOf('layerNorm', { R, C }, { scalars: { epsilon: 1e-5 } }),
    caseOf('layerNormBackward', { R, C }),
  ]),
  ...attentions,
  caseOf('div', { n }),
  caseOf('sqrt', { n }, { fillings: { x: positive } }),
  caseOf('liveSteps', { T: 40, B: 7 }, { fillings: { lengths: [40, 3, 0, 39] } }),
  caseOf('selectRows', { R: 900, C: 300 }, { fillings: { flags: [1, 0, 0, -1] } }),
  caseOf('selectRows', { R: 900, C: 300 }, { fillings: { flags: [1, 0, 0, -1] }, absent: ['a'] }),
  ...(['maxSteps', 'maxStepsBackward'] as const).flatMap((instruction) => [
    caseOf(
      instruction,
      { T: 40, B: 7, C: 300 },
      { fillings: { lengths: [40, 3, 0, 39], x: (source) => source.integer(0, 5) } },
    ),
    caseOf(instruction, { T: 40, B: 7, C: 300 }, { absent: ['lengths'] }),
  ]),
  caseOf('dropout', { n, stream: 3 }, { scalars: { rate: 0.3, keepScale: 1.4 }, fillings: { random } }),
  caseOf('philoxUniform', { n, stream: 3 }, { scalars: { low: -1, range: 2 }, fillings: { random } }),
  caseOf('philoxNormal', { n, stream: 3 }, { scalars: { mean: 0, deviation: 2 }, fillings: { random } }),
  caseOf('clipByNorm', {}, { fillings: { squaredNorm: [4], maxNorm: [1] } }),
  caseOf('sgd', { P, S: 6, G: 2 }, { fillings: arena }),
  caseOf('adamw', { P, S: 6, G: 2 }, { fillings: { ...arena, secondMoment: positive } }),
];

for (const build of twins) {
  for (const instruction of instructionNames) {
    const its = cases.filter((testCase) => testCase.instruction === instruction);
    test.serial(
      `${instruction}: ${build}.shared on ${laneCounts.join(', ')} lanes = ${build}, bit for bit`,
      async (t) => {
        t.not(its.length, 0, 'an instruction without a case');
        t.deepEqual(await laneDifferences(build, its), []);
      },
    );
  }
}
if (!twins.includes('relaxed'))
  test.skip('relaxed.shared = relaxed, bit for bit (skipped: this engine has no relaxed SIMD)', () => {});
