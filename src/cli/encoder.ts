/** The options that describe an encoder, and how one that has been trained is tuned. */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { rung } from '../data/batching.js';
import { readJsonObject } from '../formats/json.js';
import type { AnyBert } from '../models/any-bert.js';
import { bertFromJson } from '../models/bert-json.js';
import { type BertPreset, bertDefaults, bertPresets } from '../nn/bert-config.js';
import { encoderGroups } from '../optim/encoder-groups.js';
import { OptionError } from '../program/options.js';
import { WordPieceTokenizer } from '../text/tokenizer.js';
import type { Model, Weights } from '../train/model.js';
import { numberOption } from './command.js';
import { refuseGiven } from './given.js';
import { type Origin, share, whole } from './training.js';

interface ReadingFlags {
  vocabulary?: number;
  maxLength?: number;
}

export interface TransformerFlags {
  preset?: BertPreset;
  hidden?: number;
  layers?: number;
  heads?: number;
  feedForward?: number;
  dropout?: number;
  attentionDropout?: number;
}

export interface EncoderFlags extends TransformerFlags {
  from?: string;
  cased?: true;
  freeze?: string;
  layerDecay?: number;
}

/** What `--from` settles. */
const SIZES = ['preset', 'hidden', 'layers', 'heads', 'feedForward', 'vocabulary', 'cased'];

/** What recurrent networks have no use for. */
export const TRANSFORMER_ONLY = ['preset', 'heads', 'feedForward', 'attentionDropout'];
export const ENCODER_ONLY = [...TRANSFORMER_ONLY, 'from', 'cased', 'freeze', 'layerDecay'];

/** Adds the sizes of a transformer. @param shared whether the options of recurrent networks are there, some of which it shares */
export function withTransformer(command: Command, title: string, { shared }: { readonly shared: boolean }): Command {
  command.optionsGroup(title);
  if (!shared) {
    command
      .option('--hidden <n>', 'model width, C (default: as --preset)', whole)
      .option('--layers <n>', 'layers (default: as --preset)', whole)
      .option('--dropout <p>', 'dropout rate in training (default: 0.1)', share);
  }
  return command
    .addOption(new Option('--preset <size>', 'sizes by name (default: tiny)').choices(Object.keys(bertPresets)))
    .option('--heads <n>', 'attention heads; must divide --hidden', whole)
    .option('--feed-forward <n>', 'width within feed-forward layers', whole)
    .option('--attention-dropout <p>', 'dropout rate of attention probabilities', share);
}

/** Adds all of an encoder: where it comes from, its sizes, what is not trained. */
export function withEncoder(command: Command, title: string, { shared }: { readonly shared: boolean }): Command {
  command
    .optionsGroup(title)
    .option('--from <folder>', 'a trained BERT to start from, ours or Hugging Face’s; its sizes and vocabulary hold');
  return withTransformer(command, title, { shared })
    .option('--cased', 'upper and lower case differ in a new vocabulary')
    .option('--freeze <parts>', 'what is not trained: embeddings, pooler, layers such as 0-5, separated by commas')
    .option(
      '--layer-decay <d>',
      'learning rate of each layer relative to the one above it, from 0 to 1',
      numberOption({ from: 0 }),
    );
}

/** The sizes that were asked for. @param given flags without those left to defaults */
export const sizesOf = (given: TransformerFlags) => ({
  preset: given.preset ?? 'tiny',
  hiddenSize: given.hidden,
  layers: given.layers,
  heads: given.heads,
  feedForwardSize: given.feedForward,
  ...ratesOf(given),
});

/**
 * The standard deviation of fresh weights: BERT's 0.02 at its width of 768, elsewhere what makes a product as large as there. With 0.02 the layers of
 * a narrow model add next to nothing at first, and it takes twice as long to learn anything from its neighbours.
 */
export function initialDeviation(given: TransformerFlags): number {
  const { preset, hiddenSize = bertPresets[preset].hiddenSize } = sizesOf(given);
  return bertDefaults.initializerRange * Math.sqrt(bertDefaults.hiddenSize / hiddenSize);
}

/** The dropout rates that were asked for. */
export const ratesOf = ({ dropout, attentionDropout }: TransformerFlags) => ({ dropout, attentionDropout });

/** Refuses sizes beside a folder that has them. @throws OptionError */
export function checkSource(command: Command, { from }: EncoderFlags): void {
  if (from !== undefined) refuseGiven(command, SIZES, 'without --from, as the folder settles that');
}

/** How texts are read, settled before there is a model. */
export interface Reading {
  readonly tokenizer: WordPieceTokenizer;
  /** Tokens of a text at most. */
  readonly maxLength: number;
  /** T at most. */
  readonly maxPositions: number;
}

/** Tokens of a text where nobody says. */
export const LENGTH = 128;
/** Tokens of a new vocabulary where nobody says. */
export const VOCABULARY = 8192;

/**
 * The tokenizer of the folder that training starts from, else one learnt from the texts.
 * @throws FileError, FormatError, DataError, OptionError for more tokens than the folder has positions
 */
export async function readingOf(
  { from, vocabulary: size = VOCABULARY, maxLength: asked, cased }: EncoderFlags & ReadingFlags,
  texts: Iterable<string>,
): Promise<Reading> {
  const maxLength = asked ?? LENGTH;
  if (from === undefined) {
    const tokenizer = await WordPieceTokenizer.learn(texts, { size, lowercase: cased !== true });
    return { tokenizer, maxLength, maxPositions: maxLength };
  }
  const file = join(from, 'config.json');
  const { maxPositions } = bertFromJson(await readJsonObject(file), file);
  if (asked !== undefined && asked > maxPositions)
    throw new OptionError(
      `Expected --max-length to be at most ${maxPositions}, max_position_embeddings of ${file}, but received ${asked}`,
    );
  const tokenizer = await WordPieceTokenizer.load(from);
  return { tokenizer, maxLength: Math.min(maxLength, maxPositions), maxPositions };
}

/** The length of the longest row of a batch of texts of these lengths. */
export const longestRow = (lengths: readonly number[], { maxLength, maxPositions }: Reading): number => {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1);
  return Math.min(rung(Math.min(longest, maxLength)), maxPositions);
};

/** Times 1 / C: 5e-5 at a width of 768 and 3e-4 at 128, as Devlin et al. and Turc et al. chose theirs. */
const TUNING_RATE = 5e-5 * 768;
/** Times 1 / C: 1e-3 at a width of 128. */
export const FRESH_RATE = 1e-3 * 128;
/** Of masked language models, times 1 / C: 2e-3 at a width of 128. */
export const PRETRAINING_RATE = 2e-3 * 128;
/** Learning rates for the help. */
const ratesText = (fresh: number): string =>
  `${fresh} / C, with --from ${TUNING_RATE.toPrecision(3)} / C, where C is the model width`;
export const RATES = ratesText(FRESH_RATE);
export const PRETRAINING_RATES = ratesText(PRETRAINING_RATE);

/** What a trained or fresh BERT can be asked. */
type Tunable = Model & Pick<AnyBert<Weights>, 'config' | 'checkpoint'>;

/** What training an encoder has of its own: rates that go down with the width, groups, where the model comes from. */
export const tuningOf = <M extends Tunable>(flags: EncoderFlags, freshRate = FRESH_RATE) => ({
  learningRate: ({ config }: M): number => (flags.from === undefined ? freshRate : TUNING_RATE) / config.hiddenSize,
  groups: encoderGroups({ freeze: flags.freeze, layerDecay: flags.layerDecay }),
  about: ({ checkpoint }: M): Origin | undefined =>
    flags.from === undefined ? undefined : { from: flags.from, ...checkpoint },
});
