/** Texts as BERT reads them: normalised, split into words, words into WordPieces. The encoding itself is that of @huggingface/tokenizers. */
import { DataError } from '../data/errors.js';
import type { EncodeOptions, Encoding, Tokenizer, WordEncoding } from '../data/tokenizer.js';
import { counted } from '../data/vocabulary.js';
import { FormatError } from '../formats/errors.js';
import { checkOptions, yesOrNo } from '../program/options.js';
import { type Encoder, library } from './encoder.js';
import { framed, framedWords } from './framed.js';
import {
  addedTokensOf,
  piecesOf,
  readTokenizerFiles,
  specialTokensOf,
  type TokenizerFiles,
} from './tokenizer-files.js';
import {
  type JsonObject,
  type NormalisationOptions,
  normalizer,
  roles,
  tokenizerConfig,
  tokenizerJson,
} from './tokenizer-json.js';
import { CONTINUATION, learnWordPieces, type WordPieceOptions, wordPieceRules } from './word-piece.js';

export interface LearntTokenizerOptions extends NormalisationOptions, WordPieceOptions {}

const normalisationRules = { lowercase: yesOrNo, stripAccents: yesOrNo };

export class WordPieceTokenizer implements Tokenizer {
  readonly special: Tokenizer['special'];
  readonly #encoder: Encoder;
  readonly #pieces: readonly string[];
  readonly #tokens: ReadonlyMap<string, number>;
  /** Tokens that stand for no piece of text. */
  readonly #without: ReadonlySet<number>;
  readonly #files: TokenizerFiles;

  private constructor(encoder: Encoder, pieces: readonly string[], files: TokenizerFiles) {
    this.#encoder = encoder;
    this.#pieces = pieces;
    this.#tokens = new Map(pieces.map((piece, token) => [piece, token]));
    this.#files = files;
    const { json, config, file } = files;
    const special = specialTokensOf(config);
    this.special = {
      pad: this.#tokenOf(special.pad_token),
      unknown: this.#tokenOf((json.model as JsonObject).unk_token),
      cls: this.#tokenOf(special.cls_token),
      sep: this.#tokenOf(special.sep_token),
      mask: this.#tokenOf(special.mask_token),
    };
    const marked = addedTokensOf(json, file).filter((added) => added.special === true);
    this.#without = new Set([...Object.values(this.special), ...marked.map(({ id }) => id as number)]);
  }

  static async #from(files: TokenizerFiles): Promise<WordPieceTokenizer> {
    const pieces = piecesOf(files);
    const { json, config, file } = files;
    const { Tokenizer: Encoder } = await library();
    const absent = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
    let encoder: Encoder;
    try {
      encoder = new Encoder({ ...absent, ...json }, config);
    } catch (cause) {
      const { message } = cause as Error;
      throw new FormatError(file, undefined, 'a tokenizer that can be used', `one that cannot (${message})`, { cause });
    }
    return new WordPieceTokenizer(encoder, pieces, files);
  }

  /**
   * A tokenizer whose vocabulary is learnt from texts; the same texts give the same one.
   * @throws OptionError; DataError if there are no words, or more different characters than the vocabulary has room for
   */
  static async learn(
    texts: Iterable<string>,
    { lowercase, stripAccents, ...options }: LearntTokenizerOptions = {},
  ): Promise<WordPieceTokenizer> {
    const normalisation = { lowercase, stripAccents };
    checkOptions('Tokenizer', { ...normalisation, ...options }, { ...normalisationRules, ...wordPieceRules });
    const { BertNormalizer, BertPreTokenizer } = await library();
    const normaliser = new BertNormalizer(normalizer(normalisation));
    const splitter = new BertPreTokenizer();
    const words = new Map<string, number>();
    for (const text of texts) {
      for (const line of text.split('\n')) counted(splitter.pre_tokenize(normaliser.normalize(line)), words);
    }
    return WordPieceTokenizer.fromVocabulary(learnWordPieces(words, options), normalisation);
  }

  /** A tokenizer of the pieces of a vocabulary, in the order of their tokens; BERT's special tokens are among them. @throws FormatError */
  static async fromVocabulary(
    pieces: readonly string[],
    options: NormalisationOptions = {},
  ): Promise<WordPieceTokenizer> {
    checkOptions('Tokenizer', options, normalisationRules);
    const json = tokenizerJson(pieces, roles, options);
    return WordPieceTokenizer.#from({ json, config: tokenizerConfig(roles, options), file: 'vocabulary' });
  }

  /**
   * The tokenizer of a model folder: `tokenizer.json`, or `vocab.txt` as older folders have it; `tokenizer_config.json` where there is one.
   * @throws FileError, FormatError
   */
  static async load(folder: string): Promise<WordPieceTokenizer> {
    return WordPieceTokenizer.#from(await readTokenizerFiles(folder));
  }

  /** Number of tokens. */
  get size(): number {
    return this.#pieces.length;
  }

  /** @throws DataError for a token outside 0 … size − 1 */
  token(token: number): string {
    const piece = this.#pieces[token];
    if (piece !== undefined) return piece;
    throw new DataError(`Expected tokens from 0 to ${this.size - 1} but received ${token}`);
  }

  /** Whether a token goes on with the word of the token before it. */
  goesOn(token: number): boolean {
    return this.token(token).startsWith(CONTINUATION);
  }

  /** Whether a token stands for no piece of text. */
  isSpecial(token: number): boolean {
    return this.#without.has(token);
  }

  /** The tokens of a text as they are, nothing around them. Special tokens in it, such as `[MASK]`, are those tokens. */
  pieces(text: string): Int32Array<ArrayBuffer> {
    return Int32Array.from(this.#encoder.encode(text, { add_special_tokens: false }).ids);
  }

  /** `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`. @throws OptionError if `maxLength` leaves no room for text */
  encode(text: string, { pair, maxLength }: EncodeOptions = {}): Encoding {
    return framed(this.special, this.pieces(text), pair === undefined ? undefined : this.pieces(pair), maxLength);
  }

  /** `[CLS] words [SEP]`: words that do not fit whole are left out. @throws OptionError if `maxLength` leaves no room for text */
  encodeWords(words: readonly string[], { maxLength }: Pick<EncodeOptions, 'maxLength'> = {}): WordEncoding {
    return framedWords(
      this.special,
      words.map((word) => this.pieces(word)),
      maxLength,
    );
  }

  /** A text that reads like that of the tokens: what `encode` came from but for case, accents and spaces. @throws DataError */
  decode(tokens: Iterable<number>): string {
    const all = [...tokens].filter((token) => this.token(token) !== undefined && !this.isSpecial(token));
    return all.length === 0
      ? ''
      : this.#encoder.decode(all, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  /** The content of the files that Hugging Face's libraries read a tokenizer from, by name. */
  get files(): Readonly<Record<string, string>> {
    return {
      'tokenizer.json': `${JSON.stringify(this.#files.json, null, 2)}\n`,
      'tokenizer_config.json': `${JSON.stringify(this.#files.config, null, 2)}\n`,
      'vocab.txt': this.#pieces.map((piece) => `${piece}\n`).join(''),
    };
  }

  #tokenOf(piece: unknown): number {
    const token = this.#tokens.get(piece as string);
    if (token !== undefined) return token;
    const { file } = this.#files;
    throw new FormatError(file, undefined, `the special token ${JSON.stringify(piece)} in the vocabulary`, 'none');
  }
}
