/** What attention lets be seen, and what it promises of masks and dropout, in float64. */
import test, { type ExecutionContext } from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { ShapeError } from '../../src/graph/errors.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import { type AttentionOptions, attention } from '../../src/ops/attention.js';
import { slice, transpose } from '../../src/ops/copy.js';
import { matmul } from '../../src/ops/matmul.js';
import { keepMask } from '../../src/ops/random.js';
import { float64 } from '../graph/evaluate.js';
import { randomArray } from '../support/gradcheck.js';
import { randomFrom } from '../support/random.js';

const [B, T, NH, HS] = [2, 6, 3, 4];
const C = NH * HS;
const random = [5, 6, 7];

type Values = Readonly<Record<string, Float64Array>>;
interface Question {
  readonly options?: Omit<AttentionOptions, 'heads' | 'mask' | 'dropout'>;
  readonly mask?: readonly number[];
  readonly rate?: number;
  readonly time?: number;
}

/** y, dqkv, every probe `name` as `value.name`, and its gradient as `grad.name`. */
async function evaluate({ options = {}, mask, rate, time = T }: Question): Promise<Values> {
  const source = randomFrom('attention');
  const graph = new Graph();
  const qkv = graph.input('qkv', [B, time, 3 * C]);
  const dy = graph.input('dy', [B, time, C]);
  const draws = graph.input('random', [3], 'i32');
  const y = graph.within('attention', () =>
    attention(qkv, {
      ...options,
      heads: NH,
      mask: mask && graph.input('mask', [B, time], 'i32'),
      dropout: rate === undefined ? undefined : { rate, random: draws, stream: 9 },
    }),
  );
  const probes = [...graph.probes];
  const gradients = differentiate(graph, { from: new Map([[y, dy]]), to: [qkv, ...probes.map(([, { of }]) => of)] });
  const outputs = {
    y,
    dqkv: gradients.get(qkv),
    ...Object.fromEntries(
      probes.flatMap(([name, { of, select }]) => {
        const gradient = gradients.get(of);
        return [
          [name.replace('attention', 'value'), select(of)],
          [name.replace('attention', 'grad'), gradient && select(gradient)],
        ];
      }),
    ),
  };
  for (const [name, tensor] of Object.entries(outputs)) if (tensor !== undefined) graph.output(name, tensor);
  if (rate !== undefined) {
    // The draws, as a tensor of rows as long as a whole number of Philox counters.
    const rows = B * NH * time;
    graph.output('keep', slice(keepMask(graph, [rows, 4 * Math.ceil(time / 4)], rate, draws, 9), 1, 0, time));
  }
  const program = plan(graph);
  const given = {
    qkv: randomArray(source, B * time * 3 * C),
    dy: randomArray(source, B * time * C),
    random,
    ...(mask === undefined ? {} : { mask }),
  };
  const used = Object.fromEntries(Object.entries(given).filter(([name]) => program.inputs.has(name)));
  return (await new Engine(float64).run(program, used)) as Values;
}

const at = (values: Values, name: string): Float64Array => values[name] as Float64Array;

/** Compares two lists, leaving out nothing. */
function near(t: ExecutionContext, received: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  t.is(received.length, expected.length, what);
  const worst = Math.max(...Array.from(received, (value, i) => Math.abs(value - (expected[i] as number))));
  t.true(worst < 1e-12, `${what} is off by ${worst}`);
}

/** Sums over the last axis of [rows, T]. */
const rowSums = (values: Float64Array, terms: (index: number) => number = (i) => values[i] as number): number[] =>
  Array.from({ length: values.length / T }, (_, row) =>
    [...Array(T).keys()].reduce((sum, j) => sum + terms(row * T + j), 0),
  );

/** a [.., T, K] · b [.., K, N], head by head. */
async function product(
  a: Float64Array,
  b: Float64Array,
  [M, N, K]: readonly [number, number, number],
  transposeA = false,
) {
  const graph = new Graph();
  const left = graph.input('a', transposeA ? [B * NH, K, M] : [B * NH, M, K]);
  graph.output('c', matmul(left, graph.input('b', [B * NH, K, N]), { transposeA }));
  return ((await new Engine(float64).run(plan(graph), { a, b })) as Values).c as Float64Array;
}

/** [B, NH, T, HS] as [B, T, C]. */
async function sideBySide(values: Float64Array): Promise<Float64Array> {
  const graph = new Graph();
  graph.output('y', transpose(graph.input('x', [B, NH, T, HS]), [0, 2, 1, 3]));
  return ((await new Engine(float64).run(plan(graph), { x: values })) as Values).y as Float64Array;
}

for (const [title, question] of [
  ['all of it', {}],
  ['masked', { mask: [1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0] }],
  ['causal', { options: { causal: true } }],
  [
    'causal, masked, with dropout',
    { options: { causal: true }, mask: [1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0], rate: 0.5 },
  ],
] as const satisfies readonly (readonly [string, Question])[]) {
  test(`what can be seen of attention belongs together: ${title}`, async (t) => {
    const values = await evaluate(question);
    const { mask } = question as Question;
    const [probs, scores] = [at(values, 'value.probs'), at(values, 'value.scores')];
    const isSeen = (index: number): boolean => {
      const [b, i, j] = [Math.floor(index / (NH * T * T)), Math.floor(index / T) % T, index % T];
      return (mask?.[b * T + j] ?? 1) !== 0 && (!('options' in question) || j <= i);
    };
    const exponentials = scores.map((s, index) => (isSeen(index) ? Math.exp(s) : 0));
    const sums = rowSums(exponentials);
    near(
      t,
      probs,
      exponentials.map((e, index) => e / (sums[Math.floor(index / T)] as number)),
      'probs',
    );

    const keep = values.keep?.map((kept) => kept / (1 - 0.5)) ?? probs.map(() => 1);
    const kept = probs.map((p, index) => p * (keep[index] as number));
    near(t, at(values, 'y'), await sideBySide(await product(kept, at(values, 'value.value'), [T, HS, T])), 'y');

    const [dp, ds] = [at(values, 'grad.probs'), at(values, 'grad.scores')];
    const common = rowSums(probs, (i) => (probs[i] as number) * (dp[i] as number));
    const expected = probs.map((p, i) => p * ((dp[i] as number) - (common[Math.floor(i / T)] as number)));
    near(t, ds, expected, 'grad.scores');
    const root = 1 / Math.sqrt(HS);
    near(
      t,
      at(values, 'grad.query'),
      (await product(ds, at(values, 'value.key'), [T, HS, T])).map((x) => x * root),
      'grad.query',
    );
    near(
      t,
      at(values, 'grad.key'),
      (await product(ds, at(values, 'value.query'), [T, HS, T], true)).map((x) => x * root),
      'grad.key',
    );
  });
}

test('a query that sees no key gives 0 and gets no gradient; neither does a key that nobody sees', async (t) => {
  const mask = [0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1];
  const values = await evaluate({ mask });
  const first = (name: string): Float64Array => at(values, name).subarray(0, at(values, name).length / B);
  for (const name of [
    'y',
    'dqkv',
    'value.probs',
    'grad.probs',
    'grad.scores',
    'grad.query',
    'grad.key',
    'grad.value',
  ]) {
    t.true(
      first(name).every((value) => value === 0),
      name,
    );
    t.false(
      at(values, name).every((value) => value === 0),
      name,
    );
  }
  for (const name of ['grad.key', 'grad.value']) {
    const ofKey = (b: number, j: number): Float64Array =>
      at(values, name).subarray(((b * NH + 0) * T + j) * HS, ((b * NH + 0) * T + j + 1) * HS);
    t.true(
      ofKey(1, 2).every((value) => value === 0),
      name,
    );
    t.false(
      ofKey(1, 3).every((value) => value === 0),
      name,
    );
  }
});

test('a single position attends to itself: y is its value', async (t) => {
  const values = await evaluate({ time: 1 });
  near(t, at(values, 'y'), at(values, 'value.value'), 'y'); // [B, 1, C] and [B, NH, 1, HS] hold the same
  t.true(at(values, 'grad.query').every((value) => value === 0));
});

test('a rate of 0 draws nothing', async (t) => {
  t.deepEqual(at(await evaluate({ rate: 0 }), 'y'), at(await evaluate({}), 'y'));
});

test('what does not fit is refused by name', (t) => {
  const graph = new Graph();
  const qkv = graph.input('qkv', [2, 5, 36]);
  const refuses = (trace: () => unknown, message: RegExp): void => {
    t.throws(trace, { instanceOf: ShapeError, message });
  };
  refuses(
    () => attention(qkv, { heads: 5 }),
    /`qkv` to be \[B, T, a multiple of 3 · 5 \(heads\)\] but received .*\[2, 5, 36\]/,
  );
  refuses(() => attention(qkv, { heads: 0 }), /heads/);
  refuses(() => attention(qkv, { heads: 3, mask: graph.input('mask', [5, 2], 'i32') }), /`mask` to be \[2, 5\]/);
  refuses(() => attention(qkv, { heads: 3, mask: graph.input('floats', [2, 5]) }), /`mask` to be of type i32/);
  const random = graph.input('random', [4], 'i32');
  refuses(() => attention(qkv, { heads: 3, dropout: { rate: 0.1, random, stream: 1 } }), /`random` to be \[3\]/);
});

test('planted fault: a probability that is not what its scores say is noticed', async (t) => {
  const values = await evaluate({});
  const scores = at(values, 'value.scores').map((s, index) => (index === 3 ? s + 1e-6 : s));
  const exponentials = scores.map(Math.exp);
  const sums = rowSums(exponentials);
  const off = at(values, 'value.probs').map(
    (p, index) => p - (exponentials[index] as number) / (sums[Math.floor(index / T)] as number),
  );
  t.true(Math.max(...off.map(Math.abs)) > 1e-12);
});
