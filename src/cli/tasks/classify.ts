/** `seqgrad train classify`: the class of a text. */
import { type Command, Option } from 'commander';
import { rung } from '../../data/batching.js';
import { type LabelledText, readLabelledTexts } from '../../data/labelled-texts.js';
import { type Parts, splitStratified } from '../../data/split.js';
import { learnVocabulary } from '../../data/vocabularies.js';
import type { Units } from '../../data/vocabulary.js';
import { collect } from '../../models/collect.js';
import { Labels } from '../../models/labels.js';
import type { Pooling } from '../../models/networks/classifier.js';
import { SequenceClassifier } from '../../models/sequence-classifier.js';
import { measuredClasses } from '../classes.js';
import { backendFrom, required } from '../command.js';
import { sourceOf, textOptions, textsToPredict, withTable, withTextColumns } from '../data.js';
import { networkOf, type RecurrentFlags, withRecurrent } from '../recurrent.js';
import { stepsOf, type TrainingFlags, trainTask, whole, withTraining } from '../training.js';
import type { EvaluateFlags, PredictFlags, Prediction, TableFlags, Task } from './task.js';

interface Flags extends TrainingFlags, RecurrentFlags, TableFlags {
  data?: string;
  validationData?: string;
  testData?: string;
  units: Units;
  vocabulary?: number;
  minCount: number;
  maxLength: number;
  embedding?: number;
  bidirectional: boolean;
  pool: Pooling;
}

/** Examples of a path. */
export const read = (path: string, flags: TableFlags): Promise<LabelledText[]> =>
  collect(readLabelledTexts(sourceOf(path), textOptions(flags)));

/** Parts by share, or from files of their own. */
async function readParts(flags: Flags): Promise<Parts<LabelledText[]>> {
  const all = await read(required(flags.data, '--data <path>'), flags);
  const { validationData, testData } = flags;
  const fractions = {
    validation: validationData === undefined ? flags.validation : 0,
    test: testData === undefined ? flags.test : 0,
  };
  Labels.of(all.map(({ label }) => label)); // refuses one class before it is missing in a part
  const parts = splitStratified(all, ({ label }) => label, fractions, flags.seed);
  return {
    train: parts.train,
    validation: validationData === undefined ? parts.validation : await read(validationData, flags),
    test: testData === undefined ? parts.test : await read(testData, flags),
  };
}

/** A line about the classes that a part does not have, if there are any. */
function absentFrom(part: string, examples: readonly LabelledText[], labels: readonly string[]): string[] {
  const present = new Set(examples.map(({ label }) => label));
  const absent = labels.filter((label) => !present.has(label));
  return examples.length === 0 || absent.length === 0 ? [] : [`not one in the ${part} part: ${absent.join(', ')}`];
}

async function train(flags: Flags): Promise<void> {
  const parts = await readParts(flags);
  const texts = parts.train.map(({ text }) => text);
  const { units, minCount, maxLength, hidden, embedding = hidden } = flags;
  const vocabulary = learnVocabulary(texts, { units, size: flags.vocabulary, minCount });
  const known = Labels.of(parts.train.map(({ label }) => label));
  const labels = known.names;
  for (const { label, where } of [...parts.validation, ...parts.test]) known.index(label, where);
  const absent = (['validation', 'test'] as const).flatMap((part) => absentFrom(part, parts[part], labels));
  const lengths = texts.map((text) => vocabulary.encode(text).length);
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1);
  const cut = lengths.filter((length) => length > maxLength).length;
  const perEpoch = Math.ceil(texts.length / flags.batch);
  const count = (part: readonly unknown[]): string => part.length.toLocaleString('en');
  await trainTask(flags, {
    unit: 'texts',
    data: {
      values: {
        train: parts.train.length,
        validation: parts.validation.length,
        test: parts.test.length,
        classes: labels.length,
        vocabulary: vocabulary.size,
        longest,
        cut,
        absent,
      },
      text:
        `texts: ${count(parts.train)} to train, ${count(parts.validation)} for validation, ${count(parts.test)} for the test; ` +
        `${labels.length} classes, ${vocabulary.size} ${units === 'bpe' ? 'tokens' : `different ${units}`}` +
        (cut === 0
          ? ''
          : `\n${cut} texts of more than ${maxLength} ${units === 'bpe' ? 'tokens' : units} are cut there (--max-length)`) +
        absent.map((each) => `\n${each}`).join(''),
    },
    createModel: async () =>
      SequenceClassifier.create({
        vocabulary,
        labels,
        ...networkOf(flags),
        embeddingSize: embedding,
        bidirectional: flags.bidirectional,
        pooling: flags.pool,
        maxLength,
        backend: await backendFrom(flags),
      }),
    batches: (model) => model.batches(parts.train, { batch: flags.batch, seed: flags.seed }),
    shape: { time: rung(Math.min(longest, maxLength)), batch: Math.min(flags.batch, texts.length) },
    steps: stepsOf(flags, perEpoch),
    evaluateEvery: perEpoch,
    measure: async (model, part, signal) =>
      parts[part].length === 0
        ? undefined
        : measuredClasses(await model.evaluate(parts[part], { batch: flags.batch, signal }), 'texts'),
    next: `npx seqgrad predict --model ${flags.out} --text "…"`,
  });
}

export const classifyTask: Task = {
  name: 'classify',
  summary: 'a classifier of texts',
  modelTypes: ['sequence_classifier'],

  define(command: Command): void {
    command
      .option('--data <path>', 'required: a folder with a file of lines for each class, or a .csv, .tsv or .jsonl file')
      .option('--validation-data <path>', 'the same for validation, instead of a share of --data')
      .option('--test-data <path>', 'the same for the test, instead of a share of --data');
    withTextColumns(command);
    withTable(command, ['error', 'skip']);
    command
      .addOption(
        new Option('--units <kind>', 'what texts are cut into')
          .choices(['characters', 'words', 'bpe'])
          .default('characters'),
      )
      .option('--vocabulary <n>', 'of words: tokens at most (default: 20000); of bpe: tokens (default: 1024)', whole)
      .option('--min-count <n>', 'characters and words that come less often share one token', whole, 2)
      .option('--max-length <n>', 'tokens of a text that are read', whole, 512)
      .option('--embedding <n>', 'elements of a token’s vector (default: as --hidden)', whole)
      .option('--no-bidirectional', 'read texts from their beginning only')
      .addOption(
        new Option('--pool <kind>', 'what stands for a whole text: its last state, or the mean or maximum of all')
          .choices(['last', 'mean', 'max'])
          .default('last'),
      );
    withRecurrent(command, { hidden: 128 });
    withTraining(command, {
      batch: 64,
      epochs: 5,
      schedule: 'cosine',
      validation: 0.1,
      test: 0.1,
      held: { validation: 'of each class that is', test: 'of each class that is' },
    }).action(train);
  },

  async evaluate(folder: string, flags: EvaluateFlags) {
    const examples = await read(required(flags.data, '--data <path>'), flags);
    const model = await SequenceClassifier.load(folder, { backend: await backendFrom(flags) });
    return measuredClasses(await model.evaluate(examples, { batch: flags.batch ?? 64 }), 'texts');
  },

  async *predict(folder: string, flags: PredictFlags): AsyncGenerator<Prediction, void, undefined> {
    const texts = await textsToPredict(flags);
    const model = await SequenceClassifier.load(folder, { backend: await backendFrom(flags) });
    for (const [index, { label, probability, probabilities }] of (await model.predict(texts)).entries()) {
      const text = texts[index] as string;
      const all = Object.fromEntries(model.labels.map((name, at) => [name, probabilities[at]]));
      const beginning = text.replace(/\s+/g, ' ').slice(0, 60);
      yield {
        json: { text, label, probability, probabilities: all },
        text: `${label}  ${(100 * probability).toFixed(1)} %  ${beginning}`,
      };
    }
  },
};
