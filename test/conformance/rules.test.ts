/** What instructions promise about special values, stated in numbers instead of by comparison, for every backend. */
import test from 'ava';
import { RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import { encode } from '../../src/program/encode.js';
import { scalarSlots } from '../../src/program/scalars.js';
import { runCase } from '../support/bench.js';
import { type Case, caseOf, inputsOf } from '../support/case.js';
import { HEAP_ELEMENTS } from '../support/layout.js';
import { type Subject, subjects } from '../support/subjects.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

type Outputs = (operand: string) => number[];

async function run({ bench }: Subject, testCase: Case): Promise<Outputs> {
  const { values } = await runCase(bench, testCase, inputsOf(testCase), 'misaligned');
  return (operand) => [...(values.get(operand) ?? [])];
}

/** exp of what is far below 0 may be 0 or a value next to the smallest normal number. */
const rounded = (value: number): number => (Math.abs(value) < 2 ** -125 ? 0 : value);

/** Registers a rule: the case and what its outputs must be, on every backend. The sign of a zero is not looked at. */
function rule(title: string, testCase: Case, expected: Readonly<Record<string, readonly number[]>>): void {
  test.serial(title, async (t) => {
    for (const subject of subjects) {
      const outputs = await run(subject, testCase);
      for (const [operand, values] of Object.entries(expected))
        t.deepEqual(outputs(operand).map(rounded), [...values], subject.title);
    }
  });
}

rule(
  'sigmoid saturates at 0 and 1, NaN stays NaN',
  caseOf('sigmoid', { n: 6 }, { fillings: { x: [-inf, inf, nan, 0, 100, -1e30] } }),
  {
    y: [0, 1, nan, 0.5, 1, 0],
  },
);
rule(
  'tanh saturates at −1 and 1, NaN stays NaN',
  caseOf('tanh', { n: 6 }, { fillings: { x: [-inf, inf, nan, 0, 50, -1e30] } }),
  {
    y: [-1, 1, nan, 0, 1, -1],
  },
);
rule('relu of NaN is NaN', caseOf('relu', { n: 5 }, { fillings: { x: [nan, -inf, inf, 2, -2] } }), {
  y: [nan, 0, inf, 2, 0],
});
rule(
  'reluBackward is 0 at 0 and below',
  caseOf('reluBackward', { n: 4 }, { fillings: { y: [0, -0, -1, 1], dy: [7] } }),
  { dx: [0, 0, 0, 7] },
);

const square = {
  batch: 1,
  M: 3,
  N: 3,
  K: 3,
  aBatch: 9,
  aRow: 3,
  aColumn: 1,
  bBatch: 9,
  bRow: 3,
  bColumn: 1,
  cBatch: 9,
  cRow: 3,
  bfloat16: 0,
  activation: 0,
};
/** Optional operands of a product that only multiplies. */
const alone = ['bias', 'residual', 'preActivation'] as const;

rule(
  'matmul: NaN in a row of a stays in that row, 0 · Infinity is NaN',
  caseOf('matmul', square, {
    absent: alone,
    fillings: { a: [1, 0, 0, 0, nan, 0, 1, 1, 1], b: [1, 2, 3, 4, 5, 6, 7, 8, 9] },
  }),
  { c: [1, 2, 3, nan, nan, nan, 12, 15, 18] },
);
rule(
  'matmul: Infinity in a column of b stays in that column',
  caseOf('matmul', square, {
    absent: alone,
    fillings: { a: [1, 1, 1, 0, 1, 0, 1, 0, 0], b: [1, inf, 1, 1, 1, 1, 1, 1, 1] },
  }),
  { c: [3, inf, 3, 1, nan, 1, 1, inf, 1] },
);

const half = 2 ** -8;
rule(
  'matmul in bfloat16 rounds both factors to the nearest, ties to even, beyond the largest to Infinity',
  caseOf(
    'matmul',
    { ...square, M: 6, N: 2, K: 1, aRow: 1, bRow: 2, cRow: 2, bfloat16: 1 },
    {
      absent: alone,
      fillings: {
        a: [1 + half, 1 + 3 * half, -1 - half - 2 ** -23, 2 ** 127 * (2 - half), 2 ** 127 * (2 - half - 2 ** -23), nan],
        b: [1, 1 - half / 2 - 2 ** -24],
      },
    },
  ),
  {
    c: [
      ...[1, 1 - half, 1 + 4 * half, (1 + 4 * half) * (1 - half), -1 - 2 * half, (-1 - 2 * half) * (1 - half)],
      ...[inf, inf, 2 ** 127 * (2 - 2 * half), 2 ** 127 * (2 - 2 * half) * (1 - half), nan, nan],
    ],
  },
);

/** By their bits: a number of JavaScript's has no payload. */
const nans = [0x7fffffff, 0xffffffff, 0x7f800001, 0x7fffff80, 0x7fc00000, 0xff80ffff];
test.serial('matmul in bfloat16: NaN stays NaN, whatever its payload', async (t) => {
  const dims = { ...square, M: nans.length, N: 1, K: 1, aRow: 1, bfloat16: 1 };
  for (const { title, bench } of subjects) {
    const [a, b, c] = [
      RESERVED_ELEMENTS,
      RESERVED_ELEMENTS + nans.length,
      RESERVED_ELEMENTS + nans.length + 1,
    ] as const;
    await bench.ready;
    await bench.executor.write(a, 'i32', Int32Array.from(nans));
    await bench.executor.write(b, 'f32', [1]);
    const call = { instruction: 'matmul', operands: { a, b, c }, dims, scalars: {} } as const;
    const program = await bench.executor.load(encode([call]), HEAP_ELEMENTS);
    await program.run();
    t.true([...(await bench.executor.read(c, 'f32', nans.length))].every(Number.isNaN), title);
  }
});

rule(
  'an id outside the table gives a row of NaN',
  caseOf('embedding', { N: 4, V: 2, C: 2 }, { fillings: { table: [1, 2, 3, 4], ids: [1, 2, -1, 0] } }),
  { y: [3, 4, nan, nan, nan, nan, 1, 2] },
);
rule(
  'an id outside the table adds no gradient',
  caseOf(
    'embeddingBackward',
    { N: 4, V: 2, C: 1 },
    { fillings: { ids: [1, 2, -1, 1], dy: [1, 10, 100, 1000], dTable: [5] } },
  ),
  { dTable: [5, 1006] },
);

for (const instruction of ['gelu', 'geluTanh'] as const) {
  rule(
    `${instruction} is 0 far below 0, x far above; NaN stays NaN`,
    caseOf(instruction, { n: 7 }, { fillings: { x: [-inf, inf, nan, 0, 100, -100, -3e38] } }),
    { y: [0, inf, nan, 0, 100, 0, 0] },
  );
  rule(
    `${instruction}Backward is 0 far below 0, 1 far above, and a half at 0`,
    caseOf(`${instruction}Backward`, { n: 6 }, { fillings: { x: [-inf, inf, nan, 0, 100, -3e38], dy: [2] } }),
    { dx: [0, 2, nan, 1, 2, 0] },
  );
}

rule(
  'layerNorm of equal numbers is the bias',
  caseOf(
    'layerNorm',
    { R: 2, C: 4 },
    { scalars: { epsilon: 1e-5 }, fillings: { x: [5, 5, 5, 5, -3, -3, -3, -3], bias: [1, 2, 3, 4] } },
  ),
  { y: [1, 2, 3, 4, 1, 2, 3, 4], mean: [5, -3] },
);

const oneHead = { B: 2, T: 2, NH: 1, HS: 1, causal: 0, stream: 0 };
const noDropout = { rate: 0, keepScale: 1 };
/** Rows of q, k, v: a row of the batch of which the second key is masked, and one without any key. */
const pairs = { qkv: [1, 2, 3, 4, nan, inf, 1, 2, 3, 4, 5, 6], mask: [1, 0, 0, 0] };

rule(
  'attention: a masked key changes nothing, whatever it holds; a query that sees no key gives 0',
  caseOf('attention', oneHead, { scalars: noDropout, absent: ['random', 'scores'], fillings: pairs }),
  { y: [3, 3, 0, 0], logSumExp: [2, 8, inf, inf], probabilities: [1, 0, 1, 0, 0, 0, 0, 0] },
);
rule(
  'attentionBackward: one visible key gives its query no gradient; a query that sees no key gets and gives none',
  caseOf('attentionBackward', oneHead, {
    scalars: noDropout,
    absent: ['random', 'dProbabilities'],
    fillings: { ...pairs, y: [3, 3, 0, 0], dy: [1, 2, 3, 4], logSumExp: [2, 8, inf, inf] },
  }),
  { dqkv: [0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0], dScores: [0, 0, 0, 0, 0, 0, 0, 0] },
);
rule(
  'attention, causal: the first query sees only itself',
  caseOf(
    'attention',
    { ...oneHead, B: 1, causal: 1 },
    { scalars: noDropout, absent: ['mask', 'random', 'scores'], fillings: { qkv: [0, 5, 3, 0, 6, 9] } },
  ),
  { y: [3, 6], probabilities: [1, 0, 0.5, 0.5] },
);

const rows = { logits: [0, 0, nan, nan, 0, -inf, 0, 0], labels: [0, -100, 0, 2], denominator: [1] };

test.serial(
  'cross-entropy: −100 is ignored even in a row of NaN, −Infinity is a probability of 0, a label outside gives NaN',
  async (t) => {
    for (const subject of subjects) {
      const outputs = await run(
        subject,
        caseOf('softmaxCrossEntropy', { N: 4, V: 2 }, { fillings: rows, scalars: { smoothing: 0 } }),
      );
      const [first = nan, ...others] = outputs('rowLoss');
      t.true(Math.abs(first - Math.LN2) < 1e-6, subject.title);
      t.deepEqual(others, [0, 0, nan], subject.title);
      t.deepEqual(outputs('dLogits').map(rounded), [-0.5, 0.5, 0, 0, 0, 0, nan, nan], subject.title);
    }
  },
);

for (const value of [nan, inf]) {
  rule(
    `a squared norm of ${value} is not finite and clips to nothing`,
    caseOf('clipByNorm', {}, { fillings: { squaredNorm: [value], maxNorm: [1] } }),
    { norm: [value], factor: [0], finite: [0] },
  );
}

const notFinite = {
  parameters: [1, 2, 3],
  gradients: [nan, inf, 1],
  segments: [0, 3, 0, 0],
  groups: [1, 0.5],
  scalars: scalarSlots.map(() => 0.5),
  clipFactor: [0],
  finite: [0],
};

rule(
  'sgd changes nothing after a gradient that is not finite',
  caseOf('sgd', { P: 3, S: 1, G: 1 }, { fillings: { ...notFinite, velocity: [4, 5, 6] } }),
  { parameters: [1, 2, 3], velocity: [4, 5, 6] },
);
rule(
  'adamw changes nothing after a gradient that is not finite',
  caseOf(
    'adamw',
    { P: 3, S: 1, G: 1 },
    { fillings: { ...notFinite, firstMoment: [4, 5, 6], secondMoment: [7, 8, 9] } },
  ),
  { parameters: [1, 2, 3], firstMoment: [4, 5, 6], secondMoment: [7, 8, 9] },
);

rule(
  'maskSteps gives 0 behind the end, whatever was there',
  caseOf('maskSteps', { T: 3, B: 2, C: 1 }, { fillings: { x: [1, 2, 3, nan, inf, nan], lengths: [2, 1] } }),
  { y: [1, 2, 3, 0, 0, 0] },
);

const draw = (n: number, stream: number, step: number): Case =>
  caseOf('philoxUniform', { n, stream }, { scalars: { low: 0, range: 1 }, fillings: { random: [1, 2, step] } });

test.serial('an element is drawn alike whatever the length, and anew for another stream or step', async (t) => {
  for (const subject of subjects) {
    const drawn = async (testCase: Case): Promise<number[]> => (await run(subject, testCase))('y');
    const y = await drawn(draw(70, 3, 4));
    t.deepEqual((await drawn(draw(29, 3, 4))).slice(0, 29), y.slice(0, 29), subject.title);
    t.false(
      (await drawn(draw(70, 4, 4))).some((u, e) => u === y[e]),
      subject.title,
    );
    t.false(
      (await drawn(draw(70, 3, 5))).some((u, e) => u === y[e]),
      subject.title,
    );
    t.true(
      y.every((u) => u >= 0 && u < 1),
      subject.title,
    );
  }
});

test.serial('dropout draws as philoxUniform does: the gradient drops what the forward pass dropped', async (t) => {
  const scalars = { rate: 0.25, keepScale: 2 };
  const dropout = caseOf('dropout', { n: 70, stream: 3 }, { scalars, fillings: { random: [1, 2, 4], x: [1] } });
  for (const subject of subjects) {
    const u = (await run(subject, draw(70, 3, 4)))('y');
    t.deepEqual(
      (await run(subject, dropout))('y'),
      u.map((value) => (value >= 0.25 ? 2 : 0)),
      subject.title,
    );
  }
});

/**
 * −(1 + 2⁻¹¹) + (1 + 2⁻¹²)²: the square is 1 + 2⁻¹¹ + 2⁻²⁴, whose last bit a separate multiplication rounds away. So a strict
 * backend gives 0 and a fused one 2⁻²⁴, which shows which code really ran.
 */
const fused = caseOf(
  'matmul',
  { ...square, M: 1, N: 1, K: 2, aRow: 2, bRow: 1 },
  { absent: alone, fillings: { a: [-1, 1 + 2 ** -12], b: [1 + 2 ** -11, 1 + 2 ** -12] } },
);

for (const subject of subjects.filter(({ strict }) => strict)) {
  test.serial(`${subject.title} never fuses a multiplication with an addition`, async (t) => {
    t.deepEqual((await run(subject, fused))('c'), [0]);
  });
}

for (const subject of subjects.filter(({ title }) => /^native avx.* fast/.test(title))) {
  test.serial(`${subject.title} fuses multiplications with additions`, async (t) => {
    t.deepEqual((await run(subject, fused))('c'), [2 ** -24]);
  });
}
