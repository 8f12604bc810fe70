/** What all BERT models share: configuration, tokenizer, how texts become sequences, and folders as Hugging Face has them. */
import type { Backend } from '../backends/executor.js';
import type { EncodedSequence, EncoderBatch } from '../data/encoder-batch.js';
import { DataError } from '../data/errors.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { FormatError } from '../formats/errors.js';
import { readTokenizerFiles } from '../formats/hugging-face.js';
import { readJsonObject } from '../formats/json.js';
import { join } from '../host/node.js';
import { type BertConfig, type BertSizes, bertConfig, bertRules } from '../nn/bert-config.js';
import { anything, checkOptions, OptionError, type Rule, wholeNumber, yesOrNo } from '../program/options.js';
import { WordPieceTokenizer } from '../text/tokenizer.js';
import type { Weights } from '../train/model.js';
import { BertCheckpoint, type CheckpointReport } from './bert-checkpoint.js';
import { bertFromJson, bertToJson, type Json } from './bert-json.js';
import type { ModelFolder } from './folder.js';
import { backendOr, SavedModel } from './saved-model.js';

/** A text, a pair of texts, or the tokens of either. */
export type BertInput = string | BertText | EncodedSequence;

export interface BertText {
  readonly text: string;
  readonly pair?: string | undefined;
}

/** How a fresh model is made: a preset, whatever shall differ from it, and where it lives. */
export type BertOptions = BertSizes & {
  /** Needed for texts; without it the model takes tokens, and `vocabularySize` must be given. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Of the initial parameters. Default 1. */
  readonly seed?: number | undefined;
  /** Default: `await loadBackend()`. */
  readonly backend?: Backend | undefined;
};

/** How a folder is loaded. */
export interface BertLoadOptions extends Pick<BertOptions, 'backend' | 'seed'> {
  /** Default: the folder's, if it has one. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Whether a head that the folder lacks may be a fresh one, as before fine-tuning; `checkpoint.fresh` says so. Default: an error. */
  readonly freshHead?: boolean | undefined;
  /** Instead of the folder's. */
  readonly dropout?: number | undefined;
  readonly attentionDropout?: number | undefined;
  readonly classifierDropout?: number | undefined;
}

const tokenizerRule: Rule = {
  expected: 'a tokenizer',
  accepts: (value) => typeof (value as Partial<Tokenizer> | undefined)?.encodeWords === 'function',
};

const placeRules = { tokenizer: tokenizerRule, seed: wholeNumber(0), backend: anything };
export const createRules = { ...bertRules, ...placeRules, preset: anything };
export const loadRules = {
  ...placeRules,
  freshHead: yesOrNo,
  dropout: bertRules.dropout,
  attentionDropout: bertRules.attentionDropout,
  classifierDropout: bertRules.classifierDropout,
};

/** A vocabulary may be filled up to a multiple of this with rows that no token has. */
const PADDED_TO = 128;

/** Everything of a BERT that is not its network. */
export interface BertParts {
  readonly config: BertConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** config.json of the folder it comes from. */
  readonly json: Json;
  /** Files of that folder which are carried along as they are. */
  readonly files: ModelFolder['files'];
  readonly backend: Backend;
}

/** @throws OptionError for sizes that do not fit, a tokenizer of another size, or options not in `rules` */
export async function partsOf(
  name: string,
  { tokenizer, seed: _, backend, ...sizes }: BertOptions,
): Promise<BertParts> {
  const vocabularySize = sizes.vocabularySize ?? tokenizer?.size;
  if (vocabularySize === undefined)
    throw new OptionError(`${name}: Expected \`tokenizer\` or \`vocabularySize\` but received neither`);
  const padToken = sizes.padToken ?? tokenizer?.special.pad;
  const config = bertConfig({ ...sizes, vocabularySize, padToken });
  checkTokenizer(tokenizer, config, (expected, received) => {
    throw new OptionError(`${name}: Expected \`tokenizer\` to have ${expected} but received one of ${received}`);
  });
  return { config, tokenizer, json: {}, files: tokenizer?.files, backend: await backendOr(backend) };
}

function checkTokenizer(
  tokenizer: Tokenizer | undefined,
  { vocabularySize }: BertConfig,
  refuse: (expected: string, received: string) => never,
): void {
  if (tokenizer === undefined) return;
  const { size } = tokenizer;
  const most = Math.ceil(size / PADDED_TO) * PADDED_TO;
  if (vocabularySize < size || vocabularySize > most) refuse(`${vocabularySize} tokens (vocab_size)`, `${size}`);
}

export interface Opened {
  readonly parts: BertParts;
  readonly checkpoint: BertCheckpoint;
  /** Path of config.json. */
  readonly file: string;
}

/**
 * Opens a folder, and closes it after `use`.
 * @throws FileError, FormatError, OptionError
 */
export async function withFolder<T>(
  folder: string,
  { tokenizer: own, backend, seed: _, freshHead: __, ...rates }: BertLoadOptions,
  use: (opened: Opened) => Promise<T>,
): Promise<T> {
  const file = join(folder, 'config.json');
  const json = await readJsonObject(file);
  const config: BertConfig = { ...bertFromJson(json, file), ...given(rates) };
  const files = own?.files ?? (await readTokenizerFiles(folder));
  const tokenizer = own ?? (await tokenizerAmong(files, folder));
  checkTokenizer(tokenizer, config, (expected, received) => {
    throw new FormatError(folder, undefined, `a tokenizer of ${expected}`, `one of ${received}`);
  });
  const checkpoint = await BertCheckpoint.open(folder);
  try {
    return await use({
      parts: { config, tokenizer, json, files, backend: await backendOr(backend) },
      checkpoint,
      file,
    });
  } finally {
    await checkpoint.close();
  }
}

/** The tokenizer of a folder with these files; undefined if there is none. @throws FormatError, FileError */
const tokenizerAmong = async (files: object, folder: string): Promise<Tokenizer | undefined> =>
  'tokenizer.json' in files || 'vocab.txt' in files ? WordPieceTokenizer.load(folder) : undefined;

const given = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

const at = (where: string | undefined): string => (where === undefined ? '' : `${where}: `);

export abstract class AnyBert<N extends Weights> extends SavedModel<N> {
  readonly config: BertConfig;
  readonly tokenizer: Tokenizer | undefined;
  #report: CheckpointReport = { fresh: [], unused: [] };

  protected constructor(
    /** What config.json calls the kind of model. */
    readonly architecture: string,
    protected readonly parts: BertParts,
    network: N,
  ) {
    super(network, parts.backend);
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
  }

  /** What the folder that the model was loaded from lacked, and what in it was left unused, by the names of parameters and tensors. */
  get checkpoint(): CheckpointReport {
    return this.#report;
  }

  /** Parameters get memory, and values from a folder. @throws FormatError, FileError, OutOfMemoryError */
  protected async restored(
    checkpoint: BertCheckpoint,
    { freshHead, seed = 1 }: Pick<BertLoadOptions, 'freshHead' | 'seed'>,
    without: readonly string[] = [],
  ): Promise<this> {
    const { variables } = this.network.parameters.arena;
    this.#report = checkpoint.compare(variables, { freshHead: freshHead === true, without });
    await this.allocate();
    const fresh = new Set(this.#report.fresh);
    if (fresh.size > 0) await this.initialise(seed);
    const stored = variables.filter(({ name }) => !fresh.has(name));
    for await (const [variable, values] of checkpoint.read(stored)) await this.engine.write(variable, values);
    return this;
  }

  /** What config.json says of this kind of model besides. */
  protected get more(): Json {
    return {};
  }

  protected override description(): Omit<ModelFolder, 'parameters'> {
    const { json, files } = this.parts;
    return { config: { ...bertToJson(this.config, this.architecture, json), ...this.more }, files };
  }

  /**
   * The tokens of an input, at most `maxLength` of a text.
   * @throws DataError for tokens or types that the model does not have, an empty sequence, or one that is too long
   */
  protected sequence(input: BertInput, { maxLength, where }: { maxLength?: number; where?: string | undefined } = {}) {
    const { maxPositions } = this.config;
    const sequence =
      typeof input === 'object' && 'tokens' in input
        ? input
        : this.#encoded(
            typeof input === 'string' ? { text: input } : input,
            Math.min(maxLength ?? maxPositions, maxPositions),
          );
    this.#check(sequence, where);
    return sequence;
  }

  #encoded({ text, pair }: BertText, maxLength: number): EncodedSequence {
    return this.needTokenizer().encode(text, { pair, maxLength });
  }

  /** @throws OptionError if the model has none */
  protected needTokenizer(): Tokenizer {
    if (this.tokenizer !== undefined) return this.tokenizer;
    throw new OptionError(`${this.architecture}: Expected a tokenizer to read texts with but the model has none`);
  }

  #check({ tokens, types }: EncodedSequence, where: string | undefined): void {
    const { maxPositions, vocabularySize, tokenTypes } = this.config;
    const { length } = tokens;
    const refuse = (expected: string, received: string): never => {
      throw new DataError(`${at(where)}Expected ${expected} but received ${received}`);
    };
    if (length === 0) refuse('a sequence of tokens', 'an empty one');
    if (length > maxPositions) refuse(`at most ${maxPositions} tokens (max_position_embeddings)`, `${length}`);
    if (types !== undefined && types.length !== length)
      refuse(`a type for each of ${length} tokens`, `${types.length}`);
    outside('token', tokens, vocabularySize, 'vocab_size', refuse);
    outside('type', types ?? [], Math.max(1, tokenTypes), 'type_vocab_size', refuse);
  }

  /**
   * Checks a batch that others have made.
   * @throws DataError naming the row, and what does not fit
   */
  protected checkBatch({ tokens, types, mask, time, batch }: EncoderBatch): void {
    for (const [name, values] of Object.entries({ tokens, types, mask })) {
      if (values.length !== batch * time)
        throw new DataError(`Expected ${batch} · ${time} \`${name}\` but received ${values.length}`);
    }
    for (let row = 0; row < batch; row++) {
      const part = (values: Int32Array): Int32Array => values.subarray(row * time, (row + 1) * time);
      this.#check({ tokens: part(tokens), types: part(types) }, `row ${row}`);
      if (part(mask).every((each) => each === 0))
        throw new DataError(`row ${row}: Expected a mask with a position that is not 0 but received ${time} zeros`);
    }
  }
}

/** Refuses the first number of a list that is not one of `count`. */
function outside(
  what: string,
  values: ArrayLike<number>,
  count: number,
  setting: string,
  refuse: (expected: string, received: string) => never,
): void {
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number;
    if (Number.isInteger(value) && value >= 0 && value < count) continue;
    refuse(`a ${what} from 0 to ${count - 1} (${setting})`, `${value} at position ${index}`);
  }
}

export const checkCreate = (name: string, options: object, rules: Readonly<Record<string, Rule>> = {}): void =>
  checkOptions(name, options, { ...createRules, ...rules });

export const checkLoad = (name: string, options: object, rules: Readonly<Record<string, Rule>> = {}): void =>
  checkOptions(name, options, { ...loadRules, ...rules });
