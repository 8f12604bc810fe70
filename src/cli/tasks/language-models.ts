/** The networks that write text on: how each is made from the options, and found in a folder. */
import type { Command } from 'commander';
import type { Vocabulary } from '../../data/vocabulary.js';
import { LanguageModel } from '../../models/language-model.js';
import { TransformerLanguageModel } from '../../models/transformer-language-model.js';
import { encoderGroups } from '../../optim/encoder-groups.js';
import { type BackendFlags, backendFrom } from '../command.js';
import { FRESH_RATE, sizesOf, TRANSFORMER_ONLY, type TransformerFlags } from '../encoder.js';
import { givenIn, refuseGiven } from '../given.js';
import { networkOf, RECURRENT_ONLY, type RecurrentFlags } from '../recurrent.js';
import type { TaskTraining, TrainingFlags } from '../training.js';
import { kindOf } from './kind.js';

export type TextWriter = LanguageModel | TransformerLanguageModel;

interface CommonFlags extends TrainingFlags {
  labelSmoothing?: number;
  window: number;
}

export interface OurFlags extends CommonFlags, RecurrentFlags {
  embedding?: number;
  documentEnd?: string;
  tieWeights?: true;
  ar?: number;
  tar?: number;
}

export interface DecoderFlags extends CommonFlags, TransformerFlags {
  model: 'transformer';
}

/** What a transformer has other defaults for than recurrent networks. */
const DECODER_DEFAULTS = {
  ...{ schedule: 'linear', warmup: 0.1, window: 128 },
  ...{ hidden: undefined, layers: undefined, dropout: undefined },
};
export const DECODER_HELP =
  '--schedule linear, --warmup 0.1, --window 128;\n  --hidden, --layers and --dropout as in the preset';

/** The flags with the defaults of the network that was asked for. @throws OptionError for options of the other one */
export function settled<Flags extends OurFlags | DecoderFlags>(flags: Flags, command: Command): Flags {
  if (flags.model !== 'transformer') {
    refuseGiven(command, TRANSFORMER_ONLY, 'with --model transformer');
    return flags;
  }
  const others = [...RECURRENT_ONLY, 'embedding', 'documentEnd', 'tieWeights', 'ar', 'tar'];
  refuseGiven(command, others, 'with --model rnn, lstm or gru');
  return { ...flags, ...DECODER_DEFAULTS, ...givenIn(command, flags) };
}

type Training = Pick<TaskTraining<TextWriter>, 'createModel' | 'learningRate' | 'groups'>;

export const trainingOf = (flags: OurFlags | DecoderFlags, vocabulary: Vocabulary): Training =>
  flags.model === 'transformer' ? decoder(flags, vocabulary) : recurrent(flags, vocabulary);

function recurrent(flags: OurFlags, vocabulary: Vocabulary): Training {
  const { hidden, projection, tieWeights } = flags;
  const { embedding = (tieWeights ? projection : undefined) ?? hidden } = flags;
  return {
    createModel: async () =>
      LanguageModel.create({
        vocabulary,
        ...networkOf(flags),
        embeddingSize: embedding,
        documentEnd: flags.documentEnd,
        tiedWeights: tieWeights,
        labelSmoothing: flags.labelSmoothing,
        activationRegularisation: flags.ar,
        temporalActivationRegularisation: flags.tar,
        backend: await backendFrom(flags),
      }),
    learningRate: () => 2e-3,
  };
}

/** Windows have no memory of those before them: positions beyond the window would never be trained. */
function decoder(flags: DecoderFlags, vocabulary: Vocabulary): Training {
  const { labelSmoothing, window: context, seed } = flags;
  return {
    createModel: async () =>
      TransformerLanguageModel.create({
        vocabulary,
        ...sizesOf(flags),
        context,
        labelSmoothing,
        seed,
        backend: await backendFrom(flags),
      }),
    learningRate: (model) => FRESH_RATE / model.settings.hiddenSize,
    groups: encoderGroups(),
  };
}

/** The language model of a folder. @throws FileError, FormatError */
export async function loadWriter(folder: string, flags: BackendFlags): Promise<TextWriter> {
  const isTransformer = (await kindOf(folder)) === 'transformer_language_model';
  const backend = await backendFrom(flags);
  return isTransformer ? TransformerLanguageModel.load(folder, { backend }) : LanguageModel.load(folder, { backend });
}
