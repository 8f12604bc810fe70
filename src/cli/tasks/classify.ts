/** `seqgrad train classify`: the class of a text. */
import { type Command, Option } from 'commander';
import { rung } from '../../data/batching.js';
import { type LabelledText, readLabelledTexts } from '../../data/labelled-texts.js';
import { type Parts, splitStratified } from '../../data/split.js';
import { learnVocabulary } from '../../data/vocabularies.js';
import type { Units } from '../../data/vocabulary.js';
import { BertForSequenceClassification } from '../../models/bert-sequence-classification.js';
import { collect } from '../../models/collect.js';
import { Labels } from '../../models/labels.js';
import type { Pooling } from '../../models/networks/classifier.js';
import { SequenceClassifier } from '../../models/sequence-classifier.js';
import { WordPieceTokenizer } from '../../text/tokenizer.js';
import { measuredClasses } from '../classes.js';
import { type BackendFlags, backendFrom, required } from '../command.js';
import { sourceOf, textOptions, textsToPredict, withTable, withTextColumns } from '../data.js';
import {
  checkSource,
  ENCODER_ONLY,
  type EncoderFlags,
  freshRate,
  groupsOf,
  initialFrom,
  ratesOf,
  sizesOf,
  tuningRate,
  withEncoder,
} from '../encoder.js';
import { givenIn, refuseGiven } from '../given.js';
import { networkOf, RECURRENT_ONLY, type RecurrentFlags, withRecurrent } from '../recurrent.js';
import { stepsOf, type TaskTraining, type TrainingFlags, trainTask, whole, withTraining } from '../training.js';
import { kindOf } from './kind.js';
import type { EvaluateFlags, PredictFlags, Prediction, TableFlags, Task } from './task.js';

type Classifier = SequenceClassifier | BertForSequenceClassification;

interface DataFlags extends TrainingFlags, TableFlags {
  data?: string;
  validationData?: string;
  testData?: string;
  vocabulary?: number;
  maxLength?: number;
}

interface BertFlags extends DataFlags, EncoderFlags {
  model: 'bert';
}

interface OurFlags extends DataFlags, RecurrentFlags {
  units: Units;
  minCount: number;
  embedding?: number;
  bidirectional: boolean;
  pool: Pooling;
}

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

/** What differs between networks: how texts are cut, and the model. */
interface Prepared {
  /** Tokens of each text to train on. */
  readonly lengths: readonly number[];
  readonly maxLength: number;
  readonly vocabulary: number;
  /** What tokens are called. */
  readonly units: string;
  readonly training: Pick<TaskTraining<Classifier>, 'createModel' | 'learningRate' | 'groups' | 'about'>;
}

type Examples = readonly LabelledText[];

function prepareRecurrent(flags: OurFlags, examples: Examples, labels: readonly string[]): Prepared {
  const texts = examples.map(({ text }) => text);
  const { units, minCount, hidden, embedding = hidden, maxLength = 512 } = flags;
  const vocabulary = learnVocabulary(texts, { units, size: flags.vocabulary, minCount });
  return {
    lengths: texts.map((text) => vocabulary.encode(text).length),
    maxLength,
    vocabulary: vocabulary.size,
    units: units === 'bpe' ? 'tokens' : units,
    training: {
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
      learningRate: () => 2e-3,
    },
  };
}

async function prepareBert(flags: BertFlags, examples: Examples, labels: readonly string[]): Promise<Prepared> {
  const { from, seed, vocabulary: size = 8192, cased } = flags;
  const initial = await initialFrom(from);
  const maxLength = Math.min(flags.maxLength ?? 128, initial?.maxPositions ?? Number.POSITIVE_INFINITY);
  const texts = examples.flatMap(({ text, pair }) => (pair === undefined ? [text] : [text, pair]));
  const tokenizer = initial?.tokenizer ?? (await WordPieceTokenizer.learn(texts, { size, lowercase: cased !== true }));
  return {
    lengths: examples.map(({ text, pair }) => tokenizer.encode(text, { pair }).tokens.length),
    maxLength,
    vocabulary: tokenizer.size,
    units: 'pieces of words',
    training: {
      createModel: async () => {
        const settings = { labels, maxLength, tokenizer, seed, backend: await backendFrom(flags) };
        if (from !== undefined) {
          return BertForSequenceClassification.load(from, { ...settings, freshHead: true, ...ratesOf(flags) });
        }
        return BertForSequenceClassification.create({ ...settings, ...sizesOf(flags), maxPositions: maxLength });
      },
      learningRate: (model) => {
        const { hiddenSize } = (model as BertForSequenceClassification).config;
        return (from === undefined ? freshRate : tuningRate)(hiddenSize);
      },
      groups: (model) => groupsOf(model, flags),
      about: (model) =>
        from === undefined ? undefined : { from, ...(model as BertForSequenceClassification).checkpoint },
    },
  };
}

/** What BERT has other defaults for than recurrent networks. */
const BERT_DEFAULTS = {
  ...{ batch: 32, epochs: 3, schedule: 'linear', warmup: 0.1 },
  ...{ hidden: undefined, layers: undefined, dropout: undefined },
};

/** The flags with the defaults of the network that was asked for. @throws OptionError for options of the other one */
function settled(flags: OurFlags | BertFlags, command: Command): OurFlags | BertFlags {
  if (flags.model !== 'bert') {
    refuseGiven(command, [...ENCODER_ONLY, 'pairColumn'], 'with --model bert');
    return flags;
  }
  const others = [...RECURRENT_ONLY, 'units', 'minCount', 'embedding', 'bidirectional', 'pool'];
  refuseGiven(command, others, 'with --model rnn, lstm or gru');
  checkSource(command, flags);
  return { ...flags, ...BERT_DEFAULTS, ...givenIn(command, flags) } as BertFlags;
}

async function train(all: OurFlags | BertFlags, command: Command): Promise<void> {
  const flags = settled(all, command);
  const parts = await readParts(flags);
  const known = Labels.of(parts.train.map(({ label }) => label));
  const labels = known.names;
  for (const { label, where } of [...parts.validation, ...parts.test]) known.index(label, where);
  const prepared =
    flags.model === 'bert'
      ? await prepareBert(flags, parts.train, labels)
      : prepareRecurrent(flags, parts.train, labels);
  const { lengths, maxLength, vocabulary, units, training } = prepared;
  const absent = (['validation', 'test'] as const).flatMap((part) => absentFrom(part, parts[part], labels));
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
        classes: labels.length,
        vocabulary,
        longest,
        cut,
        absent,
      },
      text:
        `texts: ${count(parts.train)} to train, ${count(parts.validation)} for validation, ${count(parts.test)} for the test; ` +
        `${labels.length} classes, ${vocabulary} different ${units}` +
        (cut === 0 ? '' : `\n${cut} texts of more than ${maxLength} ${units} are cut there (--max-length)`) +
        absent.map((each) => `\n${each}`).join(''),
    },
    batches: (model) => model.batches(parts.train, { batch: flags.batch, seed: flags.seed }),
    shape: { time: rung(Math.min(longest, maxLength)), batch: Math.min(flags.batch, lengths.length) },
    steps: stepsOf(flags, perEpoch),
    evaluateEvery: perEpoch,
    measure: async (model, part, signal) =>
      parts[part].length === 0
        ? undefined
        : measuredClasses(await model.evaluate(parts[part], { batch: flags.batch, signal }), 'texts'),
    next: `npx seqgrad predict --model ${flags.out} --text "…"`,
  });
}

/** The classifier of a folder. @throws FileError, FormatError */
async function load(folder: string, flags: BackendFlags): Promise<Classifier> {
  const backend = await backendFrom(flags);
  if ((await kindOf(folder)) === 'sequence_classifier') return SequenceClassifier.load(folder, { backend });
  return BertForSequenceClassification.load(folder, { tokenizer: await WordPieceTokenizer.load(folder), backend });
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
    withTextColumns(command).option('--pair-column <name>', 'column or key of a second text (bert)');
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
    command.addHelpText(
      'after',
      '\nDefaults with --model bert: --batch 32, --epochs 3, --schedule linear, --warmup 0.1; --hidden, --layers and --dropout as in the preset.',
    );
    withTraining(command, {
      lr: '2e-3; bert: 1e-3 · 128 / C, with --from 5e-5 · 768 / C',
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
    const model = await load(folder, flags);
    return measuredClasses(await model.evaluate(examples, { batch: flags.batch ?? 64 }), 'texts');
  },

  async *predict(folder: string, flags: PredictFlags): AsyncGenerator<Prediction, void, undefined> {
    const texts = await textsToPredict(flags);
    const model = await load(folder, flags);
    for (const [index, { label, probability, probabilities }] of (await model.predict(texts)).entries()) {
      const text = texts[index] as string;
      const all = Object.fromEntries((model.labels ?? []).map((name, at) => [name, probabilities[at]]));
      const beginning = text.replace(/\s+/g, ' ').slice(0, 60);
      yield {
        json: { text, label, probability, probabilities: all },
        text: `${label}  ${(100 * probability).toFixed(1)} %  ${beginning}`,
      };
    }
  },
};
