/** `seqgrad train tokens`: a BERT that labels the words of texts. */
import type { Command } from 'commander';
import { BertForTokenClassification } from '../../models/bert-token-classification.js';
import { measuredClasses } from '../classes.js';
import { backendFrom, numberOption, required } from '../command.js';
import { textsToPredict } from '../data.js';
import {
  checkSource,
  type EncoderFlags,
  LENGTH,
  longestRow,
  RATES,
  ratesOf,
  readingOf,
  sizesOf,
  tuningOf,
  VOCABULARY,
  withEncoder,
} from '../encoder.js';
import {
  heldSequences,
  readSequenceParts,
  readSequences,
  type SequenceFlags,
  withSequenceFiles,
} from '../sequence-parts.js';
import { stepsOf, type TrainingFlags, trainTask, whole, withTraining } from '../training.js';
import { labelledTokens } from './label.js';
import type { EvaluateFlags, PredictFlags, Prediction, Task } from './task.js';

interface Flags extends TrainingFlags, EncoderFlags, SequenceFlags {
  vocabulary?: number;
  maxLength?: number;
}

async function train(flags: Flags, command: Command): Promise<void> {
  checkSource(command, flags);
  const { from, batch, seed } = flags;
  const { parts, labels, data } = await readSequenceParts(flags);
  const words = parts.train.map(({ tokens }) => tokens.join(' '));
  const reading = await readingOf(flags, words);
  const { tokenizer, maxLength } = reading;
  const lengths = parts.train.map(({ tokens }) => tokenizer.encodeWords(tokens).tokens.length);
  const cut = lengths.filter((length) => length > maxLength).length;
  const perEpoch = Math.ceil(parts.train.length / batch);
  await trainTask(flags, {
    unit: 'words',
    data: {
      values: { ...data.values, vocabulary: tokenizer.size, cut },
      text:
        `${data.text}; ${tokenizer.size.toLocaleString('en')} different pieces of words` +
        (cut === 0 ? '' : `\n${cut} sequences of more than ${maxLength} pieces are cut there (--max-length)`),
    },
    createModel: async () => {
      const settings = { labels, maxLength, seed, backend: await backendFrom(flags) };
      if (from !== undefined) {
        return BertForTokenClassification.load(from, { ...settings, freshHead: true, ...ratesOf(flags) });
      }
      return BertForTokenClassification.create({
        ...settings,
        tokenizer,
        ...sizesOf(flags),
        maxPositions: reading.maxPositions,
      });
    },
    batches: (model) => model.batches(parts.train, { batch, seed }),
    ...tuningOf(flags),
    shape: { time: longestRow(lengths, reading), batch: Math.min(batch, parts.train.length) },
    steps: stepsOf(flags, perEpoch),
    evaluateEvery: perEpoch,
    measure: async (model, part, signal) =>
      parts[part].length === 0
        ? undefined
        : measuredClasses(await model.evaluate(parts[part], { batch, signal }), 'words'),
    next: `npx seqgrad predict --model ${flags.out} --text "…"`,
  });
}

export const tokensTask: Task = {
  name: 'tokens',
  summary: 'a BERT that labels each word of a text',
  modelTypes: ['BertForTokenClassification'],

  define(command: Command): void {
    withSequenceFiles(command)
      .option('--vocabulary <n>', 'tokens of a new WordPiece vocabulary', whole, VOCABULARY)
      .option(
        '--max-length <n>',
        `tokens of a text that are read (default: ${LENGTH})`,
        numberOption({ from: 3, whole: true }),
      );
    withEncoder(command, 'Network:', { shared: false });
    withTraining(command, {
      batch: 32,
      epochs: 3,
      lr: RATES,
      schedule: 'linear',
      warmup: 0.1,
      validation: 0.1,
      test: 0.1,
      held: heldSequences,
    }).action(train);
  },

  async evaluate(folder: string, flags: EvaluateFlags) {
    const examples = await readSequences(required(flags.data, '--data <path>'));
    const model = await BertForTokenClassification.load(folder, { backend: await backendFrom(flags) });
    return measuredClasses(await model.evaluate(examples, { batch: flags.batch ?? 32 }), 'words');
  },

  /** Words of a text are what spaces separate. */
  async *predict(folder: string, flags: PredictFlags): AsyncGenerator<Prediction, void, undefined> {
    const texts = await textsToPredict(flags);
    const words = texts.map((text) => text.split(/\s+/).filter((word) => word !== ''));
    const model = await BertForTokenClassification.load(folder, { backend: await backendFrom(flags) });
    for (const [index, labels] of (await model.predict(words)).entries()) {
      yield labelledTokens(words[index] as string[], labels);
    }
  },
};
