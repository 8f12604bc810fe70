/** Parameters that lie below each other: graphs see one variable, people several. */
import test from 'ava';
import type { Graph } from '../../src/graph/graph.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { Parameters } from '../../src/nn/parameters.js';
import { concat } from '../../src/ops/copy.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import { linear } from '../../src/ops/matmul.js';
import { Arena } from '../../src/program/variable.js';
import { type BatchShape, Model, type Network } from '../../src/train/model.js';
import { type Batch, Trainer } from '../../src/train/trainer.js';
import type { TrainerOptions } from '../../src/train/trainer-options.js';
import { onEvery } from './backends.js';

const ROWS = 6;
const NAMES = ['a.weight', 'b.weight', 'c.weight'] as const;
const SHAPE = [1, 5] as const; // 5 elements: parts do not begin where vectors do

/** Softmax regression whose weight is three parameters, as one variable or as three. */
class PartsNetwork implements Network {
  readonly parameters = new Parameters();
  readonly #read: (graph: Graph) => Tensor;

  constructor(kind: 'joined' | 'apart') {
    const initial = { kind: 'uniform', low: -1, high: 1 } as const;
    if (kind === 'joined') {
      const weight = this.parameters.scope.joined(NAMES, SHAPE, initial);
      this.#read = (graph) => graph.read(weight);
    } else {
      const weights = NAMES.map((name) => this.parameters.add(name, SHAPE, initial));
      this.#read = (graph) => concat(weights.map((weight) => graph.read(weight)), 0); // biome-ignore format: one line
    }
  }

  stateArena(name: string): Arena {
    return new Arena(name);
  }

  loss(graph: Graph, { batch }: BatchShape, _state: Arena, denominator: Tensor): { loss: Tensor; next: Tensor[] } {
    const logits = linear(graph.input('x', [batch, 5]), this.#read(graph));
    return { loss: crossEntropy(logits, graph.input('labels', [batch], 'i32'), denominator), next: [] };
  }
}

const batches: Batch[] = Array.from({ length: 6 }, (_, step) => ({
  inputs: {
    x: Array.from({ length: ROWS * 5 }, (_, index) => Math.sin(index + 31 * step)),
    labels: Array.from({ length: ROWS }, (_, row) => (row + step) % 3),
  },
  time: 1,
  batch: ROWS,
  labelCount: ROWS,
  first: false,
}));

type Values = Readonly<Record<string, readonly number[]>>;

async function trained(
  kind: 'joined' | 'apart',
  backend: Parameters_[1],
  options: TrainerOptions,
): Promise<{ start: Values; end: Values; norms: readonly number[] }> {
  const model = new Model(new PartsNetwork(kind), backend);
  await model.allocate();
  await model.initialise(3);
  const values = async (): Promise<Values> =>
    Object.fromEntries((await model.readParameters()).map(([{ name }, its]) => [name, [...its]]));
  const start = await values();
  const steps = await new Trainer(model, { learningRate: 0.1, ...options }).fit(batches);
  return { start, end: await values(), norms: steps.map(({ gradientNorm }) => gradientNorm) };
}
type Parameters_ = ConstructorParameters<typeof Model>;

for (const [title, options] of [
  ['', {}],
  [
    ', a group for each',
    {
      groups: [
        { match: /^a/, rateFactor: 0.5 },
        { match: /^b/, weightDecay: 0.3 },
      ],
    },
  ],
  [', in micro-batches', { microBatches: 2 }],
  [', one of them frozen', { groups: [{ match: /^b/, frozen: true }] }],
  [', one of them frozen, in micro-batches', { microBatches: 2, groups: [{ match: /^b/, frozen: true }] }],
  [', all of them frozen', { groups: [{ match: /weight/, frozen: true }] }],
] as const satisfies readonly (readonly [string, TrainerOptions])[]) {
  onEvery(`joined parameters train as those apart do${title}`, async (t, backend) => {
    const [joined, apart] = [await trained('joined', backend, options), await trained('apart', backend, options)];
    t.deepEqual(joined.start, apart.start);
    for (const name of NAMES) {
      for (const [index, value] of (joined.end[name] as number[]).entries())
        t.true(Math.abs(value - (apart.end[name]?.[index] as number)) < 1e-6);
    }
    for (const [step, norm] of joined.norms.entries()) t.true(Math.abs(norm - (apart.norms[step] as number)) < 1e-6);
    const frozen = NAMES.filter(
      (name) => 'groups' in options && options.groups.some((g) => 'frozen' in g && g.match.test(name)),
    );
    const isUnchanged = (name: string): boolean => `${joined.end[name]}` === `${joined.start[name]}`;
    t.deepEqual(NAMES.filter(isUnchanged), frozen);
  });
}

test('arenas that go with the parameters have their layout', (t) => {
  const { arena } = new PartsNetwork('joined').parameters;
  const other = arena.like('gradients');
  const layout = ({ name, offset, elements }: { name: string; offset: number; elements: number }) => [
    name,
    offset,
    elements,
  ];
  t.deepEqual(other.variables.map(layout), arena.variables.map(layout));
  t.deepEqual(other.blocks.map(layout), arena.blocks.map(layout));
  t.is(other.elements, arena.elements);
  t.deepEqual(
    arena.variables.map(({ offset }) => offset),
    [0, 5, 10],
  );
  t.deepEqual(
    arena.blocks.map(({ shape }) => shape),
    [[3, 5]],
  );
});
