/** `seqgrad train mlm`: a BERT that guesses masked tokens, fresh or further trained, on anyone's text. */
import type { Command } from 'commander';
import { DataError } from '../../data/errors.js';
import { IGNORED } from '../../data/ignored.js';
import { loadText } from '../../data/text.js';
import type { Encoding } from '../../data/tokenizer.js';
import { unigramBaseline } from '../../metrics/language.js';
import { BertForMaskedLM } from '../../models/bert-masked-lm.js';
import { encodeDocuments } from '../../text/documents.js';
import { growingTrainingBatches } from '../../text/growing-batches.js';
import { maskedEvaluationBatches, maskedTrainingBatches } from '../../text/masked-batches.js';
import { Masking } from '../../text/masking.js';
import { WordPieceTokenizer } from '../../text/tokenizer.js';
import { backendFrom, numberOption, required } from '../command.js';
import { textsToPredict } from '../data.js';
import {
  checkSource,
  type EncoderFlags,
  initialDeviation,
  LENGTH,
  PRETRAINING_RATE,
  PRETRAINING_RATES,
  ratesOf,
  readingOf,
  sizesOf,
  tuningOf,
  VOCABULARY,
  withEncoder,
} from '../encoder.js';
import { filledPrediction } from '../fill.js';
import { heldText, readTextParts, type TextFlags, withTextFiles } from '../text-parts.js';
import { type TrainingFlags, trainTask, whole, withTraining } from '../training.js';
import type { EvaluateFlags, Measured, PredictFlags, Prediction, Task } from './task.js';

interface Flags extends TrainingFlags, EncoderFlags, TextFlags {
  vocabulary?: number;
  maxLength?: number;
  maskRate: number;
  wholeWords?: true;
  lines?: true;
  fullLength?: true;
}

/** What sequences are cut from: the text as a whole, or each of its lines. */
const documentsOf = (text: string, lines: boolean | undefined): string[] =>
  lines === true ? text.split('\n').filter((line) => line.trim() !== '') : [text];

/** Loss and accuracy beside those of knowing only how frequent tokens are. */
async function measured(
  model: BertForMaskedLM,
  sequences: readonly Encoding[],
  masking: Masking,
  { batch, longest, signal }: { batch: number; longest: number; signal?: AbortSignal | undefined },
): Promise<Measured> {
  const labels: number[] = [];
  function* noted() {
    for (const each of maskedEvaluationBatches(sequences, masking, { batch, longest })) {
      for (const label of each.labels) if (label !== IGNORED) labels.push(label);
      yield each;
    }
  }
  const { loss, perplexity, accuracy } = await model.evaluate(noted(), { signal });
  const unigram = unigramBaseline(labels);
  const share = (value: number): string => `${(100 * value).toFixed(1)} %`;
  return {
    metrics: {
      loss,
      perplexity,
      accuracy,
      tokens: labels.length,
      unigram_entropy: unigram.entropy,
      most_frequent: unigram.accuracy,
    },
    text:
      `loss ${loss.toFixed(4)} nats per masked token (entropy of single tokens ${unigram.entropy.toFixed(4)}), ` +
      `${share(accuracy)} right (the most frequent token ${share(unigram.accuracy)}) over ${labels.length.toLocaleString('en')} tokens`,
  };
}

async function train(flags: Flags, command: Command): Promise<void> {
  checkSource(command, flags);
  const { from, batch, seed, maskRate, wholeWords } = flags;
  const { parts: texts, files } = await readTextParts(flags, { withinWords: false });
  const { tokenizer, maxLength: longest, maxPositions } = await readingOf(flags, [texts.train]);
  const encode = (text: string, maxLength = longest): Encoding[] =>
    encodeDocuments(tokenizer, documentsOf(text, flags.lines), { maxLength });
  const parts = { train: encode(texts.train), validation: encode(texts.validation), test: encode(texts.test) };
  if (parts.train.length === 0)
    throw new DataError('Expected text to train on but received none that the vocabulary knows');
  const masking = new Masking(tokenizer, { maskRate, wholeWords: wholeWords === true });
  const rows = Math.min(batch, parts.train.length);
  const { time, positions } = masking.largest(parts.train, { rows, longest });
  const count = (sequences: readonly Encoding[]): string => sequences.length.toLocaleString('en');
  const tokens = parts.train.reduce((sum, sequence) => sum + sequence.tokens.length, 0);
  const steps = flags.steps as number;
  /** What has been trained knows where to look. */
  const isGrowing = from === undefined && flags.fullLength !== true;
  const cut = (length: number): Encoding[] => (length === time ? parts.train : encode(texts.train, length));
  const options = { batch, longest: time, seed };
  await trainTask(flags, {
    unit: 'masked tokens',
    data: {
      values: {
        files,
        characters: texts.train.length + texts.validation.length + texts.test.length,
        train: parts.train.length,
        validation: parts.validation.length,
        test: parts.test.length,
        tokens,
        vocabulary: tokenizer.size,
        longest: time,
      },
      text:
        `text: ${count(parts.train)} sequences to train (${tokens.toLocaleString('en')} tokens of ${tokenizer.size.toLocaleString('en')} different ones), ` +
        `${count(parts.validation)} for validation, ${count(parts.test)} for the test`,
    },
    createModel: async () => {
      const backend = await backendFrom(flags);
      if (from !== undefined) {
        return BertForMaskedLM.load(from, { freshHead: true, seed, backend, ...ratesOf(flags) });
      }
      const initializerRange = initialDeviation(flags);
      return BertForMaskedLM.create({ ...sizesOf(flags), initializerRange, tokenizer, maxPositions, seed, backend });
    },
    batches: (model) =>
      model.batches(
        isGrowing
          ? growingTrainingBatches(cut, masking, { ...options, steps })
          : maskedTrainingBatches(parts.train, masking, options),
      ),
    ...tuningOf(flags, PRETRAINING_RATE),
    shape: { time, batch: rows, positions },
    steps,
    measure: async (model, part, signal) =>
      parts[part].length === 0 ? undefined : measured(model, parts[part], masking, { batch, longest, signal }),
    next: `npx seqgrad predict --model ${flags.out} --text "… ${tokenizer.token(tokenizer.special.mask)} …"`,
  });
}

export const maskedTask: Task = {
  name: 'mlm',
  summary: 'a BERT that guesses masked tokens, on text',
  modelTypes: ['BertForMaskedLM', 'BertForPreTraining'],

  define(command: Command): void {
    withTextFiles(command)
      .option('--lines', 'each line is a sequence of its own, instead of the text as a whole')
      .option('--vocabulary <n>', 'tokens of a new WordPiece vocabulary', whole, VOCABULARY)
      .option('--max-length <n>', `tokens of a sequence (default: ${LENGTH})`, numberOption({ from: 3, whole: true }))
      .option(
        '--mask-rate <share>',
        'share of the tokens that are to be guessed',
        numberOption({ from: 0, below: 1 }),
        0.15,
      )
      .option('--whole-words', 'all pieces of a word are to be guessed together')
      .option('--full-length', 'long sequences from the first step; otherwise a fresh model begins with short ones');
    withEncoder(command, 'Network:', { shared: false });
    withTraining(command, {
      batch: 32,
      steps: 1000,
      lr: PRETRAINING_RATES,
      schedule: 'linear',
      warmup: 0.1,
      validation: 0.1,
      test: 0,
      held: heldText,
    }).action(train);
  },

  async evaluate(folder: string, flags: EvaluateFlags) {
    const { text } = await loadText(required(flags.text, '--text <path>'));
    const tokenizer = await WordPieceTokenizer.load(folder);
    const model = await BertForMaskedLM.load(folder, { tokenizer, backend: await backendFrom(flags) });
    const { batch = 32, window = LENGTH } = flags;
    const longest = Math.min(window, model.config.maxPositions);
    const sequences = encodeDocuments(tokenizer, [text], { maxLength: longest });
    return measured(model, sequences, new Masking(tokenizer), { batch, longest });
  },

  async *predict(folder: string, flags: PredictFlags): AsyncGenerator<Prediction, void, undefined> {
    const texts = await textsToPredict(flags);
    const tokenizer = await WordPieceTokenizer.load(folder);
    const mask = tokenizer.token(tokenizer.special.mask);
    const bare = texts.find((text) => !text.includes(mask));
    if (bare !== undefined)
      throw new DataError(
        `Expected texts with ${mask} to be filled in but received ${JSON.stringify(bare.slice(0, 60))}`,
      );
    const model = await BertForMaskedLM.load(folder, { tokenizer, backend: await backendFrom(flags) });
    for (const [index, fillings] of (await model.predict(texts)).entries()) {
      yield filledPrediction(texts[index] as string, fillings, tokenizer);
    }
  },
};
