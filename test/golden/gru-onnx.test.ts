/** Both conventions of the GRU are those of ONNX, and so of Keras. The fixture is made by make_gru_onnx.mjs with onnxruntime. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { Engine } from '../../src/backends/engine.js';
import { Graph } from '../../src/graph/graph.js';
import { plan } from '../../src/graph/plan.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { gru } from '../../src/ops/gru.js';
import { float64 } from '../graph/evaluate.js';

interface Fixture {
  readonly linearBeforeReset: number;
  readonly directions: number;
  readonly T: number;
  readonly B: number;
  readonly I: number;
  readonly H: number;
  readonly lengths: readonly number[];
  readonly inputs: Readonly<Record<'X' | 'W' | 'R' | 'B' | 'initial_h', readonly number[]>>;
  readonly outputs: Readonly<Record<'Y' | 'Y_h', readonly number[]>>;
}

const fixtures = JSON.parse(readFileSync('test/golden/gru-onnx.json', 'utf8')) as readonly Fixture[];

/** Rows of ONNX’s gates z, r, h in our order r, z, n. */
function reordered(values: readonly number[], block: number): number[] {
  return [...values.slice(block, 2 * block), ...values.slice(0, block), ...values.slice(2 * block)];
}

/** What one direction gives, with the lengths and initial state of the fixture. */
async function run(
  fixture: Fixture,
  direction: number,
  resetBefore: boolean,
): Promise<{ Y: Float64Array; last: Float64Array }> {
  const { T, B, I, H, inputs, lengths } = fixture;
  const part = (name: 'W' | 'R' | 'B' | 'initial_h', size: number): number[] =>
    inputs[name].slice(direction * size, (direction + 1) * size);
  const biases = part('B', 6 * H);
  const values: Record<string, readonly number[]> = {
    x: inputs.X,
    inputWeight: reordered(part('W', 3 * H * I), H * I),
    hiddenWeight: reordered(part('R', 3 * H * H), H * H),
    inputBias: reordered(biases.slice(0, 3 * H), H),
    hiddenBias: reordered(biases.slice(3 * H), H),
    h0: part('initial_h', B * H),
    lengths,
  };
  const graph = new Graph();
  const shapes = {
    x: [T, B, I],
    inputWeight: [3 * H, I],
    hiddenWeight: [3 * H, H],
    inputBias: [3 * H],
    hiddenBias: [3 * H],
  };
  const tensors = Object.fromEntries(
    Object.entries({ ...shapes, h0: [B, H] }).map(([name, shape]) => [name, graph.input(name, shape)]),
  ) as Record<keyof typeof shapes | 'h0', Tensor>;
  const options = {
    h0: tensors.h0,
    lengths: graph.input('lengths', [B], 'i32'),
    reverse: direction === 1,
    resetBefore,
  };
  const { output, hLast } = gru(tensors.x, tensors, options);
  graph.output('Y', output);
  graph.output('last', hLast);
  return (await new Engine(float64).run(plan(graph), values)) as unknown as { Y: Float64Array; last: Float64Array };
}

/** The largest difference from what onnxruntime has, over all directions. Its Y is [T, D, B, H]. */
async function distance(fixture: Fixture, resetBefore: boolean): Promise<number> {
  const { T, B, H, directions: D, outputs } = fixture;
  let most = 0;
  for (let direction = 0; direction < D; direction++) {
    const { Y, last } = await run(fixture, direction, resetBefore);
    for (let t = 0; t < T; t++) {
      for (let i = 0; i < B * H; i++) {
        const expected = outputs.Y[(t * D + direction) * B * H + i] as number;
        most = Math.max(most, Math.abs((Y[t * B * H + i] as number) - expected));
      }
    }
    for (const [i, value] of last.entries())
      most = Math.max(most, Math.abs(value - (outputs.Y_h[direction * B * H + i] as number)));
  }
  return most;
}

for (const fixture of fixtures) {
  const { linearBeforeReset, directions } = fixture;
  test(`linear_before_reset ${linearBeforeReset}, ${directions} directions: as onnxruntime in float32`, async (t) => {
    const most = await distance(fixture, linearBeforeReset === 0);
    t.true(most < 1e-5, `${most}`);
    t.true((await distance(fixture, linearBeforeReset === 1)) > 1e-2, 'the other convention is another');
  });
}
