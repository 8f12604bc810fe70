import test from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import type { Graph } from '../../src/graph/graph.js';
import type { Tensor } from '../../src/graph/tensor.js';
import { LanguageModelNetwork } from '../../src/nn/language-model.js';
import { reshape } from '../../src/ops/copy.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import { embedding } from '../../src/ops/embedding.js';
import { linear } from '../../src/ops/matmul.js';
import type { Arena } from '../../src/program/variable.js';
import { type BatchShape, Model, type Network } from '../../src/train/model.js';
import { Trainer, type TrainingStep } from '../../src/train/trainer.js';
import { unrolledLstm } from '../ops/unrolled.js';
import { onEvery } from './backends.js';
import { smallModel, text, vocabulary } from './text.js';

const config = {
  kind: 'lstm' as const,
  vocabularySize: vocabulary.size,
  embeddingSize: 7,
  hiddenSize: 12,
  layers: 1,
  dropout: 0,
};

/** The language model with its recurrence written as small ops, as a user would write a cell of their own. */
class UnrolledNetwork implements Network {
  readonly #fused = new LanguageModelNetwork(config);
  readonly parameters = this.#fused.parameters;

  stateArena(name: string, batch: number): Arena {
    return this.#fused.stateArena(name, batch);
  }

  loss(graph: Graph, { time, batch }: BatchShape, state: Arena, denominator: Tensor): { loss: Tensor; next: Tensor[] } {
    const read = (name: string): Tensor => graph.read(this.parameters.arena.get(name));
    const x = embedding(read('embedding.weight'), graph.input('tokens', [time, batch], 'i32'));
    const weights = {
      inputWeight: read('lstm.weight_ih_l0'),
      hiddenWeight: read('lstm.weight_hh_l0'),
      inputBias: read('lstm.bias_ih_l0'),
      hiddenBias: read('lstm.bias_hh_l0'),
    };
    const { steps, output } = unrolledLstm(x, weights, {
      h0: graph.read(state.get('h.0')),
      c0: graph.read(state.get('c.0')),
    });
    const logits = linear(output, read('head.weight'), read('head.bias'));
    const labels = graph.input('labels', [time * batch], 'i32');
    const last = steps.at(-1);
    return {
      loss: crossEntropy(reshape(logits, [time * batch, config.vocabularySize]), labels, denominator),
      next: [last?.hidden as Tensor, last?.cell as Tensor],
    };
  }
}

const options = { learningRate: 0.02, seed: 4 };
const windows = { batch: 4, window: 6 };

async function train(backend: Backend, form: 'fused' | 'unrolled'): Promise<TrainingStep[]> {
  const fused = await smallModel(backend);
  const batches = fused.batches(text, windows);
  if (form === 'fused') return new Trainer(fused, options).fit(batches, { steps: 30 });
  const model = new Model(new UnrolledNetwork(), backend);
  await model.allocate();
  await model.initialise(5);
  return new Trainer(model, options).fit(batches, { steps: 30 });
}

onEvery('a recurrence of small ops trains, step by step as the fused one does', async (t, backend) => {
  const [fused, unrolled] = await Promise.all([train(backend, 'fused'), train(backend, 'unrolled')]);
  for (const [index, { loss, gradientNorm }] of unrolled.entries()) {
    const expected = fused[index] as TrainingStep;
    // Both are right to float32 rounding; thirty steps of Adam, which divides by √v, let that grow.
    t.true(Math.abs(loss - expected.loss) <= 1e-4, `step ${index + 1}: loss ${loss} for ${expected.loss}`);
    t.true(Math.abs(gradientNorm - expected.gradientNorm) <= 1e-3 * expected.gradientNorm);
  }
  t.true((unrolled.at(-1)?.loss as number) < 0.8 * (unrolled[0]?.loss as number));
});

test('planted fault: a step more or less is noticed; in float64 nothing else differs', async (t) => {
  const { float64 } = await import('../graph/evaluate.js');
  const [fused, unrolled] = await Promise.all([train(float64, 'fused'), train(float64, 'unrolled')]);
  t.true(Math.abs((fused[5]?.loss as number) - (unrolled[6]?.loss as number)) > 1e-4);
  t.true(Math.abs((fused[6]?.loss as number) - (unrolled[6]?.loss as number)) < 1e-10);
});
