/** BERT for masked tokens: pre-training, and filling in what is masked. */
import { type EncodedSequence, encoderBatch, type MaskedBatch } from '../data/encoder-batch.js';
import { DataError } from '../data/errors.js';
import { IGNORED } from '../data/ignored.js';
import { checkOptions, wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import {
  AnyBert,
  type BertInput,
  type BertLoadOptions,
  type BertOptions,
  type BertParts,
  checkCreate,
  checkLoad,
  partsOf,
  withFolder,
} from './any-bert.js';
import { collect, type Examples } from './collect.js';
import { largestInRow, softmaxRow } from './labels.js';
import { MaskedLanguageModelNetwork } from './networks/bert.js';
import { passRules } from './passes.js';
import { type BatchResult, computeBatch, type PassOptions } from './task-model.js';

export interface MaskedEvaluation {
  /** Mean over all labels, in nats. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** Share of the labels that were the likeliest token. */
  readonly accuracy: number;
  readonly labels: number;
}

export interface Candidate {
  readonly token: number;
  readonly probability: number;
}

/** A masked position, and what may stand there. */
export interface Filling {
  /** Among the tokens of its input. */
  readonly position: number;
  /** The likeliest first. */
  readonly candidates: readonly Candidate[];
}

export interface FillOptions extends PassOptions {
  /** Candidates of each position. Default 5. */
  readonly top?: number | undefined;
}

type Batches = Iterable<MaskedBatch> | AsyncIterable<MaskedBatch>;

const NAME = 'BertForMaskedLM';

export class BertForMaskedLM extends AnyBert<MaskedLanguageModelNetwork> {
  private constructor(parts: BertParts) {
    super(NAME, parts, new MaskedLanguageModelNetwork(parts.config));
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: BertOptions): Promise<BertForMaskedLM> {
    checkCreate(NAME, options);
    return new BertForMaskedLM(await partsOf(NAME, options)).fresh(options.seed ?? 1);
  }

  /**
   * A model from a Hugging Face folder.
   * @throws FileError or FormatError naming the file, the tensor or field, what was expected and what was found; OptionError
   */
  static async load(folder: string, options: BertLoadOptions = {}): Promise<BertForMaskedLM> {
    checkLoad(NAME, options);
    return withFolder(folder, options, async ({ parts, checkpoint }) =>
      new BertForMaskedLM(parts).restored(checkpoint, options),
    );
  }

  /**
   * Batches for training, as the source gives them.
   * @throws DataError for tokens, positions or labels that the model does not have, or a batch without a label that counts
   */
  async *batches(source: Batches): AsyncGenerator<Batch, void, undefined> {
    for await (const batch of source) yield this.#batch(batch);
  }

  /** Loss and accuracy over batches. @throws DataError as {@link batches} */
  async evaluate(source: Batches, { signal }: Pick<PassOptions, 'signal'> = {}): Promise<MaskedEvaluation> {
    let [total, right, labels] = [0, 0, 0];
    for await (const each of source) {
      if (signal?.aborted) break;
      const { loss, predictions } = await this.#compute(each);
      total += loss;
      for (const [index, label] of each.labels.entries()) {
        if (label === IGNORED) continue;
        labels++;
        right += Number(largestInRow(predictions, index, this.config.vocabularySize) === label);
      }
    }
    const loss = total / labels;
    return { loss, perplexity: Math.exp(loss), accuracy: right / labels, labels };
  }

  /** The logits [N, V] of the positions of a batch, whatever its labels. @throws DataError as {@link batches} */
  async logits(batch: MaskedBatch): Promise<ArrayLike<number>> {
    return (await this.#compute({ ...batch, labels: new Int32Array(batch.positions.length) })).predictions;
  }

  /**
   * What may stand at the masked positions of inputs; nothing for an input without one.
   * @throws OptionError if the model has no tokenizer, DataError for an input that does not fit
   */
  async predict(inputs: Examples<BertInput>, { top = 5, ...options }: FillOptions = {}): Promise<Filling[][]> {
    checkOptions('predict', { top, ...options }, { ...passRules, top: wholeNumber(1) });
    const { mask } = this.needTokenizer().special;
    const { signal } = options;
    const found: Filling[][] = [];
    for (const input of await collect(inputs)) {
      if (signal?.aborted) break;
      const sequence = this.sequence(input);
      const positions = Int32Array.from(
        Array.from(sequence.tokens).flatMap((token, at) => (token === mask ? [at] : [])),
      );
      found.push(positions.length === 0 ? [] : await this.#fill(sequence, positions, top));
    }
    return found;
  }

  async #fill(sequence: EncodedSequence, positions: Int32Array<ArrayBuffer>, top: number): Promise<Filling[]> {
    const { padToken: pad, maxPositions: longest, vocabularySize } = this.config;
    const batch = encoderBatch([sequence], { rows: 1, pad, longest });
    const logits = await this.logits({ ...batch, positions, labels: positions });
    return Array.from(positions, (position, index) => {
      const ranked = softmaxRow(logits, index, vocabularySize).map((probability, token) => ({ token, probability }));
      ranked.sort((a, b) => b.probability - a.probability || a.token - b.token);
      return { position, candidates: ranked.slice(0, top) };
    });
  }

  #compute(batch: MaskedBatch): Promise<BatchResult> {
    return computeBatch(this, this.#batch(batch));
  }

  #batch(batch: MaskedBatch): Batch {
    this.checkBatch(batch);
    const { tokens, types, mask, positions, labels, time, batch: rows } = batch;
    const { vocabularySize } = this.config;
    const refuse = (expected: string, received: unknown): never => {
      throw new DataError(`Expected ${expected} but received ${received}`);
    };
    if (labels.length !== positions.length) refuse(`a label for each of ${positions.length} positions`, labels.length);
    const stray = positions.find((position) => position < 0 || position >= rows * time);
    if (stray !== undefined) refuse(`positions from 0 to ${rows * time - 1}`, stray);
    const foreign = labels.find((label) => label !== IGNORED && (label < 0 || label >= vocabularySize));
    if (foreign !== undefined) refuse(`labels from 0 to ${vocabularySize - 1} (vocab_size), or ${IGNORED},`, foreign);
    const labelCount = labels.filter((label) => label !== IGNORED).length;
    if (labelCount === 0) refuse('a label that counts', `${labels.length} that do not (${IGNORED})`);
    return {
      inputs: { tokens, types, mask, positions, labels },
      time,
      batch: rows,
      positions: positions.length,
      labelCount,
      first: true,
    };
  }
}
