import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { Bert, LanguageModelHead } from '../../src/nn/bert.js';
import { type BertConfig, bertConfig, type bertPresets } from '../../src/nn/bert-config.js';
import { Parameters } from '../../src/nn/parameters.js';
import { full, reshape } from '../../src/ops/copy.js';
import { embedding } from '../../src/ops/embedding.js';
import { OptionError } from '../../src/program/options.js';
import { float64 } from '../graph/evaluate.js';
import { randomFrom } from '../support/random.js';

const small = { vocabularySize: 7, hiddenSize: 6, layers: 2, heads: 2, feedForwardSize: 5, maxPositions: 9 };
const [B, T, C] = [2, 5, 6];

const hf = (layer: number): string[] =>
  ['query', 'key', 'value']
    .map((name) => `self.${name}`)
    .concat('output.dense', 'output.LayerNorm')
    .map((name) => `attention.${name}`)
    .concat('intermediate.dense', 'output.dense', 'output.LayerNorm')
    .map((name) => `encoder.layer.${layer}.${name}`);
const both = (name: string): string[] => [`${name}.weight`, `${name}.bias`];

function namesOf(config: Partial<BertConfig>): string[] {
  const parameters = new Parameters();
  const bert = new Bert(parameters.scope, bertConfig({ ...small, ...config }), { pooler: true });
  new LanguageModelHead(parameters.scope.child('cls.predictions'), bert.config, bert.words);
  return parameters.arena.variables.map(({ name }) => name).sort();
}

test('parameters are called as Hugging Face calls them', (t) => {
  const embeddings = ['word', 'position', 'token_type'].map((name) => `embeddings.${name}_embeddings.weight`);
  const modules = ['embeddings.LayerNorm', ...hf(0), ...hf(1), 'pooler.dense'];
  const head = ['transform.dense', 'transform.LayerNorm'].flatMap(both).concat('bias');
  t.deepEqual(
    namesOf({}),
    [...embeddings, ...modules.flatMap(both), ...head.map((name) => `cls.predictions.${name}`)].sort(),
  );
  const moved = new Map([
    ['attention.output.LayerNorm', 'attention.LayerNorm'],
    ['output.LayerNorm', 'intermediate.LayerNorm'],
  ]);
  const before = namesOf({}).map((name) => {
    for (const [post, pre] of moved) if (name.includes(`.${post}.`)) return name.replace(post, pre);
    return name;
  });
  t.deepEqual(namesOf({ preNorm: true }), [...before, 'LayerNorm.weight', 'LayerNorm.bias'].sort());
});

test('presets have the sizes that their publishers gave them', (t) => {
  const count = (preset: keyof typeof bertPresets): number => {
    const parameters = new Parameters();
    new Bert(parameters.scope, bertConfig({ preset, vocabularySize: 30522 }), { pooler: true });
    return parameters.count;
  };
  // Published are 4.4, 11.3, 29.1, 41.7 and 110.1 million (Turc et al. 2019), with the heads of pre-training.
  t.deepEqual(
    (['tiny', 'mini', 'small', 'medium', 'base'] as const).map((preset) => Math.round(count(preset) / 1e5) / 10),
    [4.4, 11.2, 28.8, 41.4, 109.5],
  );
});

/** Values of a network's parameters, none of them as when fresh. */
function drawn(parameters: Parameters, seed: string): Map<string, Float64Array> {
  const random = randomFrom(seed);
  return new Map(
    parameters.arena.variables.map(({ name, elements }) => [
      name,
      Float64Array.from({ length: elements }, () => random.value() / 3 + Number(name.endsWith('LayerNorm.weight'))),
    ]),
  );
}

interface Case {
  readonly config?: Partial<BertConfig>;
  readonly mask?: readonly number[];
  /** Whether dropout is on. */
  readonly training?: boolean;
}

const tokens = [1, 2, 3, 3, 0, 6, 5, 4, 3, 2];

/** Hidden states of a small encoder, and the gradients of a masked loss with respect to every parameter. */
async function traced({ config = {}, mask, training = false }: Case) {
  const parameters = new Parameters();
  const bert = new Bert(parameters.scope, bertConfig({ ...small, dropout: 0.2, attentionDropout: 0.2, ...config }));
  const head = new LanguageModelHead(parameters.scope.child('cls.predictions'), bert.config, bert.words);
  const graph = new Graph();
  const inputs = {
    tokens: graph.input('tokens', [B, T], 'i32'),
    types: bert.config.tokenTypes === 0 ? undefined : graph.input('types', [B, T], 'i32'),
    mask: mask && graph.input('mask', [B, T], 'i32'),
  };
  const hidden = bert.forward(graph, inputs, training ? { random: graph.input('random', [3], 'i32') } : {});
  const rows = embedding(reshape(hidden, [B * T, C]), graph.input('positions', [3], 'i32'));
  const loss = head.loss(rows, graph.input('labels', [3], 'i32'), full(graph, [1], 3));
  graph.output('hidden', hidden);
  graph.output('loss', loss);
  const blocks = parameters.arena.blocks.map((block) => [block, graph.read(block)] as const);
  const gradients = differentiate(graph, {
    from: new Map([[loss, full(graph, [1], 1)]]),
    to: blocks.map(([, tensor]) => tensor),
  });
  for (const [block, tensor] of blocks) graph.output(block.name, gradients.get(tensor) as Tensor);
  const given = {
    tokens,
    types: [0, 0, 0, 1, 1, 0, 0, 1, 1, 1],
    ...(mask && { mask }),
    random: [3, 0, 5],
    positions: [1, 7, 5],
    labels: [4, 2, 6],
  };
  const program = plan(graph);
  const engine = new Engine(float64);
  await engine.place(parameters.arena);
  /** What the program finds with values of the parameters, some inputs other ones. */
  const run = async (values: Values, change: object = {}) => {
    const inputs = Object.entries({ ...given, ...change }).filter(([name]) => program.inputs.has(name));
    for (const variable of parameters.arena.variables)
      await engine.write(variable, values.get(variable.name) as Float64Array);
    return engine.run(program, Object.fromEntries(inputs));
  };
  return { parameters, graph, program, run };
}

type Values = ReadonlyMap<string, Float64Array>;

const MASK = [1, 1, 1, 0, 0, 1, 1, 1, 1, 0];

const cases: Readonly<Record<string, Case>> = {
  'of BERT': {},
  'with a mask': { mask: MASK },
  'with normalisation first': { config: { preNorm: true, activation: 'gelu_new' } },
  'that is causal': { config: { causal: true, tokenTypes: 0, preNorm: true } },
  'with dropout': { training: true, mask: MASK },
  'with a head for every element': { config: { heads: 6, layers: 1 } },
};

for (const [title, each] of Object.entries(cases)) {
  test(`gradients of an encoder ${title} are those of central differences`, async (t) => {
    const { parameters, run } = await traced(each);
    const values = drawn(parameters, t.title);
    const results = await run(values);
    const random = randomFrom(`${t.title} directions`);
    for (const block of parameters.arena.blocks) {
      const parts = block.parts.length === 0 ? [block] : block.parts;
      const direction = parts.map(({ elements }) => Float64Array.from({ length: elements }, () => random.value()));
      const lossAt = async (step: number): Promise<number> => {
        const moved = new Map(values);
        for (const [index, { name }] of parts.entries()) {
          const d = direction[index] as Float64Array;
          moved.set(
            name,
            (values.get(name) as Float64Array).map((value, at) => value + step * (d[at] as number)),
          );
        }
        return (await run(moved)).loss?.[0] as number;
      };
      const numeric = ((await lossAt(1e-5)) - (await lossAt(-1e-5))) / 2e-5;
      const flat = direction.flatMap((part) => [...part]);
      const gradient = results[block.name] as Float64Array;
      const analytic = flat.reduce((sum, d, index) => sum + d * (gradient[index] as number), 0);
      const size = flat.reduce((sum, d, index) => sum + Math.abs(d * (gradient[index] as number)), 1);
      t.true(Math.abs(numeric - analytic) < 1e-8 * size, `${block.name}: ${numeric}, ${analytic}`);
    }
  });
}

const rowsFrom = (hidden: ArrayLike<number> | undefined, row: number, from: number, to: number): number[] =>
  Array.from(hidden as Float64Array).slice((row * T + from) * C, (row * T + to) * C);

test('what stands behind the mask, or in another row, does not matter', async (t) => {
  const { parameters, run } = await traced({ mask: MASK });
  const values = drawn(parameters, t.title);
  const before = await run(values);
  const after = await run(values, {
    tokens: [1, 2, 3, 6, 6, 6, 5, 4, 3, 6],
    types: [0, 0, 0, 0, 0, 0, 0, 1, 1, 0],
  });
  t.deepEqual(rowsFrom(after.hidden, 0, 0, 3), rowsFrom(before.hidden, 0, 0, 3));
  t.deepEqual(rowsFrom(after.hidden, 1, 0, 4), rowsFrom(before.hidden, 1, 0, 4));
  t.notDeepEqual(rowsFrom(after.hidden, 0, 3, 5), rowsFrom(before.hidden, 0, 3, 5));
  const other = await run(values, { tokens: tokens.with(5, 1) });
  t.deepEqual(rowsFrom(other.hidden, 0, 0, T), rowsFrom(before.hidden, 0, 0, T));
  t.notDeepEqual(rowsFrom(other.hidden, 1, 1, 4), rowsFrom(before.hidden, 1, 1, 4));
});

test('a causal position sees nothing that comes later, and another one all', async (t) => {
  for (const causal of [true, false]) {
    const { parameters, run } = await traced({ config: { causal } });
    const values = drawn(parameters, t.title);
    const [before, after] = [await run(values), await run(values, { tokens: tokens.with(3, 6) })];
    const same = `${rowsFrom(after.hidden, 0, 0, 3)}` === `${rowsFrom(before.hidden, 0, 0, 3)}`;
    t.is(same, causal);
    t.notDeepEqual(rowsFrom(after.hidden, 0, 4, 5), rowsFrom(before.hidden, 0, 4, 5));
  }
});

test('dropout is drawn anew for every step, and not drawn in prediction', async (t) => {
  const { parameters, run } = await traced({ training: true });
  const values = drawn(parameters, t.title);
  const loss = async (random?: number[]): Promise<number> =>
    (await run(values, random === undefined ? {} : { random })).loss?.[0] as number;
  t.is(await loss([3, 0, 5]), await loss());
  t.not(await loss([3, 0, 6]), await loss());
  t.not(await loss([4, 0, 5]), await loss());
  const predicted = await traced({ training: false });
  t.true(Number.isFinite((await predicted.run(values)).loss?.[0]));
  t.false(predicted.graph.inputs.has('random'));
});

test('the three projections of attention are one product', async (t) => {
  const { program } = await traced({});
  const products = program.calls.filter(
    ({ instruction, label }) => instruction === 'matmul' && label === 'layer.0.attention',
  );
  t.deepEqual(
    products.map(({ dims }) => dims.N),
    [3 * C, C],
  );
});

test('sizes that do not fit are refused by name', (t) => {
  const refused = (config: object, message: RegExp): void => {
    t.throws(() => bertConfig({ ...small, ...config }), { instanceOf: OptionError, message });
  };
  refused({ hiddenSize: 7 }, /`hiddenSize` to be a multiple of `heads`, 2, but received 7/);
  refused({ hiddenSize: 1024, heads: 2 }, /`hiddenSize`.*at most 256 for each of 2 heads.*1024/);
  refused({ heads: 0 }, /`heads`.*whole number from 1/);
  refused({ padToken: 7 }, /`padToken`.*0 … 6.*7/);
  refused({ dropout: 1 }, /`dropout`.*below 1.*1/);
  refused({ activation: 'swish' }, /`activation`.*gelu, gelu_new, relu.*"swish"/);
  refused({ preset: 'huge' }, /`preset`.*tiny, mini.*"huge"/);
  refused({ hiddensize: 8 }, /unknown option `hiddensize`: did you mean `hiddenSize`\?/);
});
