/** `seqgrad train label`: a label for each token of a sequence. */
import type { Command } from 'commander';
import { rung } from '../../data/batching.js';
import { SequenceLabeller } from '../../models/sequence-labeller.js';
import { measuredClasses, tableText } from '../classes.js';
import { backendFrom, required } from '../command.js';
import { textsToPredict } from '../data.js';
import { networkOf, type RecurrentFlags, withRecurrent } from '../recurrent.js';
import {
  heldSequences,
  longestOf,
  readSequenceParts,
  readSequences,
  type SequenceFlags,
  withSequenceFiles,
} from '../sequence-parts.js';
import { stepsOf, type TrainingFlags, trainTask, whole, withTraining } from '../training.js';
import type { EvaluateFlags, PredictFlags, Prediction, Task } from './task.js';

interface Flags extends TrainingFlags, RecurrentFlags, SequenceFlags {
  vocabulary: number;
  minCount: number;
  maxLength: number;
  embedding?: number;
  bidirectional: boolean;
}

async function train(flags: Flags): Promise<void> {
  const { parts, labels, data } = await readSequenceParts(flags);
  const perEpoch = Math.ceil(parts.train.length / flags.batch);
  await trainTask(flags, {
    unit: 'tokens',
    data,
    createModel: async () =>
      SequenceLabeller.fromExamples(parts.train, {
        labels,
        ...networkOf(flags),
        embeddingSize: flags.embedding ?? flags.hidden,
        bidirectional: flags.bidirectional,
        maxLength: flags.maxLength,
        minCount: flags.minCount,
        maxSize: flags.vocabulary,
        backend: await backendFrom(flags),
      }),
    batches: (model) => model.batches(parts.train, { batch: flags.batch, seed: flags.seed }),
    shape: {
      time: rung(Math.min(longestOf(parts.train), flags.maxLength)),
      batch: Math.min(flags.batch, parts.train.length),
    },
    steps: stepsOf(flags, perEpoch),
    evaluateEvery: perEpoch,
    measure: async (model, part, signal) =>
      parts[part].length === 0
        ? undefined
        : measuredClasses(await model.evaluate(parts[part], { batch: flags.batch, signal }), 'tokens'),
    next: `npx seqgrad predict --model ${flags.out} --text "…"`,
  });
}

/** Tokens below each other with their labels; null for those that the model did not read. */
export const labelledTokens = (tokens: readonly string[], labels: readonly (string | undefined)[]): Prediction => ({
  json: { tokens, labels: labels.map((label) => label ?? null) },
  text: `${tableText(tokens.map((token, t) => [token, labels[t] ?? '–']))}\n`,
});

export const labelTask: Task = {
  name: 'label',
  summary: 'a labeller: one label for each token of a sequence',
  modelTypes: ['sequence_labeller'],

  define(command: Command): void {
    withSequenceFiles(command)
      .option('--vocabulary <n>', 'tokens of the vocabulary at most', whole, 20_000)
      .option('--min-count <n>', 'words that come less often share one token', whole, 2)
      .option('--max-length <n>', 'tokens of a sequence at most', whole, 512)
      .option('--embedding <n>', 'elements of a token’s vector (default: as --hidden)', whole)
      .option('--no-bidirectional', 'read sequences from their beginning only');
    withRecurrent(command, { hidden: 128 });
    withTraining(command, {
      batch: 32,
      epochs: 5,
      schedule: 'cosine',
      validation: 0.1,
      test: 0.1,
      held: heldSequences,
    }).action(train);
  },

  async evaluate(folder: string, flags: EvaluateFlags) {
    const examples = await readSequences(required(flags.data, '--data <path>'));
    const model = await SequenceLabeller.load(folder, { backend: await backendFrom(flags) });
    return measuredClasses(await model.evaluate(examples, { batch: flags.batch ?? 32 }), 'tokens');
  },

  /** Tokens of a text are what spaces separate. */
  async *predict(folder: string, flags: PredictFlags): AsyncGenerator<Prediction, void, undefined> {
    const texts = await textsToPredict(flags);
    const sequences = texts.map((text) => text.split(/\s+/).filter((token) => token !== ''));
    const model = await SequenceLabeller.load(folder, { backend: await backendFrom(flags) });
    for (const [index, labels] of (await model.predict(sequences)).entries()) {
      yield labelledTokens(sequences[index] as string[], labels);
    }
  },
};
