/** BERT for the words of texts: a class for each. The first token of a word stands for it; the others do not count. */
import { type EncodedSequence, encoderBatch } from '../data/encoder-batch.js';
import { DataError } from '../data/errors.js';
import { IGNORED } from '../data/ignored.js';
import type { LabelledSequence } from '../data/labelled-sequences.js';
import { FormatError } from '../formats/errors.js';
import { wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import {
  AnyBert,
  type BertLoadOptions,
  type BertOptions,
  type BertParts,
  checkCreate,
  checkLoad,
  partsOf,
  withFolder,
} from './any-bert.js';
import { type Json, labelsFromJson, labelsToJson } from './bert-json.js';
import { collect, type Examples } from './collect.js';
import { namesRule } from './fields.js';
import { Labels, largestInRow } from './labels.js';
import { BertLabellerNetwork } from './networks/bert.js';
import { type EncodedExamples, onePass, type TrainingPassOptions, trainingPasses } from './passes.js';
import { type ClassificationEvaluation, namedEvaluation } from './sequence-classifier.js';
import { computeBatch, type PassOptions } from './task-model.js';

interface TextOptions {
  /** Tokens of a text that are read; words behind them are not labelled. Default: all positions that the model has. */
  readonly maxLength?: number | undefined;
}

export type BertLabellerOptions = BertOptions &
  TextOptions & {
    /** Names of the classes. */
    readonly labels: readonly string[];
  };

export interface BertLabellerLoadOptions extends BertLoadOptions, TextOptions {
  /** Names of the classes: with others than the folder's, and `freshHead`, the last layer is a fresh one. */
  readonly labels?: readonly string[] | undefined;
}

/** Tokens with the index of a class for each, −100 where it does not count. */
export interface EncodedLabels extends EncodedSequence {
  readonly labels: ArrayLike<number>;
  readonly where?: string | undefined;
}

/** The words of a text, each with the name of its class; or tokens with their classes. */
export type LabelledWords = LabelledSequence | EncodedLabels;

interface Encoded {
  readonly sequence: EncodedSequence;
  /** For each token. */
  readonly labels: Int32Array;
  /** For each word the token that stands for it; undefined for words that were not read. */
  readonly heads: readonly (number | undefined)[];
}

const NAME = 'BertForTokenClassification';
const ROWS = 32;
const textRules = { maxLength: wholeNumber(3), labels: namesRule };

const isEncoded = (example: LabelledWords): example is EncodedLabels => typeof example.tokens[0] === 'number';

export class BertForTokenClassification extends AnyBert<BertLabellerNetwork> {
  readonly #labels: Labels;
  readonly #maxLength: number;

  private constructor(parts: BertParts, labels: readonly string[], maxLength = parts.config.maxPositions) {
    super(NAME, parts, new BertLabellerNetwork({ ...parts.config, classes: labels.length }));
    this.#labels = new Labels(labels);
    this.#maxLength = Math.min(maxLength, parts.config.maxPositions);
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: BertLabellerOptions): Promise<BertForTokenClassification> {
    checkCreate(NAME, options, textRules);
    const { labels, maxLength, ...rest } = options;
    return new BertForTokenClassification(await partsOf(NAME, rest), labels, maxLength).fresh(rest.seed ?? 1);
  }

  /**
   * A model from a Hugging Face folder.
   * @throws FileError or FormatError naming the file, the tensor or field, what was expected and what was found; OptionError
   */
  static async load(folder: string, options: BertLabellerLoadOptions = {}): Promise<BertForTokenClassification> {
    checkLoad(NAME, options, textRules);
    const { labels: asked, maxLength, ...rest } = options;
    return withFolder(folder, rest, async ({ parts, checkpoint, file }) => {
      const stored = labelsFromJson(parts.json, file);
      const labels = asked ?? stored;
      if (labels === undefined)
        throw new FormatError(file, undefined, 'classes in `id2label`, or the option `labels`,', 'neither');
      const model = new BertForTokenClassification(parts, labels, maxLength);
      return model.restored(checkpoint, rest, `${labels}` === `${stored}` ? [] : ['classifier.']);
    });
  }

  get labels(): readonly string[] {
    return this.#labels.names;
  }

  /**
   * Batches for training, without end: texts of similar length together, in a new order in every pass.
   * @throws DataError naming a text that does not fit or a label the model does not have
   */
  async *batches(
    examples: Examples<LabelledWords>,
    options: TrainingPassOptions = {},
  ): AsyncGenerator<Batch, void, undefined> {
    yield* trainingPasses(await this.#encoded(examples), { batch: ROWS, ...options });
  }

  /** Loss and metrics over all words of examples. @throws DataError as {@link batches} */
  async evaluate(examples: Examples<LabelledWords>, options: PassOptions = {}): Promise<ClassificationEvaluation> {
    const encoded = await this.#encoded(examples);
    const actual: number[] = [];
    const predicted: number[] = [];
    let loss = 0;
    for await (const { position, row, result, found } of this.#pass(encoded, options)) {
      if (row === 0) loss += result.loss;
      const { labels, heads } = encoded.examples[position] as Encoded;
      for (const [word, head] of heads.entries()) {
        if (head === undefined || labels[head] === IGNORED) continue;
        actual.push(labels[head] as number);
        predicted.push(found[word] as number);
      }
    }
    return namedEvaluation(this.#labels, loss, actual, predicted);
  }

  /**
   * The labels of words, text by text; undefined for words behind `maxLength` and those that the tokenizer sees nothing in.
   * @throws OptionError if the model has no tokenizer
   */
  async predict(sequences: Examples<readonly string[]>, options: PassOptions = {}): Promise<(string | undefined)[][]> {
    const all = await collect(sequences);
    const labels: (string | undefined)[][] = all.map(() => []);
    const present = [...all.keys()].filter((index) => (all[index] as readonly string[]).length > 0);
    const examples = present.map((index) => this.#words(all[index] as readonly string[], undefined));
    for await (const { position, found } of this.#pass(this.#batched(examples), options))
      labels[present[position] as number] = found.map((label) =>
        label === undefined ? undefined : this.#labels.name(label),
      );
    return labels;
  }

  protected override get more(): Json {
    return labelsToJson(this.#labels.names);
  }

  /** The labels found for the words of every example, batch by batch. */
  async *#pass(encoded: EncodedExamples<Encoded>, options: PassOptions) {
    const passes = onePass(encoded, { batch: ROWS, ...options }, (batch) => computeBatch(this, batch));
    for await (const { position, row, result } of passes) {
      const { heads } = encoded.examples[position] as Encoded;
      const found = heads.map((t) =>
        t === undefined ? undefined : largestInRow(result.predictions, row * result.time + t, this.#labels.size),
      );
      yield { row, position, result, found };
    }
  }

  async #encoded(examples: Examples<LabelledWords>): Promise<EncodedExamples<Encoded>> {
    const encoded = (await collect(examples)).map((each) =>
      isEncoded(each) ? this.#checked(each) : this.#labelled(each),
    );
    if (encoded.length > 0 && encoded.every(({ labels }) => labels.every((label) => label === IGNORED)))
      throw new DataError(`Expected a label that counts but received only such that do not (${IGNORED})`);
    return this.#batched(encoded);
  }

  #checked({ where, ...example }: EncodedLabels): Encoded {
    const sequence = this.sequence(example, { where });
    const labels = Int32Array.from(example.labels);
    const place = where === undefined ? '' : `${where}: `;
    const { size } = this.#labels;
    if (labels.length !== sequence.tokens.length)
      throw new DataError(
        `${place}Expected a label for each of ${sequence.tokens.length} tokens but received ${labels.length}`,
      );
    const foreign = labels.find((label) => label !== IGNORED && (label < 0 || label >= size));
    if (foreign !== undefined)
      throw new DataError(`${place}Expected labels from 0 to ${size - 1}, or ${IGNORED}, but received ${foreign}`);
    return { sequence, labels, heads: [...labels.keys()] };
  }

  #labelled({ tokens, labels, where }: LabelledSequence): Encoded {
    const place = where === undefined ? '' : `${where}: `;
    if (tokens.length === 0) throw new DataError(`${place}Expected a sequence of words but received an empty one`);
    if (labels.length !== tokens.length)
      throw new DataError(`${place}Expected a label for each of ${tokens.length} words but received ${labels.length}`);
    const encoded = this.#words(tokens, where);
    for (const [word, label] of labels.entries()) {
      const index = this.#labels.index(label, where);
      const head = encoded.heads[word];
      if (head !== undefined) encoded.labels[head] = index;
    }
    return encoded;
  }

  /** Words that have no label yet. */
  #words(words: readonly string[], where: string | undefined): Encoded {
    const encoding = this.needTokenizer().encodeWords(words, { maxLength: this.#maxLength });
    const heads = words.map((_, word) => {
      const head = encoding.words.indexOf(word);
      return head < 0 ? undefined : head;
    });
    return {
      sequence: this.sequence(encoding, { where }),
      labels: new Int32Array(encoding.tokens.length).fill(IGNORED),
      heads,
    };
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
    const labels = new Int32Array(rows * time).fill(IGNORED);
    for (const [row, example] of examples.entries()) labels.set(example.labels, row * time);
    const labelCount = labels.filter((label) => label !== IGNORED).length;
    return { inputs: { ...inputs, labels }, time, batch, labelCount, first: true };
  }
}
