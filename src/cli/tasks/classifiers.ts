/** The networks that classify texts: how each is made, found in a folder, measured and asked. */
import { rung } from '../../data/batching.js';
import type { LabelledText } from '../../data/labelled-texts.js';
import { learnVocabulary } from '../../data/vocabularies.js';
import type { Units } from '../../data/vocabulary.js';
import type { BertText } from '../../models/any-bert.js';
import { BertForSequenceClassification } from '../../models/bert-sequence-classification.js';
import type { Pooling } from '../../models/networks/classifier.js';
import { SequenceClassifier } from '../../models/sequence-classifier.js';
import type { PassOptions } from '../../models/task-model.js';
import { OptionError } from '../../program/options.js';
import { measuredClasses } from '../classes.js';
import { type BackendFlags, backendFrom } from '../command.js';
import { type EncoderFlags, longestRow, ratesOf, readingOf, sizesOf, tuningOf } from '../encoder.js';
import { networkOf, type RecurrentFlags } from '../recurrent.js';
import { metricsText } from '../report.js';
import type { TaskTraining, TrainingFlags } from '../training.js';
import { kindOf } from './kind.js';
import type { Measured, Prediction, TableFlags } from './task.js';

export type Classifier = SequenceClassifier | BertForSequenceClassification;

export interface DataFlags extends TrainingFlags, TableFlags {
  data?: string;
  validationData?: string;
  testData?: string;
  regression?: true;
  vocabulary?: number;
  maxLength?: number;
}

export interface BertFlags extends DataFlags, EncoderFlags {
  model: 'bert';
}

export interface OurFlags extends DataFlags, RecurrentFlags {
  units: Units;
  minCount: number;
  embedding?: number;
  bidirectional: boolean;
  pool: Pooling;
}

/** What differs between networks: how texts are cut, and the model. */
interface Prepared {
  readonly vocabulary: number;
  /** What tokens are called. */
  readonly units: string;
  readonly maxLength: number;
  /** Tokens of each text to train on. */
  readonly lengths: readonly number[];
  /** T of the largest batch. */
  readonly time: number;
  readonly training: Pick<TaskTraining<Classifier>, 'createModel' | 'learningRate' | 'groups' | 'about'>;
}

type Examples = readonly LabelledText[];

/** @param labels undefined for regression */
export async function prepare(
  flags: OurFlags | BertFlags,
  examples: Examples,
  labels: readonly string[] | undefined,
): Promise<Prepared> {
  return flags.model === 'bert'
    ? prepareBert(flags, examples, labels)
    : prepareRecurrent(flags, examples, labels as readonly string[]);
}

function prepareRecurrent(flags: OurFlags, examples: Examples, labels: readonly string[]): Prepared {
  const texts = examples.map(({ text }) => text);
  const { units, minCount, hidden, embedding = hidden, maxLength = 512 } = flags;
  const vocabulary = learnVocabulary(texts, { units, size: flags.vocabulary, minCount });
  const lengths = texts.map((text) => vocabulary.encode(text).length);
  return {
    vocabulary: vocabulary.size,
    units: units === 'bpe' ? 'tokens' : units,
    maxLength,
    lengths,
    time: rung(lengths.reduce((most, length) => Math.max(most, Math.min(length, maxLength)), 1)),
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

async function prepareBert(
  flags: BertFlags,
  examples: Examples,
  labels: readonly string[] | undefined,
): Promise<Prepared> {
  const { from, seed } = flags;
  const texts = examples.flatMap(({ text, pair }) => (pair === undefined ? [text] : [text, pair]));
  const reading = await readingOf(flags, texts);
  const { tokenizer, maxLength, maxPositions } = reading;
  const lengths = examples.map(({ text, pair }) => tokenizer.encode(text, { pair }).tokens.length);
  return {
    vocabulary: tokenizer.size,
    units: 'pieces of words',
    maxLength,
    lengths,
    time: longestRow(lengths, reading),
    training: {
      createModel: async () => {
        const settings = { maxLength, seed, backend: await backendFrom(flags) };
        if (from === undefined) {
          return BertForSequenceClassification.create({
            ...settings,
            tokenizer,
            labels,
            ...sizesOf(flags),
            maxPositions,
          });
        }
        const task = { labels: labels ?? ('regression' as const), freshHead: true };
        return BertForSequenceClassification.load(from, { ...settings, ...task, ...ratesOf(flags) });
      },
      ...tuningOf<BertForSequenceClassification>(flags),
    },
  };
}

/** The classifier of a folder. @throws FileError, FormatError */
export async function loadClassifier(folder: string, flags: BackendFlags): Promise<Classifier> {
  const backend = await backendFrom(flags);
  if ((await kindOf(folder)) === 'sequence_classifier') return SequenceClassifier.load(folder, { backend });
  return BertForSequenceClassification.load(folder, { backend });
}

/** The model if it is of regression. */
const estimatorIn = (model: Classifier): BertForSequenceClassification | undefined =>
  model instanceof BertForSequenceClassification && model.labels === undefined ? model : undefined;

/** Metrics of classes, or of numbers in regression. */
export async function measured(model: Classifier, examples: Examples, options: PassOptions): Promise<Measured> {
  const estimator = estimatorIn(model);
  if (estimator === undefined) return measuredClasses(await model.evaluate(examples, options), 'texts');
  const { loss, mae, rmse, count } = await estimator.evaluateValues(examples, options);
  const metrics = { loss, mae, rmse };
  return { metrics: { ...metrics, count }, text: `${metricsText(metrics)} over ${count.toLocaleString('en')} texts` };
}

/** @throws OptionError for pairs that the model does not read */
export async function* predictions(model: Classifier, inputs: readonly BertText[]): AsyncGenerator<Prediction> {
  const beginning = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 60);
  const estimator = estimatorIn(model);
  if (estimator !== undefined) {
    for (const [index, value] of (await estimator.predictValues(inputs)).entries()) {
      const input = inputs[index] as BertText;
      yield { json: { ...input, value }, text: `${value.toPrecision(4)}  ${beginning(input.text)}` };
    }
    return;
  }
  const found = await (model instanceof SequenceClassifier ? model.predict(textsOf(inputs)) : model.predict(inputs));
  for (const [index, { label, probability, probabilities }] of found.entries()) {
    const input = inputs[index] as BertText;
    const all = Object.fromEntries((model.labels ?? []).map((name, at) => [name, probabilities[at]]));
    yield {
      json: { ...input, label, probability, probabilities: all },
      text: `${label}  ${(100 * probability).toFixed(1)} %  ${beginning(input.text)}`,
    };
  }
}

function textsOf(inputs: readonly BertText[]): string[] {
  if (inputs.some(({ pair }) => pair !== undefined))
    throw new OptionError('Expected --pair-column only with a BERT but received it with a recurrent network');
  return inputs.map(({ text }) => text);
}
