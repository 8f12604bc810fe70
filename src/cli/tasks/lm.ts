/** `seqgrad train lm`: a language model on anyone's text. */
import { type Command, Option } from 'commander';
import { DataError } from '../../data/errors.js';
import type { Parts } from '../../data/split.js';
import { windowsPerPass } from '../../data/streams.js';
import { loadText } from '../../data/text.js';
import { learnVocabulary } from '../../data/vocabularies.js';
import type { Units, Vocabulary } from '../../data/vocabulary.js';
import { TransformerLanguageModel } from '../../models/transformer-language-model.js';
import { OptionError } from '../../program/options.js';
import { numberOption, required } from '../command.js';
import { withTransformer } from '../encoder.js';
import { withRecurrent } from '../recurrent.js';
import { heldText, readTextParts, type TextFlags, withTextFiles } from '../text-parts.js';
import { share, trainTask, whole, wholeFrom0, withTraining } from '../training.js';
import {
  DECODER_HELP,
  type DecoderFlags,
  loadWriter,
  type OurFlags,
  settled,
  type TextWriter,
  trainingOf,
} from './language-models.js';
import type { EvaluateFlags, Measured, Prediction, Task } from './task.js';

type Flags = (OurFlags | DecoderFlags) &
  TextFlags & {
    units: Units;
    vocabulary?: number;
    minCount?: number;
    step?: number;
    sample: number;
  };

/** What one token is called, and several. */
const UNITS: Readonly<Record<Units, readonly [one: string, several: string]>> = {
  characters: ['character', 'characters'],
  words: ['word', 'words'],
  bpe: ['token', 'tokens'],
};

/** Refuses a text too short to train on. @throws DataError saying how much of it is held out */
function checkLength(train: Int32Array, heldOut: number, flags: Flags): void {
  const [, units] = UNITS[flags.units];
  try {
    windowsPerPass(train, { batch: flags.batch, window: flags.window, step: flags.step });
  } catch (error) {
    if (!(error instanceof DataError) || heldOut === 0) throw error;
    const of = `${heldOut} of the ${train.length + heldOut} ${units} are held out: --validation, --test`;
    throw new DataError(`${error.message} (${of})`, { cause: error });
  }
}

type Tokens = Int32Array<ArrayBuffer>;

interface Loaded {
  readonly vocabulary: Vocabulary;
  readonly parts: Parts<Tokens>;
  readonly files: number;
  readonly characters: number;
}

/**
 * Text and its vocabulary. All characters of the text are known; words and byte pairs are learnt from the training part only, as others can be
 * spelt (byte pairs) or are unknown (words).
 */
async function load(flags: Flags): Promise<Loaded> {
  const { parts, files } = await readTextParts(flags, { withinWords: flags.units === 'characters' });
  const { train, validation, test } = parts;
  const { units, vocabulary: size, minCount } = flags;
  const learnt = units === 'characters' ? [train, validation, test] : [train];
  const vocabulary = learnVocabulary(learnt, { units, size, minCount });
  return {
    vocabulary,
    parts: {
      train: vocabulary.encode(train),
      validation: vocabulary.encode(validation),
      test: vocabulary.encode(test),
    },
    files,
    characters: train.length + validation.length + test.length,
  };
}

function measured(
  { loss, perplexity, labels }: { loss: number; perplexity: number; labels: number },
  vocabulary: Vocabulary,
): Measured {
  const [one, several] = UNITS[vocabulary.units];
  return {
    metrics: { loss, perplexity, [several]: labels },
    text: `loss ${loss.toFixed(4)} nats per ${one}, perplexity ${perplexity.toFixed(2)} over ${labels.toLocaleString('en')} ${several}`,
  };
}

async function train(given: Flags, command: Command): Promise<void> {
  const flags = settled(given, command);
  const { vocabulary, parts, files, characters } = await load(flags);
  const { train, validation, test } = parts;
  const { batch, window, step = window } = flags;
  const separate = Number(flags.validationText !== undefined) + Number(flags.testText !== undefined);
  checkLength(train, separate === 2 ? 0 : validation.length + test.length, flags);
  const [, units] = UNITS[flags.units];
  const tokens = train.length + validation.length + test.length;
  const number = (value: number): string => value.toLocaleString('en');
  await trainTask<TextWriter>(flags, {
    ...trainingOf(flags, vocabulary),
    unit: units,
    data: {
      values: { files, characters, tokens, vocabulary: vocabulary.size },
      text:
        `text: ${number(characters)} characters of ${files} file${files === 1 ? '' : 's'}` +
        `${flags.units === 'characters' ? `, ${vocabulary.size} different ones` : ` as ${number(tokens)} ${units}, ${number(vocabulary.size)} different ones`}`,
    },
    batches: (model) => model.batches(train, { batch, window, step }),
    shape: { time: window, batch },
    steps: flags.steps as number,
    measure: async (model, part, signal) =>
      parts[part].length < 2
        ? undefined
        : measured(await model.evaluate(parts[part], { batch, window, signal }), vocabulary),
    finish: async (model) => {
      if (flags.sample === 0) return { values: {}, text: '' };
      const sample = await model.generateText({ length: flags.sample, temperature: 0.8, seed: flags.seed });
      return { values: { sample }, text: `\nsample:\n${sample}` };
    },
    next: `npx seqgrad generate --model ${flags.out}`,
  });
}

export const languageModelTask: Task = {
  name: 'lm',
  summary: 'a language model on text',
  modelTypes: ['language_model', 'lstm_language_model', 'transformer_language_model'],

  define(command: Command): void {
    withTextFiles(command)
      .addOption(
        new Option('--units <kind>', 'what text is cut into')
          .choices(['characters', 'words', 'bpe'])
          .default('characters'),
      )
      .option('--vocabulary <n>', 'of words: tokens at most (default: 20000); of bpe: tokens (default: 1024)', whole)
      .option('--min-count <n>', 'words that come less often are unknown (default: 2)', whole)
      .option('--embedding <n>', 'elements of a token’s vector (default: as --hidden)', whole)
      .option(
        '--document-end <token>',
        'a character or word that ends a document (\\n for a line break): the state starts anew after it',
        (text: string) => text.replaceAll('\\n', '\n'),
      )
      .option('--tie-weights', 'the head has the weights of the embedding')
      .option('--label-smoothing <e>', 'share of the training loss that is of all labels alike', share)
      .option('--ar <a>', 'activation regularisation', numberOption({ from: 0 }))
      .option('--tar <b>', 'temporal activation regularisation', numberOption({ from: 0 }))
      .option('--window <n>', 'time steps through which gradients flow, k2; of a transformer its context', whole, 64)
      .option('--step <n>', 'time steps from one window to the next, k1 (default: as --window)', whole)
      .option('--sample <n>', 'tokens of text to print at the end', wholeFrom0, 300);
    withRecurrent(command, { hidden: 128, others: ['transformer'] });
    withTransformer(command, 'With --model transformer:', { shared: true });
    command.addHelpText('after', `\nDefaults with --model transformer:\n  ${DECODER_HELP}.`);
    withTraining(command, {
      lr: '2e-3; transformer: 0.128 / C, where C is the model width',
      batch: 32,
      steps: 1000,
      schedule: 'constant',
      validation: 0.1,
      test: 0,
      held: heldText,
    }).action(train);
  },

  async evaluate(folder: string, flags: EvaluateFlags) {
    const { text } = await loadText(required(flags.text, '--text <path>'));
    const model = await loadWriter(folder, flags);
    const { batch = 32 } = flags;
    const { window = model instanceof TransformerLanguageModel ? model.settings.context : 64 } = flags;
    return measured(await model.evaluate(text, { batch, window }), model.vocabulary);
  },

  predict(folder: string): AsyncIterable<Prediction> {
    throw new OptionError(
      `Expected a classifier, labeller or forecaster but received a language model: seqgrad generate --model ${folder}`,
    );
  },
};
