import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { segmentTable } from '../../src/optim/groups.js';
import { Model } from '../../src/train/model.js';
import { Trainer } from '../../src/train/trainer.js';
import type { TrainerOptions } from '../../src/train/trainer-options.js';
import { randomFrom } from '../support/random.js';
import { backends } from '../train/backends.js';
import { LinearNetwork, SoftmaxNetwork } from '../train/linear-network.js';

const shapes = { 'layer.weight': [3, 7], 'layer.bias': [5], 'head.weight': [40], 'head.bias': [1] };
const STEPS = 6;

/** Settings of one parameter as plain numbers. */
interface Its {
  readonly rate: number;
  readonly decay: number;
  readonly frozen?: boolean;
}

/** Loshchilov & Hutter 2019, algorithm 2, on one number. */
function adamw(
  p: number,
  gradients: readonly number[],
  { rate, decay }: Its,
  [beta1, beta2]: readonly [number, number],
  epsilon: number,
): number {
  let [m, v] = [0, 0];
  for (const [index, g] of gradients.entries()) {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const mHat = m / (1 - beta1 ** (index + 1));
    const vHat = v / (1 - beta2 ** (index + 1));
    p = p - rate * decay * p - (rate * mHat) / (Math.sqrt(vHat) + epsilon);
  }
  return p;
}

/** torch.optim.SGD on one number. */
function sgd(p: number, gradients: readonly number[], { rate, decay }: Its, momentum: number): number {
  let velocity = 0;
  for (const g of gradients) {
    velocity = momentum * velocity + g + decay * p;
    p -= rate * velocity;
  }
  return p;
}

interface Run {
  readonly before: ReadonlyMap<string, Float64Array>;
  readonly after: ReadonlyMap<string, Float64Array>;
  /** By parameter and element: the gradients of all steps, after clipping. */
  readonly gradients: (name: string, element: number) => number[];
}

async function train(backend: Backend, options: TrainerOptions): Promise<Run> {
  const network = new LinearNetwork(shapes);
  const model = new Model(network, backend);
  await model.allocate();
  await model.initialise(3);
  const values = async (): Promise<Map<string, Float64Array>> => {
    const all = new Map<string, Float64Array>();
    for (const variable of network.parameters.arena.variables) {
      all.set(variable.name, Float64Array.from(await model.engine.read(variable)));
    }
    return all;
  };
  const random = randomFrom('gradients');
  const all = Array.from({ length: STEPS }, () => Array.from({ length: network.count }, () => random.value()));
  const before = await values();
  const trainer = new Trainer(model, options);
  const steps = await trainer.fit(all.map((x) => network.batch(x)));
  const starts = new Map<string, number>();
  let start = 0;
  for (const { name, elements } of network.parameters.arena.variables) {
    starts.set(name, start);
    start += elements;
  }
  const gradients = (name: string, element: number): number[] =>
    all.map((x, step) => (x[(starts.get(name) as number) + element] as number) * (steps[step]?.clipFactor as number));
  return { before, after: await values(), gradients };
}

const float64 = referenceBackend({ isa: 'float64' });
/** Float32 scalars such as 1 − β₂ carry a relative error of 2⁻²⁴ into a step; parameters of size 1 round at each of six steps. */
const cases = [{ backend: float64, bound: 1e-12 }, ...backends.map((backend) => ({ backend, bound: 4e-6 }))];

const settings: readonly {
  title: string;
  options: TrainerOptions;
  its: (name: string) => Its;
  formula: (p: number, g: readonly number[], its: Its) => number;
}[] = [
  {
    title: 'AdamW with its defaults',
    options: { clipNorm: Number.POSITIVE_INFINITY },
    its: () => ({ rate: 1e-3, decay: 0.01 }),
    formula: (p, g, its) => adamw(p, g, its, [0.9, 0.999], 1e-8),
  },
  {
    title: 'AdamW with its own betas, epsilon and groups',
    options: {
      clipNorm: Number.POSITIVE_INFINITY,
      learningRate: 0.03,
      weightDecay: 0.2,
      optimizer: { kind: 'adamw', betas: [0.7, 0.95], epsilon: 1e-3 },
      groups: [
        { match: /^layer\.weight/, rateFactor: 0.1 },
        { match: /bias/g, weightDecay: 0 },
        { match: /^layer/, frozen: true },
      ],
    },
    its: (name) =>
      name === 'layer.weight' ? { rate: 0.003, decay: 0.2 } : { rate: 0.03, decay: name.includes('bias') ? 0 : 0.2 },
    formula: (p, g, its) => adamw(p, g, its, [0.7, 0.95], 1e-3),
  },
  {
    title: 'SGD with momentum',
    options: {
      clipNorm: Number.POSITIVE_INFINITY,
      learningRate: 0.05,
      weightDecay: 0.1,
      optimizer: { kind: 'sgd', momentum: 0.9 },
    },
    its: () => ({ rate: 0.05, decay: 0.1 }),
    formula: (p, g, its) => sgd(p, g, its, 0.9),
  },
  {
    title: 'SGD without momentum, clipped to a norm of 0.5, layer frozen',
    options: {
      clipNorm: 0.5,
      learningRate: 0.05,
      weightDecay: 0,
      optimizer: { kind: 'sgd' },
      groups: [{ match: /^layer/, frozen: true }],
    },
    its: (name) => ({ rate: 0.05, decay: 0, frozen: name.startsWith('layer') }),
    formula: (p, g, its) => sgd(p, g, its, 0),
  },
];

for (const { title, options, its, formula } of settings) {
  for (const { backend, bound } of cases) {
    test(`${title} is what its formula says (${backend.name} ${backend.isa})`, async (t) => {
      const { before, after, gradients } = await train(backend, options);
      for (const [name, values] of before) {
        const actual = after.get(name) as Float64Array;
        if (its(name).frozen) {
          t.deepEqual(actual, values, `${name} is frozen`);
          continue;
        }
        for (const [element, p] of values.entries()) {
          const expected = formula(p, gradients(name, element), its(name));
          const difference = Math.abs((actual[element] as number) - expected);
          t.true(difference <= bound, `${name}[${element}]: ${actual[element]} for ${expected}`);
          t.not(actual[element], p);
        }
      }
    });
  }
}

test('planted fault: a missing bias correction is noticed', async (t) => {
  const { before, after, gradients } = await train(float64, { clipNorm: Number.POSITIVE_INFINITY });
  const p = before.get('head.bias')?.[0] as number;
  const wrong = adamw(p, [0, ...gradients('head.bias', 0)], { rate: 1e-3, decay: 0.01 }, [0.9, 0.999], 1e-8);
  t.true(Math.abs((after.get('head.bias')?.[0] as number) - wrong) > 1e-6);
});

for (const maxNorm of [0.25, 1e6]) {
  test(`gradients are clipped by their global norm, to ${maxNorm}`, async (t) => {
    const network = new LinearNetwork({ a: [3], frozen: [2] });
    const model = new Model(network, float64);
    await model.allocate();
    const trainer = new Trainer(model, { clipNorm: maxNorm, groups: [{ match: /frozen/, frozen: true }] });
    const [step] = await trainer.fit([network.batch([2, 3, 6, 1000, 1000])]);
    t.is(step?.gradientNorm, 7, 'the norm of what is trained: frozen parameters do not count');
    t.is(step?.clipFactor, Math.min(1, maxNorm / (7 + 1e-6)));
  });
}

test('micro-batches make the step that all their rows make together', async (t) => {
  const random = randomFrom('rows');
  const rows = 7;
  const x = Array.from({ length: rows * 5 }, () => random.value());
  const labels = Array.from({ length: rows }, (_, row) => (row === 2 ? -100 : random.integer(0, 2)));
  const part = (from: number, to: number) => ({
    inputs: { x: x.slice(from * 5, to * 5), labels: labels.slice(from, to) },
    time: 1,
    batch: to - from,
    labelCount: labels.slice(from, to).filter((label) => label >= 0).length,
    first: true,
  });
  const result = async (backend: Backend, cuts: readonly number[]) => {
    const network = new SoftmaxNetwork();
    const model = new Model(network, backend);
    await model.allocate();
    await model.initialise(1);
    const trainer = new Trainer(model, { microBatches: cuts.length - 1 });
    const batches = cuts.slice(1).map((to, index) => part(cuts[index] as number, to));
    const steps = await trainer.fit([...batches, ...batches, ...batches]);
    return { last: steps.at(-1)!, weight: await model.engine.read(network.weight) };
  };
  for (const { backend, bound } of cases) {
    const together = await result(backend, [0, 7]);
    const apart = await result(backend, [0, 3, 4, 7]);
    t.is(together.last.step, 3);
    t.is(apart.last.tokens, 6);
    t.true(
      Math.abs(together.last.loss - apart.last.loss) <= bound,
      `${backend.name}: ${together.last.loss} ${apart.last.loss}`,
    );
    t.true(Math.abs(together.last.gradientNorm - apart.last.gradientNorm) <= bound);
    for (const [index, value] of together.weight.entries()) {
      t.true(Math.abs(value - (apart.weight[index] as number)) <= 100 * bound); // Adam divides by √v: small gradients weigh more
    }
  }
});

test('a group may be matched by a regular expression with a global flag', (t) => {
  const { parameters } = new LinearNetwork({ a: [1], b: [1], c: [1] });
  const { frozen } = segmentTable(parameters.arena, [{ match: /[abc]/g, frozen: true }], 0);
  t.deepEqual([...frozen], ['a', 'b', 'c']);
});

test('learning rates may follow the step', async (t) => {
  const network = new LinearNetwork({ a: [1] });
  const model = new Model(network, float64);
  await model.allocate();
  const optimizer = { kind: 'sgd' as const };
  const trainer = new Trainer(model, {
    learningRate: (step) => 1 / step,
    weightDecay: 0,
    clipNorm: Number.POSITIVE_INFINITY,
    optimizer,
  });
  const steps = await trainer.fit([1, 1, 1].map((x) => network.batch([x])));
  t.deepEqual(
    steps.map(({ learningRate }) => learningRate),
    [1, 1 / 2, 1 / 3],
  );
  t.deepEqual([...(await model.engine.read(network.parameters.arena.get('a')))], [-(1 + 1 / 2 + 1 / 3)]);
});
