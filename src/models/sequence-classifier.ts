/** Texts and their classes: the network, its vocabulary and labels, and what one does with them. */

import type { Backend } from '../backends/executor.js';
import { DataError } from '../data/errors.js';
import { IGNORED } from '../data/ignored.js';
import type { LabelledText } from '../data/labelled-texts.js';
import { type LearntVocabularyOptions, learnVocabulary, vocabularyFromJson } from '../data/vocabularies.js';
import type { Units, Vocabulary } from '../data/vocabulary.js';
import { readJson } from '../formats/json.js';
import { join } from '../host/node.js';
import { type ClassificationMetrics, classificationMetrics, confusionMatrix } from '../metrics/classification.js';
import { checkOptions, oneOf, wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import { collect, type Examples } from './collect.js';
import { built, type Fields, field, fromJson, namesRule, rulesOf, sizeRule, toJson, vocabularyRule } from './fields.js';
import { readModelConfig } from './folder.js';
import { Labels, largestInRow, softmaxRow } from './labels.js';
import { ClassifierNetwork, type Pooling } from './networks/classifier.js';
import { padTokens } from './padding.js';
import { type EncodedExamples, type Found, onePass, type TrainingPassOptions, trainingPasses } from './passes.js';
import {
  buildRules,
  type RecurrentOptions,
  type RecurrentSettings,
  recurrentFields,
  recurrentSettings,
} from './recurrent-options.js';
import { backendOr } from './saved-model.js';
import { type PassOptions, TaskModel } from './task-model.js';

interface Settings extends RecurrentSettings {
  readonly embeddingSize: number;
  readonly pooling: Pooling;
  readonly maxLength: number;
  readonly labels: readonly string[];
}

export interface SequenceClassifierOptions extends RecurrentOptions {
  readonly vocabulary: Vocabulary;
  /** Names of the classes. */
  readonly labels: readonly string[];
  /** Elements of a token's vector. Default: hiddenSize. */
  readonly embeddingSize?: number;
  /** What stands for a whole sequence. Default last. */
  readonly pooling?: Pooling;
  /** Tokens of a text that are read; the rest of a longer one is left out. Default 512. */
  readonly maxLength?: number;
}

/** What {@link SequenceClassifier.fromExamples} takes instead of vocabulary and labels. */
export interface LearntClassifierOptions extends Omit<SequenceClassifierOptions, 'vocabulary' | 'labels'> {
  /** What texts are cut into. Default characters. */
  readonly units?: Units;
  /** Of words: tokens at most (default 20,000). Of bpe: tokens (default 1024). */
  readonly vocabularySize?: number;
  /** Characters and words that come less often share one token. Default 2. */
  readonly minCount?: number;
}

export interface ClassMetricsByName {
  readonly label: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly support: number;
}

export interface ClassificationEvaluation extends Omit<ClassificationMetrics, 'classes'> {
  /** Mean over all that was classified, in nats. */
  readonly loss: number;
  /** By class, in the order of the model's labels. */
  readonly classes: readonly ClassMetricsByName[];
  /** How many were classified. */
  readonly count: number;
}

export interface Classification {
  readonly label: string;
  /** Of `label`. */
  readonly probability: number;
  /** Of every label, in the order of the model's labels. */
  readonly probabilities: readonly number[];
}

interface Encoded {
  readonly tokens: Int32Array;
  readonly label: number;
}

type Batched = EncodedExamples<Encoded>;

const MODEL_TYPE = 'sequence_classifier';

const fields: Fields<Settings> = {
  ...recurrentFields,
  embeddingSize: field('embedding_size', sizeRule),
  pooling: field('pooling', oneOf('last', 'mean', 'max')),
  maxLength: field('max_length', wholeNumber(1)),
  labels: field('labels', namesRule),
};

const rules = { ...rulesOf(fields), ...buildRules, vocabulary: vocabularyRule };

/** Evaluation of classes by name. */
export function namedEvaluation(
  { names }: Labels,
  loss: number,
  actual: readonly number[],
  predicted: readonly number[],
): ClassificationEvaluation {
  const metrics = classificationMetrics(confusionMatrix(actual, predicted, names.length));
  const classes = metrics.classes.map((its, index) => ({ label: names[index] as string, ...its }));
  return { loss: loss / actual.length, ...metrics, classes, count: actual.length };
}

export class SequenceClassifier extends TaskModel<ClassifierNetwork> {
  readonly #labels: Labels;

  private constructor(
    readonly vocabulary: Vocabulary,
    readonly settings: Settings,
    backend: Backend,
  ) {
    super(
      new ClassifierNetwork({ ...settings, vocabularySize: vocabulary.size, classes: settings.labels.length }),
      backend,
    );
    this.#labels = new Labels(settings.labels);
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: SequenceClassifierOptions): Promise<SequenceClassifier> {
    checkOptions('SequenceClassifier', options, rules);
    const recurrent = recurrentSettings(options);
    const { vocabulary, labels, pooling = 'last', maxLength = 512 } = options;
    const { embeddingSize = recurrent.hiddenSize, seed = 1, backend } = options;
    const settings = { ...recurrent, embeddingSize, pooling, maxLength, labels };
    return new SequenceClassifier(vocabulary, settings, await backendOr(backend)).fresh(seed);
  }

  /** A model with fresh parameters, and vocabulary and labels from examples. @throws as {@link create}, and DataError */
  static async fromExamples(
    examples: Examples<LabelledText>,
    { units = 'characters', vocabularySize, minCount = 2, ...options }: LearntClassifierOptions = {},
  ): Promise<SequenceClassifier> {
    const all = await collect(examples);
    const labels = Labels.of(all.map(({ label }) => label)).names;
    const learnt: LearntVocabularyOptions = { units, size: vocabularySize, minCount };
    const texts = all.map(({ text }) => text);
    return SequenceClassifier.create({ ...options, vocabulary: learnVocabulary(texts, learnt), labels });
  }

  /**
   * A model from a folder that {@link save} wrote.
   * @throws FileError, FormatError or DataError naming the file, the tensor or field, what was expected and what was found.
   */
  static async load(
    folder: string,
    { backend }: { readonly backend?: Backend | undefined } = {},
  ): Promise<SequenceClassifier> {
    const json = await readModelConfig(folder, MODEL_TYPE);
    const config = join(folder, 'config.json');
    const settings = fromJson(fields, json, config);
    const file = join(folder, 'vocab.json');
    const vocabulary = vocabularyFromJson(await readJson(file), file);
    const loaded = await backendOr(backend);
    return built(config, fields, () => new SequenceClassifier(vocabulary, settings, loaded)).stored(folder);
  }

  get labels(): readonly string[] {
    return this.settings.labels;
  }

  /**
   * Batches for training, without end: texts of similar length together, in a new order in every pass.
   * @throws DataError naming an empty text or a label the model does not have
   */
  async *batches(
    examples: Examples<LabelledText>,
    options: TrainingPassOptions = {},
  ): AsyncGenerator<Batch, void, undefined> {
    yield* trainingPasses(await this.#encoded(examples), { batch: 64, ...options });
  }

  /** Loss and metrics over examples. @throws DataError as {@link batches} */
  async evaluate(examples: Examples<LabelledText>, options: PassOptions = {}): Promise<ClassificationEvaluation> {
    const encoded = await this.#encoded(examples);
    let loss = 0;
    const predicted: number[] = [];
    for await (const { position, row, result } of this.#pass(encoded, options)) {
      if (row === 0) loss += result.loss;
      predicted[position] = largestInRow(result.predictions, row, this.#labels.size);
    }
    const actual = encoded.examples
      .map(({ label }) => label)
      .filter((_, position) => predicted[position] !== undefined);
    return namedEvaluation(
      this.#labels,
      loss,
      actual,
      predicted.filter((label) => label !== undefined),
    );
  }

  /** The classes of texts, in their order. @throws DataError for an empty text */
  async predict(texts: Examples<string>, options: PassOptions = {}): Promise<Classification[]> {
    const examples = (await collect(texts)).map((text) => ({ tokens: this.#tokens(text, undefined), label: IGNORED }));
    const found: Classification[] = [];
    for await (const { position, row, result } of this.#pass(this.#batched(examples), options)) {
      const probabilities = softmaxRow(result.predictions, row, this.#labels.size);
      const best = largestInRow(probabilities, 0, this.#labels.size);
      found[position] = { label: this.#labels.name(best), probability: probabilities[best] as number, probabilities };
    }
    return found;
  }

  protected description() {
    const config = { model_type: MODEL_TYPE, vocab_size: this.vocabulary.size, ...toJson(fields, this.settings) };
    return { config, vocabulary: this.vocabulary.toJSON() };
  }

  #pass(encoded: Batched, options: PassOptions): AsyncGenerator<Found, void, undefined> {
    return onePass(encoded, { batch: 64, ...options }, (batch) => this.compute(batch));
  }

  async #encoded(examples: Examples<LabelledText>): Promise<Batched> {
    return this.#batched((await collect(examples)).map((example) => this.#encode(example)));
  }

  #batched(examples: readonly Encoded[]): Batched {
    return { examples, lengthOf: ({ tokens }) => tokens.length, batch: (some, rows) => this.#batch(some, rows) };
  }

  #tokens(text: string, where: string | undefined): Int32Array {
    const tokens = this.vocabulary.encode(text);
    if (tokens.length > 0) return tokens.subarray(0, this.settings.maxLength);
    throw new DataError(
      `${where === undefined ? '' : `${where}: `}Expected a text to classify but received ${JSON.stringify(text)}`,
    );
  }

  #encode({ text, label, where }: LabelledText): Encoded {
    return { tokens: this.#tokens(text, where), label: this.#labels.index(label, where) };
  }

  #batch(examples: readonly Encoded[], rows: number): Batch {
    const { tokens, lengths, time } = padTokens(
      examples.map((example) => example.tokens),
      rows,
    );
    const labels = new Int32Array(rows).fill(IGNORED);
    for (const [row, { label }] of examples.entries()) labels[row] = label;
    const labelCount = examples.filter(({ label }) => label !== IGNORED).length;
    return { inputs: { tokens, lengths, labels }, time, batch: rows, lengths: true, labelCount, first: true };
  }
}
