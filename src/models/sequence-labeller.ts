/** Sequences with a label for each token: the network, its vocabulary and labels, and what one does with them. */

import type { Backend } from '../backends/executor.js';
import { DataError } from '../data/errors.js';
import { IGNORED } from '../data/ignored.js';
import type { LabelledSequence } from '../data/labelled-sequences.js';
import { WordVocabulary, type WordVocabularyOptions } from '../data/words.js';
import { readJson } from '../formats/json.js';
import { join } from '../host/node.js';
import { checkOptions, wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import { collect, type Examples } from './collect.js';
import { built, type Fields, field, fromJson, namesRule, rulesOf, sizeRule, toJson } from './fields.js';
import { readModelConfig } from './folder.js';
import { Labels, largestInRow } from './labels.js';
import { LabellerNetwork } from './networks/labeller.js';
import { padTokens } from './padding.js';
import { type EncodedExamples, onePass, type TrainingPassOptions, trainingPasses } from './passes.js';
import {
  buildRules,
  type RecurrentOptions,
  type RecurrentSettings,
  recurrentFields,
  recurrentSettings,
} from './recurrent-options.js';
import { backendOr } from './saved-model.js';
import { type ClassificationEvaluation, namedEvaluation } from './sequence-classifier.js';
import { type PassOptions, TaskModel } from './task-model.js';

interface Settings extends RecurrentSettings {
  readonly embeddingSize: number;
  readonly maxLength: number;
  readonly labels: readonly string[];
}

export interface SequenceLabellerOptions extends RecurrentOptions {
  readonly vocabulary: WordVocabulary;
  /** Names of the labels. */
  readonly labels: readonly string[];
  /** Elements of a token's vector. Default: hiddenSize. */
  readonly embeddingSize?: number;
  /** Tokens of a sequence at most. Default 512. */
  readonly maxLength?: number;
}

/** What {@link SequenceLabeller.fromExamples} takes instead of vocabulary and labels. */
export interface LearntLabellerOptions
  extends Omit<SequenceLabellerOptions, 'vocabulary' | 'labels'>,
    WordVocabularyOptions {
  /** Default: those of the examples. */
  readonly labels?: readonly string[];
}

interface Encoded {
  readonly tokens: Int32Array;
  readonly labels: Int32Array;
}

type Batched = EncodedExamples<Encoded>;

const MODEL_TYPE = 'sequence_labeller';

const fields: Fields<Settings> = {
  ...recurrentFields,
  embeddingSize: field('embedding_size', sizeRule),
  maxLength: field('max_length', wholeNumber(1)),
  labels: field('labels', namesRule),
};

const vocabularyRule = { expected: 'a WordVocabulary', accepts: (value: unknown) => value instanceof WordVocabulary };
const rules = { ...rulesOf(fields), ...buildRules, vocabulary: vocabularyRule };

export class SequenceLabeller extends TaskModel<LabellerNetwork> {
  readonly #labels: Labels;

  private constructor(
    readonly vocabulary: WordVocabulary,
    readonly settings: Settings,
    backend: Backend,
  ) {
    super(
      new LabellerNetwork({ ...settings, vocabularySize: vocabulary.size, classes: settings.labels.length }),
      backend,
    );
    this.#labels = new Labels(settings.labels);
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: SequenceLabellerOptions): Promise<SequenceLabeller> {
    checkOptions('SequenceLabeller', options, rules);
    const recurrent = recurrentSettings({ bidirectional: true, ...options });
    const { vocabulary, labels, maxLength = 512, embeddingSize = recurrent.hiddenSize, seed = 1, backend } = options;
    const settings = { ...recurrent, embeddingSize, maxLength, labels };
    return new SequenceLabeller(vocabulary, settings, await backendOr(backend)).fresh(seed);
  }

  /** A model with fresh parameters, and vocabulary and labels from examples. @throws as {@link create}, and DataError */
  static async fromExamples(
    examples: Examples<LabelledSequence>,
    { minCount, maxSize, ...options }: LearntLabellerOptions = {},
  ): Promise<SequenceLabeller> {
    const all = await collect(examples);
    const { labels = Labels.of(all.flatMap((example) => example.labels)).names } = options;
    const learnt = { ...(minCount === undefined ? {} : { minCount }), ...(maxSize === undefined ? {} : { maxSize }) };
    const vocabulary = WordVocabulary.fromSequences(
      all.map(({ tokens }) => tokens),
      learnt,
    );
    return SequenceLabeller.create({ ...options, vocabulary, labels });
  }

  /**
   * A model from a folder that {@link save} wrote.
   * @throws FileError, FormatError or DataError naming the file, the tensor or field, what was expected and what was found.
   */
  static async load(
    folder: string,
    { backend }: { readonly backend?: Backend | undefined } = {},
  ): Promise<SequenceLabeller> {
    const json = await readModelConfig(folder, MODEL_TYPE);
    const config = join(folder, 'config.json');
    const settings = fromJson(fields, json, config);
    const file = join(folder, 'vocab.json');
    const vocabulary = WordVocabulary.fromJSON(await readJson(file), file);
    const loaded = await backendOr(backend);
    return built(config, fields, () => new SequenceLabeller(vocabulary, settings, loaded)).stored(folder);
  }

  get labels(): readonly string[] {
    return this.settings.labels;
  }

  /**
   * Batches for training, without end: sequences of similar length together, in a new order in every pass.
   * @throws DataError naming a sequence that does not fit or a label the model does not have
   */
  async *batches(
    examples: Examples<LabelledSequence>,
    options: TrainingPassOptions = {},
  ): AsyncGenerator<Batch, void, undefined> {
    yield* trainingPasses(await this.#encoded(examples), { batch: 32, ...options });
  }

  /** Loss and metrics over all tokens of examples. @throws DataError as {@link batches} */
  async evaluate(examples: Examples<LabelledSequence>, options: PassOptions = {}): Promise<ClassificationEvaluation> {
    const encoded = await this.#encoded(examples);
    const actual: number[] = [];
    const predicted: number[] = [];
    let loss = 0;
    for await (const { position, row, result, found } of this.#pass(encoded, options)) {
      if (row === 0) loss += result.loss;
      for (const label of (encoded.examples[position] as Encoded).labels) actual.push(label);
      for (const label of found) predicted.push(label);
    }
    return namedEvaluation(this.#labels, loss, actual, predicted);
  }

  /** The labels of sequences of tokens, in their order; none for an empty one. @throws DataError for a sequence that is too long */
  async predict(sequences: Examples<readonly string[]>, options: PassOptions = {}): Promise<string[][]> {
    const all = await collect(sequences);
    const labels: string[][] = all.map(() => []);
    const present = [...all.keys()].filter((index) => (all[index] as readonly string[]).length > 0);
    const examples = present.map((index): Encoded => {
      const tokens = this.#tokens(all[index] as readonly string[], undefined);
      return { tokens, labels: new Int32Array(tokens.length).fill(IGNORED) };
    });
    for await (const { position, found } of this.#pass(this.#batched(examples), options)) {
      labels[present[position] as number] = found.map((label) => this.#labels.name(label));
    }
    return labels;
  }

  protected description() {
    const config = { model_type: MODEL_TYPE, vocab_size: this.vocabulary.size, ...toJson(fields, this.settings) };
    return { config, vocabulary: this.vocabulary.toJSON() };
  }

  /** The labels found for every sequence, batch by batch. */
  async *#pass(encoded: Batched, options: PassOptions) {
    for await (const { position, row, result } of onePass(encoded, { batch: 32, ...options }, (batch) =>
      this.compute(batch),
    )) {
      const { length } = (encoded.examples[position] as Encoded).tokens;
      const found = Array.from({ length }, (_, t) =>
        largestInRow(result.predictions, t * result.rows + row, this.#labels.size),
      );
      yield { row, position, result, found };
    }
  }

  async #encoded(examples: Examples<LabelledSequence>): Promise<Batched> {
    return this.#batched((await collect(examples)).map((example) => this.#encode(example)));
  }

  #batched(examples: readonly Encoded[]): Batched {
    return { examples, lengthOf: ({ tokens }) => tokens.length, batch: (some, rows) => this.#batch(some, rows) };
  }

  #tokens(tokens: readonly string[], where: string | undefined): Int32Array {
    const { maxLength } = this.settings;
    if (tokens.length <= maxLength) return this.vocabulary.encodeWords(tokens);
    throw new DataError(
      `${where === undefined ? '' : `${where}: `}Expected a sequence of at most ${maxLength} tokens (\`maxLength\`) but received ${tokens.length}`,
    );
  }

  #encode({ tokens, labels, where }: LabelledSequence): Encoded {
    const place = where === undefined ? '' : `${where}: `;
    if (tokens.length === 0) throw new DataError(`${place}Expected a sequence of tokens but received an empty one`);
    if (labels.length !== tokens.length) {
      throw new DataError(`${place}Expected a label for each of ${tokens.length} tokens but received ${labels.length}`);
    }
    return {
      tokens: this.#tokens(tokens, where),
      labels: Int32Array.from(labels, (label) => this.#labels.index(label, where)),
    };
  }

  #batch(examples: readonly Encoded[], rows: number): Batch {
    const { tokens, lengths, time } = padTokens(
      examples.map((example) => example.tokens),
      rows,
    );
    const labels = new Int32Array(time * rows).fill(IGNORED);
    let labelCount = 0;
    for (const [row, example] of examples.entries()) {
      for (const [t, label] of example.labels.entries()) {
        labels[t * rows + row] = label;
        labelCount += Number(label !== IGNORED);
      }
    }
    return { inputs: { tokens, lengths, labels }, time, batch: rows, lengths: true, labelCount, first: true };
  }
}
