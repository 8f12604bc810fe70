/** What every model that writes text on has in common, however it reads what is there. */
import { evaluationWindows, trainingWindows, type Window } from '../data/streams.js';
import type { Vocabulary } from '../data/vocabulary.js';
import { anything, checkOptions, wholeNumber } from '../program/options.js';
import { type Evaluation, evaluate } from '../train/evaluate.js';
import type { Network } from '../train/model.js';
import type { Batch } from '../train/trainer.js';
import { type SamplingOptions, sampler, samplingRules } from './sampling.js';
import { SavedModel } from './saved-model.js';

/** Rows and steps of the windows that text is cut into. */
export interface WindowOptions {
  /** B. Default 32. */
  readonly batch?: number;
  /** T = k₂. Default 64. */
  readonly window?: number;
}

/** Windows for training, which may overlap. */
export interface TrainingWindowOptions extends WindowOptions {
  /** Steps from one window to the next, k₁, at most `window`. Default: `window`. */
  readonly step?: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** Text to go on from. Default: a token of the vocabulary. */
  readonly prompt?: string;
  /** Tokens to generate. Default 200. */
  readonly length?: number;
  readonly signal?: AbortSignal | undefined;
}

export const aString = { expected: 'a string', accepts: (value: unknown) => typeof value === 'string' };

const windowRules = { batch: wholeNumber(1), window: wholeNumber(1) };
const trainingWindowRules = { ...windowRules, step: wholeNumber(1) };

const generateRules = {
  ...samplingRules,
  prompt: aString,
  length: wholeNumber(0),
  signal: anything,
};

/** Reads tokens on, and gives the logits of the token after them. */
export type Reader = (tokens: Int32Array) => Promise<ArrayLike<number>>;

export abstract class TextModel<N extends Network> extends SavedModel<N> {
  abstract readonly vocabulary: Vocabulary;

  /** The token that ends a document; text is one document where there is none. */
  protected abstract readonly documentEnd: number | undefined;

  /** What the network is given of a window. */
  protected abstract toBatch(window: Window, batch: number): Batch;

  /** A reader of a text of its own. */
  protected abstract reader(): Promise<Reader>;

  /**
   * Batches for training: the text as `batch` contiguous streams, `window` steps at a time, pass after pass without end.
   * @throws DataError for a character the vocabulary lacks or a text too short for one window.
   */
  *batches(
    text: string | Int32Array<ArrayBuffer>,
    options: TrainingWindowOptions = {},
  ): Generator<Batch, void, undefined> {
    checkOptions('batches', options, trainingWindowRules);
    const { batch = 32, window = 64, step } = options;
    const { documentEnd } = this;
    for (const each of trainingWindows(this.tokensOf(text), { batch, window, step, documentEnd }))
      yield this.toBatch(each, batch);
  }

  /**
   * The mean loss over a text, each stream predicted to its end; fewer streams than `batch` where the text is short.
   * @throws DataError for a character the vocabulary lacks or a text of fewer than two tokens.
   */
  async evaluate(
    text: string | Int32Array<ArrayBuffer>,
    { signal, ...options }: WindowOptions & { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Evaluation> {
    checkOptions('evaluate', options, windowRules);
    const { batch = 32, window = 64 } = options;
    const tokens = this.tokensOf(text);
    const rows = Math.max(1, Math.min(batch, Math.floor((tokens.length - 1) / window)));
    const windows = evaluationWindows(tokens, { batch: rows, window, documentEnd: this.documentEnd });
    return evaluate(this, this.#batchesOf(windows, rows), { signal });
  }

  /**
   * Generates text, token by token. The same options give the same text on the same backend.
   * @throws OptionError, or DataError if the prompt has a character the vocabulary lacks.
   */
  async *generate(options: GenerateOptions = {}): AsyncGenerator<string, void, undefined> {
    checkOptions('generate', options, generateRules);
    const { prompt = '', length = 200, signal, ...sampling } = options;
    const sample = sampler(sampling);
    const given = this.vocabulary.encode(prompt);
    const decoding = this.vocabulary.decoding();
    for (const token of given) decoding.next(token);
    const advance = await this.#written();
    let logits = await advance(given.length > 0 ? given : this.#firstToken());
    for (let index = 0; index < length && !signal?.aborted; index++) {
      const token = sample(logits);
      const piece = decoding.next(token);
      if (piece !== '') yield piece;
      logits = await advance(Int32Array.of(token));
    }
    const rest = decoding.end();
    if (rest !== '') yield rest;
  }

  /** All of {@link generate} as one string, without the prompt. */
  async generateText(options: GenerateOptions = {}): Promise<string> {
    let text = '';
    for await (const piece of this.generate(options)) text += piece;
    return text;
  }

  protected tokensOf(text: string | Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
    return typeof text === 'string' ? this.vocabulary.encode(text) : text;
  }

  *#batchesOf(windows: Iterable<Window>, rows: number): Generator<Batch, void, undefined> {
    for (const window of windows) yield this.toBatch(window, rows);
  }

  /** A reader that leaves out what the vocabulary lacks: it cannot be written. */
  async #written(): Promise<Reader> {
    const { unknown } = this.vocabulary;
    const read = await this.reader();
    if (unknown === undefined) return read;
    return async (tokens) =>
      Array.from(await read(tokens), (logit, token) => (token === unknown ? Number.NEGATIVE_INFINITY : logit));
  }

  /** The token that texts without a prompt begin after. */
  #firstToken(): Int32Array {
    const { unknown, size } = this.vocabulary;
    return Int32Array.of(unknown === 0 && size > 1 ? 1 : 0);
  }
}
