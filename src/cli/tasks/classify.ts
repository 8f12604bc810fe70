/** `seqgrad train classify`: the class of a text. */
import { type Command, Option } from 'commander';
import { type LabelledText, readLabelledTexts } from '../../data/labelled-texts.js';
import { type Parts, splitRandomly, splitStratified } from '../../data/split.js';
import { collect } from '../../models/collect.js';
import { Labels } from '../../models/labels.js';
import { required } from '../command.js';
import { inputsToPredict, sourceOf, textOptions, withTable, withTextColumns } from '../data.js';
import { checkSource, ENCODER_ONLY, RATES, withEncoder } from '../encoder.js';
import { givenIn, refuseGiven } from '../given.js';
import { RECURRENT_ONLY, withRecurrent } from '../recurrent.js';
import { stepsOf, trainTask, whole, withTraining } from '../training.js';
import {
  type BertFlags,
  type Classifier,
  type DataFlags,
  loadClassifier,
  measured,
  type OurFlags,
  predictions,
  prepare,
} from './classifiers.js';
import type { EvaluateFlags, PredictFlags, TableFlags, Task } from './task.js';

/** Examples of a path. */
export const read = (path: string, flags: TableFlags): Promise<LabelledText[]> =>
  collect(readLabelledTexts(sourceOf(path), textOptions(flags)));

/** Parts by share, or from files of their own. */
async function readParts(flags: DataFlags): Promise<Parts<LabelledText[]>> {
  const all = await read(required(flags.data, '--data <path>'), flags);
  const { validationData, testData } = flags;
  const fractions = {
    validation: validationData === undefined ? flags.validation : 0,
    test: testData === undefined ? flags.test : 0,
  };
  const labelOf = ({ label }: LabelledText): string => label;
  if (!flags.regression) Labels.of(all.map(labelOf)); // refuses one class before it is missing in a part
  const parts = flags.regression
    ? splitRandomly(all, fractions, flags.seed)
    : splitStratified(all, labelOf, fractions, flags.seed);
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

/** What BERT has other defaults for than recurrent networks. */
const BERT_DEFAULTS = {
  ...{ batch: 32, epochs: 3, schedule: 'linear', warmup: 0.1 },
  ...{ hidden: undefined, layers: undefined, dropout: undefined },
};

const BERT_HELP =
  '--batch 32, --epochs 3, --schedule linear, --warmup 0.1;\n  --hidden, --layers and --dropout as in the preset';

/** The flags with the defaults of the network that was asked for. @throws OptionError for options of the other one */
function settled(flags: OurFlags | BertFlags, command: Command): OurFlags | BertFlags {
  if (flags.model !== 'bert') {
    refuseGiven(command, [...ENCODER_ONLY, 'pairColumn', 'regression'], 'with --model bert');
    return flags;
  }
  const others = [...RECURRENT_ONLY, 'units', 'minCount', 'embedding', 'bidirectional', 'pool'];
  refuseGiven(command, others, 'with --model rnn, lstm or gru');
  checkSource(command, flags);
  return { ...flags, ...BERT_DEFAULTS, ...givenIn(command, flags) } as BertFlags;
}

/** The classes to train on. @throws DataError for others in the held-out parts */
function knownLabels({ train, validation, test }: Parts<LabelledText[]>): readonly string[] {
  const known = Labels.of(train.map(({ label }) => label));
  for (const { label, where } of [...validation, ...test]) known.index(label, where);
  return known.names;
}

async function train(all: OurFlags | BertFlags, command: Command): Promise<void> {
  const flags = settled(all, command);
  const parts = await readParts(flags);
  const labels = flags.regression ? undefined : knownLabels(parts);
  const { lengths, maxLength, time, vocabulary, units, training } = await prepare(flags, parts.train, labels);
  const absent = (['validation', 'test'] as const).flatMap((part) => absentFrom(part, parts[part], labels ?? []));
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1);
  const cut = lengths.filter((length) => length > maxLength).length;
  const perEpoch = Math.ceil(lengths.length / flags.batch);
  const count = (part: readonly unknown[]): string => part.length.toLocaleString('en');
  await trainTask<Classifier>(flags, {
    ...training,
    unit: 'texts',
    data: {
      values: {
        train: parts.train.length,
        validation: parts.validation.length,
        test: parts.test.length,
        ...(labels && { classes: labels.length }),
        vocabulary,
        longest,
        cut,
        absent,
      },
      text:
        `texts: ${count(parts.train)} to train, ${count(parts.validation)} for validation, ${count(parts.test)} for the test; ` +
        `${labels === undefined ? 'a number for each' : `${labels.length} classes`}, ${vocabulary} different ${units}` +
        (cut === 0 ? '' : `\n${cut} texts of more than ${maxLength} ${units} are cut there (--max-length)`) +
        absent.map((each) => `\n${each}`).join(''),
    },
    batches: (model) => model.batches(parts.train, { batch: flags.batch, seed: flags.seed }),
    shape: { time, batch: Math.min(flags.batch, lengths.length) },
    steps: stepsOf(flags, perEpoch),
    evaluateEvery: perEpoch,
    measure: async (model, part, signal) =>
      parts[part].length === 0 ? undefined : measured(model, parts[part], { batch: flags.batch, signal }),
    next: `npx seqgrad predict --model ${flags.out} --text "…"`,
  });
}

export const classifyTask: Task = {
  name: 'classify',
  summary: 'a classifier of texts',
  modelTypes: ['sequence_classifier', 'BertForSequenceClassification'],

  define(command: Command): void {
    command
      .option('--data <path>', 'required: a folder with a file of lines for each class, or a .csv, .tsv or .jsonl file')
      .option('--validation-data <path>', 'the same for validation, instead of a share of --data')
      .option('--test-data <path>', 'the same for the test, instead of a share of --data');
    withTextColumns(command).option('--regression', 'bert: labels are numbers, to be estimated');
    withTable(command, ['error', 'skip']);
    command
      .addOption(
        new Option('--units <kind>', 'what texts are cut into')
          .choices(['characters', 'words', 'bpe'])
          .default('characters'),
      )
      .option(
        '--vocabulary <n>',
        'of words: tokens at most (default: 20000); of bpe: tokens (default: 1024); of bert: tokens (default: 8192)',
        whole,
      )
      .option('--min-count <n>', 'characters and words that come less often share one token', whole, 2)
      .option('--max-length <n>', 'tokens of a text that are read (default: 512; bert: 128)', whole)
      .option('--embedding <n>', 'elements of a token’s vector (default: as --hidden)', whole)
      .option('--no-bidirectional', 'read texts from their beginning only')
      .addOption(
        new Option('--pool <kind>', 'what stands for a whole text: its last state, or the mean or maximum of all')
          .choices(['last', 'mean', 'max'])
          .default('last'),
      );
    withRecurrent(command, { hidden: 128, others: ['bert'] });
    withEncoder(command, 'With --model bert:', { shared: true });
    command.addHelpText('after', `\nDefaults with --model bert:\n  ${BERT_HELP}.`);
    withTraining(command, {
      lr: `2e-3; bert: ${RATES}`,
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
    return measured(await loadClassifier(folder, flags), examples, { batch: flags.batch ?? 64 });
  },

  async *predict(folder: string, flags: PredictFlags) {
    const inputs = await inputsToPredict(flags);
    yield* predictions(await loadClassifier(folder, flags), inputs);
  },
};
