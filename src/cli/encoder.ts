/** The options that describe an encoder, and how one that has been trained is tuned. */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { readJsonObject } from '../formats/json.js';
import { bertFromJson } from '../models/bert-json.js';
import { type BertPreset, bertPresets } from '../nn/bert-config.js';
import { encoderGroups } from '../optim/encoder-groups.js';
import type { ParameterGroup } from '../optim/groups.js';
import { WordPieceTokenizer } from '../text/tokenizer.js';
import type { Model } from '../train/model.js';
import { numberOption } from './command.js';
import { refuseGiven } from './given.js';
import { share, whole } from './training.js';

export interface EncoderFlags {
  from?: string;
  preset?: BertPreset;
  hidden?: number;
  layers?: number;
  heads?: number;
  feedForward?: number;
  dropout?: number;
  attentionDropout?: number;
  cased?: true;
  freeze?: string;
  layerDecay?: number;
}

/** What `--from` settles. */
const SIZES = ['preset', 'hidden', 'layers', 'heads', 'feedForward', 'vocabulary', 'cased'];

/** What recurrent networks have no use for. */
export const ENCODER_ONLY = [
  'from',
  'preset',
  'heads',
  'feedForward',
  'attentionDropout',
  'cased',
  'freeze',
  'layerDecay',
];

const addedSizes = (command: Command): Command =>
  command
    .addOption(new Option('--preset <size>', 'sizes by name (default: tiny)').choices(Object.keys(bertPresets)))
    .option('--heads <n>', 'attention heads; must divide --hidden', whole)
    .option('--feed-forward <n>', 'width within feed-forward layers', whole)
    .option('--attention-dropout <p>', 'dropout rate of attention probabilities', share);

/** Adds the sizes of a transformer. @param shared whether the options of recurrent networks are there, some of which it shares */
export function withTransformer(command: Command, title: string, { shared }: { readonly shared: boolean }): Command {
  command.optionsGroup(title);
  if (!shared) {
    command
      .option('--hidden <n>', 'model width, C (default: as --preset)', whole)
      .option('--layers <n>', 'layers (default: as --preset)', whole)
      .option('--dropout <p>', 'dropout rate in training (default: 0.1)', share);
  }
  return addedSizes(command);
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
export const sizesOf = (given: EncoderFlags) => ({
  preset: given.preset ?? 'tiny',
  hiddenSize: given.hidden,
  layers: given.layers,
  heads: given.heads,
  feedForwardSize: given.feedForward,
  ...ratesOf(given),
});

/** The dropout rates that were asked for. */
export const ratesOf = ({ dropout, attentionDropout }: EncoderFlags) => ({ dropout, attentionDropout });

/** Refuses sizes beside a folder that has them. @throws OptionError */
export function checkSource(command: Command, { from }: EncoderFlags): void {
  if (from !== undefined) refuseGiven(command, SIZES, 'without --from, as the folder settles that');
}

/** What a folder settles before the model is loaded: undefined where there is none. @throws FileError, FormatError */
export async function initialFrom(
  from: string | undefined,
): Promise<{ readonly tokenizer: WordPieceTokenizer; readonly maxPositions: number } | undefined> {
  if (from === undefined) return undefined;
  const file = join(from, 'config.json');
  const { maxPositions } = bertFromJson(await readJsonObject(file), file);
  return { tokenizer: await WordPieceTokenizer.load(from), maxPositions };
}

/** The parameter groups of the flags. @throws OptionError */
export const groupsOf = (model: Model, { freeze, layerDecay }: EncoderFlags): ParameterGroup[] =>
  encoderGroups(
    model.network.parameters.arena.variables.map(({ name }) => name),
    { freeze, layerDecay },
  );

/** Rates go down with the width: 3e-4 at a width of 128, 5e-5 at 768, as Turc et al. and Devlin et al. chose theirs. */
export const tuningRate = (hiddenSize: number): number => (5e-5 * 768) / hiddenSize;

/** For a fresh model: 1e-3 at a width of 128. */
export const freshRate = (hiddenSize: number): number => 0.128 / hiddenSize;
