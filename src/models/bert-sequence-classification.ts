/** BERT for whole texts or pairs of texts: their classes, or a number for each. */
import { type EncodedSequence, encoderBatch } from '../data/encoder-batch.js';
import { DataError } from '../data/errors.js';
import { IGNORED } from '../data/ignored.js';
import { FormatError } from '../formats/errors.js';
import { mae, rmse } from '../metrics/forecast.js';
import { OptionError, wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import {
  AnyBert,
  type BertInput,
  type BertLoadOptions,
  type BertOptions,
  type BertParts,
  type BertText,
  checkCreate,
  checkLoad,
  partsOf,
  withFolder,
} from './any-bert.js';
import { type Json, labelsFromJson, labelsToJson } from './bert-json.js';
import { collect, type Examples } from './collect.js';
import { namesRule } from './fields.js';
import { Labels, largestInRow, softmaxRow } from './labels.js';
import { BertClassifierNetwork } from './networks/bert.js';
import { type EncodedExamples, type Found, onePass, type TrainingPassOptions, trainingPasses } from './passes.js';
import { type Classification, type ClassificationEvaluation, namedEvaluation } from './sequence-classifier.js';
import { computeBatch, type PassOptions } from './task-model.js';

/** A text, a pair or its tokens, with the name of its class; in regression with its number. */
export type BertExample = (BertText | EncodedSequence) & {
  readonly label: string | number;
  /** File and line, for messages. */
  readonly where?: string | undefined;
};

interface TextOptions {
  /** Tokens of a text that are read. Default: all positions that the model has. */
  readonly maxLength?: number | undefined;
}

export type BertClassifierOptions = BertOptions &
  TextOptions & {
    /** Names of the classes. Absent: regression, a number for each text. */
    readonly labels?: readonly string[] | undefined;
  };

export interface BertClassifierLoadOptions extends BertLoadOptions, TextOptions {
  /** Names of the classes, or `regression`: with others than the folder's, and `freshHead`, the last layer is a fresh one. */
  readonly labels?: readonly string[] | 'regression' | undefined;
}

export interface RegressionEvaluation {
  /** Mean squared error. */
  readonly loss: number;
  readonly mae: number;
  readonly rmse: number;
  readonly count: number;
}

interface Encoded {
  readonly sequence: EncodedSequence;
  /** An index, or a number in regression. */
  readonly label: number;
}

const NAME = 'BertForSequenceClassification';
const ROWS = 32;
const textRules = { maxLength: wholeNumber(3) };
const labelsRule = {
  expected: `${namesRule.expected}, or "regression",`,
  accepts: (value: unknown) => value === 'regression' || namesRule.accepts(value),
};

export class BertForSequenceClassification extends AnyBert<BertClassifierNetwork> {
  readonly #labels: Labels | undefined;
  readonly #maxLength: number;

  private constructor(parts: BertParts, labels: readonly string[] | undefined, maxLength = parts.config.maxPositions) {
    const task = labels === undefined ? 'regression' : { classes: labels.length };
    super(NAME, parts, new BertClassifierNetwork({ ...parts.config, task }));
    this.#labels = labels && new Labels(labels);
    this.#maxLength = maxLength;
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: BertClassifierOptions): Promise<BertForSequenceClassification> {
    checkCreate(NAME, options, { ...textRules, labels: namesRule });
    const { labels, maxLength, ...rest } = options;
    return new BertForSequenceClassification(await partsOf(NAME, rest), labels, maxLength).fresh(rest.seed ?? 1);
  }

  /**
   * A model from a Hugging Face folder.
   * @throws FileError or FormatError naming the file, the tensor or field, what was expected and what was found; OptionError
   */
  static async load(folder: string, options: BertClassifierLoadOptions = {}): Promise<BertForSequenceClassification> {
    checkLoad(NAME, options, { ...textRules, labels: labelsRule });
    const { labels: asked, maxLength, ...rest } = options;
    return withFolder(folder, rest, async ({ parts, checkpoint, file }) => {
      const stored = labelsIn(parts.json, file);
      const labels = asked === undefined ? stored : asked;
      if (labels === undefined)
        throw new FormatError(file, undefined, 'classes in `id2label`, or the option `labels`,', 'neither');
      const isOther = stored === undefined || labels.toString() !== stored.toString();
      const model = new BertForSequenceClassification(parts, labels === 'regression' ? undefined : labels, maxLength);
      return model.restored(checkpoint, rest, isOther ? ['classifier.'] : []);
    });
  }

  /** The names of the classes; undefined in regression. */
  get labels(): readonly string[] | undefined {
    return this.#labels?.names;
  }

  /**
   * Batches for training, without end: texts of similar length together, in a new order in every pass.
   * @throws DataError naming a text that does not fit or a label the model does not have
   */
  async *batches(
    examples: Examples<BertExample>,
    options: TrainingPassOptions = {},
  ): AsyncGenerator<Batch, void, undefined> {
    yield* trainingPasses(await this.#encoded(examples), { batch: ROWS, ...options });
  }

  /** Loss and metrics over examples. @throws DataError as {@link batches}; OptionError in regression */
  async evaluate(examples: Examples<BertExample>, options: PassOptions = {}): Promise<ClassificationEvaluation> {
    const labels = this.#classes('evaluate');
    const { loss, actual, predicted } = await this.#compared(examples, options, (predictions, row) =>
      largestInRow(predictions, row, labels.size),
    );
    return namedEvaluation(labels, loss, actual, predicted);
  }

  /** The same in regression. @throws DataError as {@link batches}; OptionError where there are classes */
  async evaluateValues(examples: Examples<BertExample>, options: PassOptions = {}): Promise<RegressionEvaluation> {
    this.#refuseClasses('evaluateValues');
    const { loss, actual, predicted } = await this.#compared(
      examples,
      options,
      (predictions, row) => predictions[row] as number,
    );
    const count = actual.length;
    return { loss: loss / count, mae: mae(actual, predicted), rmse: rmse(actual, predicted), count };
  }

  /** The classes of inputs, in their order. @throws DataError for an input that does not fit; OptionError in regression */
  async predict(inputs: Examples<BertInput>, options: PassOptions = {}): Promise<Classification[]> {
    const labels = this.#classes('predict');
    const found: Classification[] = [];
    for await (const { position, row, result } of this.#pass(await this.#unlabelled(inputs), options)) {
      const probabilities = softmaxRow(result.predictions, row, labels.size);
      const best = largestInRow(probabilities, 0, labels.size);
      found[position] = { label: labels.name(best), probability: probabilities[best] as number, probabilities };
    }
    return found;
  }

  /** The numbers of inputs, in their order. @throws DataError for an input that does not fit; OptionError where there are classes */
  async predictValues(inputs: Examples<BertInput>, options: PassOptions = {}): Promise<number[]> {
    this.#refuseClasses('predictValues');
    const found: number[] = [];
    for await (const { position, row, result } of this.#pass(await this.#unlabelled(inputs), options))
      found[position] = result.predictions[row] as number;
    return found;
  }

  protected override get more(): Json {
    return this.#labels === undefined
      ? { problem_type: 'regression', ...labelsToJson(['LABEL_0']) }
      : { problem_type: 'single_label_classification', ...labelsToJson(this.#labels.names) };
  }

  #classes(method: string): Labels {
    if (this.#labels !== undefined) return this.#labels;
    throw new OptionError(`${method}: Expected a model of classes but this one is of regression: ${method}Values`);
  }

  #refuseClasses(method: string): void {
    if (this.#labels === undefined) return;
    throw new OptionError(`${method}: Expected a model of regression but this one has ${this.#labels.size} classes`);
  }

  /** What was to be found and what was, in the order of the examples. */
  async #compared(
    examples: Examples<BertExample>,
    options: PassOptions,
    foundIn: (predictions: ArrayLike<number>, row: number) => number,
  ): Promise<{ loss: number; actual: number[]; predicted: number[] }> {
    const encoded = await this.#encoded(examples);
    let loss = 0;
    const found: (number | undefined)[] = [];
    for await (const { position, row, result } of this.#pass(encoded, options)) {
      if (row === 0) loss += result.loss;
      found[position] = foundIn(result.predictions, row);
    }
    const actual = encoded.examples.filter((_, position) => found[position] !== undefined).map(({ label }) => label);
    return { loss, actual, predicted: found.filter((each) => each !== undefined) };
  }

  #pass(encoded: EncodedExamples<Encoded>, options: PassOptions): AsyncGenerator<Found, void, undefined> {
    return onePass(encoded, { batch: ROWS, ...options }, (batch) => computeBatch(this, batch));
  }

  async #encoded(examples: Examples<BertExample>): Promise<EncodedExamples<Encoded>> {
    return this.#batched(
      (await collect(examples)).map((example) => ({
        sequence: this.sequence(example, { maxLength: this.#maxLength, where: example.where }),
        label: this.#labelOf(example),
      })),
    );
  }

  async #unlabelled(inputs: Examples<BertInput>): Promise<EncodedExamples<Encoded>> {
    const sequences = (await collect(inputs)).map((input) => this.sequence(input, { maxLength: this.#maxLength }));
    return this.#batched(sequences.map((sequence) => ({ sequence, label: this.#labels === undefined ? 0 : IGNORED })));
  }

  #labelOf({ label, where }: BertExample): number {
    if (this.#labels !== undefined) return this.#labels.index(`${label}`, where);
    const value = typeof label === 'string' && label.trim() === '' ? Number.NaN : Number(label);
    if (Number.isFinite(value)) return value;
    throw new DataError(`${where === undefined ? '' : `${where}: `}Expected a number but received "${label}"`);
  }

  #batched(examples: readonly Encoded[]): EncodedExamples<Encoded> {
    return {
      examples,
      lengthOf: ({ sequence }) => sequence.tokens.length,
      batch: (some, rows) => this.#batch(some, rows),
    };
  }

  #batch(examples: readonly Encoded[], rows: number): Batch {
    const { padToken: pad, maxPositions: longest } = this.config;
    const sequences = examples.map(({ sequence }) => sequence);
    const { time, batch, ...inputs } = encoderBatch(sequences, { rows, pad, longest });
    const ofClasses = this.#labels !== undefined;
    const labels = (ofClasses ? new Int32Array(rows).fill(IGNORED) : new Float32Array(rows)).map(
      (none, row) => examples[row]?.label ?? none,
    );
    const counts = Float32Array.from(labels, (_, row) => Number(row < examples.length));
    const labelCount = examples.filter(({ label }) => !ofClasses || label !== IGNORED).length;
    return {
      inputs: { ...inputs, labels, ...(ofClasses ? {} : { counts }) },
      time,
      batch,
      labelCount,
      first: true,
    };
  }
}

/** The classes of a folder, `regression`, or undefined where it was not made for either. @throws FormatError */
function labelsIn(json: Json, file: string): readonly string[] | 'regression' | undefined {
  const labels = labelsFromJson(json, file);
  const type = json.problem_type ?? undefined;
  const known = ['regression', 'single_label_classification'];
  if (type !== undefined && !known.includes(type as string)) {
    const expected = `\`problem_type\` to be ${known.map((each) => `"${each}"`).join(' or ')}`;
    throw new FormatError(file, undefined, expected, JSON.stringify(type));
  }
  const isRegression = type === 'regression' || (type === undefined && labels?.length === 1);
  if (isRegression && labels !== undefined && labels.length > 1)
    throw new FormatError(file, undefined, 'one label, as `problem_type` is "regression",', `${labels.length}`);
  return isRegression ? 'regression' : labels;
}
