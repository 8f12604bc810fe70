/** `seqgrad train lm`: a character-level language model on anyone's text. */
import { type Command, Option } from 'commander';
import { OutOfMemoryError } from '../../backends/executor.js';
import { DataError } from '../../data/errors.js';
import { split } from '../../data/split.js';
import { windowsPerPass } from '../../data/streams.js';
import { loadText } from '../../data/text.js';
import { CharacterVocabulary } from '../../data/vocabulary.js';
import { prepareModelFolder } from '../../models/folder.js';
import { LstmLanguageModel } from '../../models/language-model.js';
import { LanguageModelNetwork } from '../../nn/language-model.js';
import type { Evaluation } from '../../train/evaluate.js';
import { planMemory } from '../../train/memory.js';
import { Trainer } from '../../train/trainer.js';
import {
  type BackendFlags,
  backendFrom,
  nameOf,
  numberOption,
  positive,
  required,
  several,
  withBackend,
} from '../command.js';
import { createReport, formatBytes, type Report } from '../report.js';
import { memoryText, metricsOf, runTraining } from '../run.js';
import type { Task } from './task.js';

interface Flags extends BackendFlags {
  text?: string[];
  model: string;
  hidden: number;
  embedding?: number;
  layers: number;
  dropout: number;
  batch: number;
  window: number;
  steps: number;
  lr: number;
  weightDecay: number;
  clip: number;
  seed: number;
  validation: number;
  test: number;
  evaluateEvery?: number;
  out: string;
  sample: number;
  json?: boolean;
}

/** Refuses a text too short to train on. @throws DataError saying how much of it is held out */
function checkLength(train: Int32Array, characters: number, windows: { batch: number; window: number }): void {
  try {
    windowsPerPass(train, windows);
  } catch (error) {
    const heldOut = characters - train.length;
    if (!(error instanceof DataError) || heldOut === 0) throw error;
    const of = `${heldOut} of the ${characters} characters are held out: --validation, --test`;
    throw new DataError(`${error.message} (${of})`, { cause: error });
  }
}

/** The model with fresh parameters. @throws OutOfMemoryError that says what training it would take */
async function createModel(vocabulary: CharacterVocabulary, flags: Flags): Promise<LstmLanguageModel> {
  const config = {
    hiddenSize: flags.hidden,
    embeddingSize: flags.embedding ?? flags.hidden,
    layers: flags.layers,
    dropout: flags.dropout,
  };
  try {
    return await LstmLanguageModel.create({
      vocabulary,
      ...config,
      seed: flags.seed,
      backend: await backendFrom(flags),
    });
  } catch (cause) {
    if (!(cause instanceof OutOfMemoryError)) throw cause;
    const { parameters } = new LanguageModelNetwork({ kind: 'lstm', vocabularySize: vocabulary.size, ...config });
    const needed = formatBytes(parameters.count * 4 * 4);
    throw new OutOfMemoryError(
      `${cause.message}. Training takes at least ${needed}: parameters, gradients and two moments`,
      { cause },
    );
  }
}

async function train(flags: Flags): Promise<void> {
  const report = createReport(flags.json);
  const { text, files } = await loadText(required(flags.text, '--text <path>'));
  const vocabulary = CharacterVocabulary.fromText(text);
  const tokens = vocabulary.encode(text);
  const parts = split(tokens, flags.validation, flags.test);
  const windows = { batch: flags.batch, window: flags.window };
  checkLength(parts.train, tokens.length, windows);
  const replaces = await prepareModelFolder(flags.out);
  const model = await createModel(vocabulary, flags);
  const trainer = new Trainer(model, {
    learningRate: flags.lr,
    weightDecay: flags.weightDecay,
    clipNorm: flags.clip,
    seed: flags.seed,
  });

  const { backend } = model.engine;
  report.note('backend', { ...backend }, `backend: ${nameOf(backend)} (${backend.reason})`);
  report.note(
    'data',
    { files: files.length, characters: tokens.length, vocabulary: vocabulary.size },
    `text: ${tokens.length.toLocaleString('en')} characters of ${files.length} file${files.length === 1 ? '' : 's'}, ${vocabulary.size} different ones`,
  );
  const memory = await planMemory(trainer, { time: flags.window, batch: flags.batch });
  const { count } = model.network.parameters;
  const planning = trainer.planningMilliseconds;
  report.note(
    'memory',
    { parameter_count: count, planning_ms: planning, ...memory },
    memoryText(memory, count, planning),
  );
  if (replaces) report.note('replaces', { folder: flags.out }, `the model in ${flags.out} will be replaced at the end`);

  const evaluate = (part: Int32Array<ArrayBuffer>, signal?: AbortSignal): Promise<Evaluation | undefined> =>
    part.length < 2 ? Promise.resolve(undefined) : model.evaluate(part, { ...windows, signal });
  const isComplete = await runTraining({
    trainer,
    batches: model.batches(parts.train, windows),
    steps: flags.steps,
    report,
    evaluateEvery: flags.evaluateEvery,
    validate: (signal) => evaluate(parts.validation, signal),
    save: (folder) => model.save(folder),
    out: flags.out,
    replaces,
  });
  if (isComplete) {
    await finish(report, flags, model, trainer.step, {
      validation: await evaluate(parts.validation),
      test: await evaluate(parts.test),
    });
  }
}

/** Metrics on what was held out, and a sample of text. */
async function finish(
  report: Report,
  flags: Flags,
  model: LstmLanguageModel,
  step: number,
  metrics: { readonly validation: Evaluation | undefined; readonly test: Evaluation | undefined },
): Promise<void> {
  const { validation, test } = metrics;
  const sample =
    flags.sample > 0
      ? await model.generateText({ length: flags.sample, temperature: 0.8, seed: flags.seed })
      : undefined;
  const lines = [
    ...Object.entries(metrics).flatMap(([name, its]) =>
      its === undefined
        ? []
        : [`${name}: loss ${its.loss.toFixed(4)} nats per character, perplexity ${its.perplexity.toFixed(2)}`],
    ),
    `saved in ${flags.out}; try: npx seqgrad generate --model ${flags.out}`,
    ...(sample === undefined ? [] : [`\nsample:\n${sample}`]),
  ];
  report.done(
    {
      step,
      saved: flags.out,
      sample,
      validation: validation ? metricsOf(validation) : null,
      test: test ? metricsOf(test) : null,
    },
    lines.join('\n'),
  );
}

const whole = numberOption({ from: 1, whole: true });
const share = numberOption({ from: 0, below: 1 });

export const languageModelTask: Task = {
  name: 'lm',
  summary: 'a character-level language model',
  define(command: Command): void {
    command
      .option('--text <path>', 'required: a text file, or a folder of them; may be given several times', several)
      .addOption(new Option('--model <kind>', 'kind of model').choices(['lstm']).default('lstm'))
      .option('--hidden <n>', 'hidden units, H', whole, 128)
      .option('--embedding <n>', 'elements of a character’s vector (default: as --hidden)', whole)
      .option('--layers <n>', 'layers', whole, 1)
      .option('--dropout <p>', 'dropout rate in training', share, 0)
      .option('--batch <n>', 'contiguous streams side by side, B', whole, 32)
      .option('--window <n>', 'time steps through which gradients flow, T', whole, 64)
      .option('--steps <n>', 'training steps', whole, 1000)
      .option('--lr <rate>', 'learning rate', positive(), 2e-3)
      .option('--weight-decay <d>', 'decoupled weight decay of AdamW', numberOption({ from: 0 }), 0.01)
      .option('--clip <norm>', 'largest gradient norm; Infinity for none', positive({ infinite: true }), 1)
      .option(
        '--seed <n>',
        'seed of initial parameters, dropout and the sample',
        numberOption({ from: 0, whole: true }),
        1,
      )
      .option(
        '--validation <share>',
        'share of the text, before the test part, that is held out for validation',
        share,
        0.1,
      )
      .option('--test <share>', 'share of the text, at its end, that is held out for the test', share, 0)
      .option('--evaluate-every <steps>', 'evaluate on the validation part every so many steps', whole)
      .option('--out <folder>', 'folder that the model is saved in', 'seqgrad-model')
      .option('--sample <n>', 'characters of text to print at the end', numberOption({ from: 0, whole: true }), 300)
      .option('--json', 'one JSON object per line instead of a progress bar')
      .action(train);
    withBackend(command);
  },
};
