/** Single instructions: square matrix products, and what the larger training step is made of. */
import type { Scene } from '../src/bench/stage.js';
import type { DimName, InstructionName } from '../src/program/instructions.js';
import { scalarSlots } from '../src/program/scalars.js';

/** What an operand holds before: a value for every element. `random` is between −0.5 and 0.5. */
type Filling = (index: number, random: number) => number;

export interface MicroCase extends Scene {
  readonly title: string;
  readonly fillings: Readonly<Record<string, Filling>>;
}

function microCase<I extends InstructionName>(
  title: string,
  instruction: I,
  dims: Readonly<Record<DimName<I>, number>>,
  { scalars = {}, absent = [], fillings = {} }: Partial<Pick<MicroCase, 'scalars' | 'absent' | 'fillings'>> = {},
): MicroCase {
  return { title: `${instruction} ${title}`, instruction, dims, scalars, absent, fillings };
}

/** c [M, N] = op(a) · op(b), `N` as it lies in memory and `T` transposed. */
function product(M: number, N: number, K: number, a: 'N' | 'T' = 'N', b: 'N' | 'T' = 'N'): MicroCase {
  const [aRow, aColumn] = a === 'N' ? [K, 1] : [1, M];
  const [bRow, bColumn] = b === 'N' ? [N, 1] : [1, K];
  const batches = { batch: 1, aBatch: 0, bBatch: 0, cBatch: 0, bfloat16: 0 };
  const strides = { aRow, aColumn, bRow, bColumn, cRow: N };
  const dims = { ...batches, M, N, K, ...strides, activation: 0 };
  return microCase(`${M}×${N}×${K} ${a}${b}`, 'matmul', dims, { absent: ['bias', 'residual', 'preActivation'] });
}

const lstm = { T: 64, B: 32, H: 128, reverse: 0 };
/** As small as a new model's: larger ones make the recurrence chaotic, and no two orders of a sum agree. */
const weightHh: Filling = (_, random) => random / 6;
const P = 150_000;
const optimizerScalars: Partial<Record<(typeof scalarSlots)[number], number>> = {
  ...{ learningRate: 1e-3, beta1: 0.9, beta2: 0.999, oneMinusBeta1: 0.1, oneMinusBeta2: 0.001 },
  ...{ epsilon: 1e-8, correction1: 2, correction2: 2 },
};

/** Attention of heads of 64 elements, forward and backward, with what only inspection asks for left out. */
function attention(B: number, T: number, NH: number): MicroCase[] {
  const title = `B${B} T${T} NH${NH} HS64`;
  const dims = { B, T, NH, HS: 64, causal: 0, stream: 0 };
  const scalars = { rate: 0, keepScale: 1 };
  const unused = ['mask', 'random'];
  return [
    microCase(title, 'attention', dims, { scalars, absent: [...unused, 'scores', 'probabilities'] }),
    microCase(title, 'attentionBackward', dims, {
      scalars,
      absent: [...unused, 'dProbabilities', 'dScores'],
      fillings: { logSumExp: () => Math.log(T) },
    }),
  ];
}

export const microCases: readonly MicroCase[] = [
  ...[64, 128, 256, 512].map((size) => product(size, size, size)),
  product(2048, 512, 128, 'N', 'T'),
  product(512, 128, 2048, 'T', 'N'),
  microCase('H128 B32 T64', 'lstmForward', lstm, { absent: ['lengths', 'resets'], fillings: { weightHh } }),
  microCase('H128 B32 T64', 'lstmBackward', lstm, {
    absent: ['lengths', 'resets', 'dHLast', 'dCLast', 'dHiddenTotal', 'dCellTotal', 'dGateValues'],
    fillings: { weightHh },
  }),
  microCase(
    '2048×96',
    'softmaxCrossEntropy',
    { N: 2048, V: 96 },
    {
      scalars: { smoothing: 0 },
      fillings: { labels: (index) => index % 96, denominator: () => 2048 },
    },
  ),
  ...attention(8, 128, 2),
  ...attention(1, 512, 2),
  microCase('1024×128', 'layerNorm', { R: 1024, C: 128 }, { scalars: { epsilon: 1e-12 } }),
  microCase('1024×128', 'layerNormBackward', { R: 1024, C: 128 }),
  microCase('512k', 'gelu', { n: 2 ** 19 }),
  microCase('512k', 'geluBackward', { n: 2 ** 19 }),
  microCase(
    '150k parameters',
    'adamw',
    { P, S: 1, G: 1 },
    {
      fillings: {
        segments: (index) => [0, P, 0, 0][index] as number,
        groups: (index) => [1, 0.01][index] as number,
        scalars: (index) => optimizerScalars[scalarSlots[index] as (typeof scalarSlots)[number]] ?? 0,
        secondMoment: (index) => 1e-4 * (1 + (index % 7)),
        clipFactor: () => 1,
        finite: () => 1,
      },
    },
  ),
];
