/**
 * Truncated backpropagation through time is PyTorch's with detach(): windows of k₂ steps that begin k₁ apart, rows that start anew. The
 * state's value flows from window to window, its gradient does not. The fixtures are made by make_bptt.py.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { LanguageModelNetwork } from '../../src/nn/language-model.js';
import type { RecurrentKind } from '../../src/nn/recurrent.js';
import { IGNORED_LABEL } from '../../src/ops/cross-entropy.js';
import { Model } from '../../src/train/model.js';
import { type Batch, Trainer } from '../../src/train/trainer.js';
import { float64 } from '../graph/evaluate.js';
import { tried } from '../train/backends.js';

interface Fixture {
  readonly config: {
    readonly kind: RecurrentKind;
    readonly vocabularySize: number;
    readonly embeddingSize: number;
    readonly hiddenSize: number;
    readonly layers: number;
  };
  readonly k1: number;
  readonly k2: number;
  readonly rows: number;
  readonly windows: number;
  readonly rate: number;
  /** Time-major [T, rows]. */
  readonly resets: readonly number[] | null;
  readonly tokens: readonly number[];
  readonly labels: readonly number[];
  readonly before: Readonly<Record<string, readonly number[]>>;
  readonly losses: readonly number[];
  readonly after: Readonly<Record<string, readonly number[]>>;
}

const FIXTURES = 'test/golden/bptt';
const fixtures = new Map(
  readdirSync(FIXTURES).map((name) => [name, JSON.parse(readFileSync(join(FIXTURES, name), 'utf8')) as Fixture]),
);

/** The windows, each of `k2` steps; the labels of the first k2 − k1 have been counted by the window before. */
function* windowsOf({ k1, rows, windows, resets, ...its }: Fixture, k2: number): Generator<Batch> {
  // The ends are the fixture's; a longer window begins earlier.
  const endOf = (window: number): number => window * k1 + its.k2;
  const startOf = (window: number): number => Math.max(0, endOf(window) - k2);
  for (let window = 0; window < windows; window++) {
    const [start, end] = [startOf(window), endOf(window)];
    const part = (of: readonly number[]): number[] => of.slice(start * rows, end * rows);
    const old = window === 0 ? 0 : end - start - k1;
    const labels = part(its.labels).map((label, index) => (index < old * rows ? IGNORED_LABEL : label));
    yield {
      inputs: { tokens: part(its.tokens), labels, ...(resets && { resets: part(resets) }) },
      time: end - start,
      batch: rows,
      carry: startOf(window + 1) - start,
      resets: resets !== null,
      labelCount: labels.filter((label) => label !== IGNORED_LABEL).length,
      first: window === 0,
    };
  }
}

interface Outcome {
  readonly losses: readonly number[];
  readonly parameters: ReadonlyMap<string, ArrayLike<number>>;
}

async function train(fixture: Fixture, backend: Backend, batches: Iterable<Batch>): Promise<Outcome> {
  const model = new Model(new LanguageModelNetwork(fixture.config), backend);
  await model.allocate();
  const { variables } = model.network.parameters.arena;
  for (const variable of variables) await model.engine.write(variable, fixture.before[variable.name] as number[]);
  const trainer = new Trainer(model, {
    learningRate: fixture.rate,
    weightDecay: 0,
    clipNorm: Number.POSITIVE_INFINITY,
    optimizer: { kind: 'sgd', momentum: 0 },
  });
  const history = await trainer.fit(batches);
  const parameters = new Map<string, ArrayLike<number>>();
  for (const variable of variables) parameters.set(variable.name, await model.engine.read(variable));
  return { losses: history.map(({ loss }) => loss), parameters };
}

const norm = (values: readonly number[]): number => Math.hypot(...values);

/** The largest relative distance of a parameter from what PyTorch has in the end. */
function distance({ parameters }: Outcome, { after }: Fixture): number {
  const distances = Object.entries(after).map(([name, expected]) => {
    const actual = parameters.get(name) ?? [];
    return norm(expected.map((value, index) => value - (actual[index] as number))) / norm(expected);
  });
  return Math.max(...distances);
}

for (const [name, fixture] of fixtures) {
  test(`${name}: parameters and losses are PyTorch’s, step by step`, async (t) => {
    const outcome = await train(fixture, float64, windowsOf(fixture, fixture.k2));
    t.is(outcome.parameters.size, Object.keys(fixture.after).length);
    t.true(distance(outcome, fixture) < 1e-12, `${distance(outcome, fixture)}`);
    for (const [index, loss] of fixture.losses.entries())
      t.true(Math.abs((outcome.losses[index] as number) - loss) < 1e-12, `window ${index}`);
  });

  for (const { name: backendName, backend, cause } of tried) {
    if (backend === undefined) test.skip(`${name} on ${backendName} (skipped: ${cause})`, () => {});
    else
      test(`${name}: parameters are PyTorch’s on ${backendName}`, async (t) => {
        t.true(distance(await train(fixture, backend, windowsOf(fixture, fixture.k2)), fixture) < 2e-5);
      });
  }

  test(`${name}: without the state’s value the outcome is another`, async (t) => {
    const forgetful = [...windowsOf(fixture, fixture.k2)].map((batch) => ({ ...batch, first: true }));
    t.true(distance(await train(fixture, float64, forgetful), fixture) > 1e-4);
  });

  if (fixture.k1 === 1) continue;
  test(`${name}: with gradients that flow one step further the outcome is another`, async (t) => {
    const longer = [...windowsOf(fixture, fixture.k2 + 1)];
    t.true(distance(await train(fixture, float64, longer), fixture) > 1e-6);
  });
}
