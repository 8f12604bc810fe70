/** `seqgrad train label`: a label for each token of a sequence. */
import type { Command } from 'commander';
import { rung } from '../../data/batching.js';
import { type LabelledSequence, readLabelledSequences } from '../../data/labelled-sequences.js';
import { type Parts, splitRandomly } from '../../data/split.js';
import { collect } from '../../models/collect.js';
import { Labels } from '../../models/labels.js';
import { SequenceLabeller } from '../../models/sequence-labeller.js';
import { measuredClasses, tableText } from '../classes.js';
import { backendFrom, required } from '../command.js';
import { sourceOf, textsToPredict } from '../data.js';
import { networkOf, type RecurrentFlags, withRecurrent } from '../recurrent.js';
import { stepsOf, type TrainingFlags, trainTask, whole, withTraining } from '../training.js';
import type { EvaluateFlags, PredictFlags, Prediction, Task } from './task.js';

interface Flags extends TrainingFlags, RecurrentFlags {
  data?: string;
  validationData?: string;
  testData?: string;
  vocabulary: number;
  minCount: number;
  maxLength: number;
  embedding?: number;
  bidirectional: boolean;
}

const read = (path: string): Promise<LabelledSequence[]> => collect(readLabelledSequences(sourceOf(path)));

async function readParts(flags: Flags): Promise<Parts<LabelledSequence[]>> {
  const all = await read(required(flags.data, '--data <path>'));
  const { validationData, testData } = flags;
  const fractions = {
    validation: validationData === undefined ? flags.validation : 0,
    test: testData === undefined ? flags.test : 0,
  };
  const parts = splitRandomly(all, fractions, flags.seed);
  return {
    train: parts.train,
    validation: validationData === undefined ? parts.validation : await read(validationData),
    test: testData === undefined ? parts.test : await read(testData),
  };
}

async function train(flags: Flags): Promise<void> {
  const parts = await readParts(flags);
  const labelsOf = (sequences: readonly LabelledSequence[]): string[] => sequences.flatMap(({ labels }) => labels);
  // A label may be so rare that chance gives training none of it: the model knows it all the same, and the note says so.
  const { names: labels } = Labels.of([
    ...labelsOf(parts.train),
    ...labelsOf(parts.validation),
    ...labelsOf(parts.test),
  ]);
  const trained = new Set(labelsOf(parts.train));
  const untrained = labels.filter((label) => !trained.has(label));
  const longest = parts.train.reduce((most, { tokens }) => Math.max(most, tokens.length), 1);
  const perEpoch = Math.ceil(parts.train.length / flags.batch);
  const tokens = parts.train.reduce((sum, sequence) => sum + sequence.tokens.length, 0);
  const count = (part: readonly unknown[]): string => part.length.toLocaleString('en');
  await trainTask(flags, {
    unit: 'tokens',
    data: {
      values: {
        train: parts.train.length,
        validation: parts.validation.length,
        test: parts.test.length,
        tokens,
        labels: labels.length,
        untrained,
        longest,
      },
      text:
        `sequences: ${count(parts.train)} to train (${tokens.toLocaleString('en')} tokens), ${count(parts.validation)} for validation, ` +
        `${count(parts.test)} for the test; ${labels.length} labels` +
        (untrained.length === 0 ? '' : `\nnot one in the training part: ${untrained.join(', ')}`),
    },
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
    shape: { time: rung(Math.min(longest, flags.maxLength)), batch: Math.min(flags.batch, parts.train.length) },
    steps: stepsOf(flags, perEpoch),
    evaluateEvery: perEpoch,
    measure: async (model, part, signal) =>
      parts[part].length === 0
        ? undefined
        : measuredClasses(await model.evaluate(parts[part], { batch: flags.batch, signal }), 'tokens'),
    next: `npx seqgrad predict --model ${flags.out} --text "…"`,
  });
}

export const labelTask: Task = {
  name: 'label',
  summary: 'a labeller: one label for each token of a sequence',
  modelTypes: ['sequence_labeller'],

  define(command: Command): void {
    command
      .option(
        '--data <path>',
        'required: a token and its label in each line, an empty line between sequences; or a .jsonl file',
      )
      .option('--validation-data <path>', 'the same for validation, instead of a share of --data')
      .option('--test-data <path>', 'the same for the test, instead of a share of --data')
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
      held: { validation: 'of the sequences that is', test: 'of the sequences that is' },
    }).action(train);
  },

  async evaluate(folder: string, flags: EvaluateFlags) {
    const examples = await read(required(flags.data, '--data <path>'));
    const model = await SequenceLabeller.load(folder, { backend: await backendFrom(flags) });
    return measuredClasses(await model.evaluate(examples, { batch: flags.batch ?? 32 }), 'tokens');
  },

  /** Tokens of a text are what spaces separate. */
  async *predict(folder: string, flags: PredictFlags): AsyncGenerator<Prediction, void, undefined> {
    const texts = await textsToPredict(flags);
    const sequences = texts.map((text) => text.split(/\s+/).filter((token) => token !== ''));
    const model = await SequenceLabeller.load(folder, { backend: await backendFrom(flags) });
    for (const [index, labels] of (await model.predict(sequences)).entries()) {
      const tokens = sequences[index] as string[];
      yield {
        json: { tokens, labels },
        text: `${tableText(tokens.map((token, t) => [token, labels[t] as string]))}\n`,
      };
    }
  },
};
