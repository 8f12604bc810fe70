/** The backward instructions of the reference are the derivatives of its forward instructions. */
import test from 'ava';
import type { InstructionName } from '../../src/program/instructions.js';
import { type Arrays, type GradientCheck, randomArray, run64, wrongGradients } from '../support/gradcheck.js';
import { randomFrom } from '../support/random.js';

const array = (length: number, seed: string): Float64Array => randomArray(randomFrom(seed), length);
const ints = (...values: number[]): Float64Array => Float64Array.from(values);
const empty = new Float64Array();
const output = (outputs: Arrays, name: string): Float64Array => outputs[name] ?? empty;

function elementwise(forward: InstructionName, backward: InstructionName): GradientCheck {
  const dims = { n: 37 };
  return {
    title: backward,
    inputs: { x: array(37, 'x').map((value) => 3 * value) },
    wrt: ['x'],
    cotangents: { y: array(37, 'dy') },
    value: (inputs) => run64({ instruction: forward, dims, inputs }),
    gradient: async (inputs, cotangents) => {
      const { y = empty } = await run64({ instruction: forward, dims, inputs });
      const { dx = empty } = await run64({ instruction: backward, dims, inputs: { y, dy: output(cotangents, 'y') } });
      return { x: dx };
    },
  };
}

/** An instruction that is its own gradient: the cotangent takes the place of x. */
function selfAdjoint(
  instruction: InstructionName,
  dims: Readonly<Record<string, number>>,
  others: Arrays,
  scalars: Readonly<Record<string, number>> = {},
): GradientCheck {
  const length = Object.entries(dims).reduce(
    (product, [name, size]) => (name === 'stream' ? product : product * size),
    1,
  );
  const apply = (x: Float64Array): Promise<Arrays> => run64({ instruction, dims, scalars, inputs: { x, ...others } });
  return {
    title: instruction,
    inputs: { x: array(length, 'x') },
    wrt: ['x'],
    cotangents: { y: array(length, 'dy') },
    value: (inputs) => apply(output(inputs, 'x')),
    gradient: async (_, cotangents) => ({ x: output(await apply(output(cotangents, 'y')), 'y') }),
  };
}

const embeddingDims = { N: 7, V: 5, C: 3 };
const ids = ints(4, 0, 4, 1, 4, 0, 3);
const embedding: GradientCheck = {
  title: 'embeddingBackward',
  inputs: { table: array(15, 'table') },
  wrt: ['table'],
  cotangents: { y: array(21, 'dy') },
  value: ({ table = empty }) => run64({ instruction: 'embedding', dims: embeddingDims, inputs: { table, ids } }),
  gradient: async (_, { y: dy = empty }) => {
    const backward = await run64({ instruction: 'embeddingBackward', dims: embeddingDims, inputs: { ids, dy } });
    return { table: output(backward, 'dTable') };
  },
};

const logitDims = { N: 5, V: 7 };
const labelled = { labels: ints(3, -100, 0, 6, 3), denominator: ints(4) };
const crossEntropy = (smoothing: number): GradientCheck => ({
  title: `softmaxCrossEntropy, smoothing ${smoothing}`,
  inputs: { logits: array(35, 'logits').map((value) => 3 * value) },
  wrt: ['logits'],
  cotangents: { rowLoss: new Float64Array(5).fill(1) }, // dLogits is the gradient of the sum of the losses
  value: ({ logits = empty }) =>
    run64({
      instruction: 'softmaxCrossEntropy',
      dims: logitDims,
      scalars: { smoothing },
      inputs: { logits, ...labelled },
    }),
  gradient: async ({ logits = empty }) => {
    const outputs = await run64({
      instruction: 'softmaxCrossEntropy',
      dims: logitDims,
      scalars: { smoothing },
      inputs: { logits, ...labelled },
    });
    return { logits: output(outputs, 'dLogits') };
  },
});

const checks: readonly GradientCheck[] = [
  elementwise('sigmoid', 'sigmoidBackward'),
  elementwise('tanh', 'tanhBackward'),
  elementwise('relu', 'reluBackward'),
  selfAdjoint('maskSteps', { T: 4, B: 3, C: 5 }, { lengths: ints(2, 0, 9) }),
  selfAdjoint('dropout', { n: 37, stream: 3 }, { random: ints(1, 2, 3) }, { rate: 0.5, keepScale: 2 }),
  embedding,
  crossEntropy(0),
  crossEntropy(0.25),
];

for (const check of checks) {
  test.serial(`${check.title} is the gradient`, async (t) => t.deepEqual(await wrongGradients(check), []));
}

for (const check of checks) {
  test.serial(`${check.title} that is wrong in one element is found out`, async (t) => {
    const wrong = async (inputs: Arrays, cotangents: Arrays): Promise<Arrays> => {
      const gradients = await check.gradient(inputs, cotangents);
      const [name = ''] = check.wrt;
      const changed = output(gradients, name).slice();
      const largest = changed.reduce(
        (most, value, i) => (Math.abs(value) > Math.abs(changed[most] as number) ? i : most),
        0,
      );
      changed[largest] = (changed[largest] as number) * 1.001;
      return { ...gradients, [name]: changed };
    };
    t.is((await wrongGradients({ ...check, gradient: wrong })).length, 1);
  });
}
