/** `seqgrad train lm`: a character-level language model on anyone's text. */
import { constants } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { DataError } from '../../data/errors.js';
import { split } from '../../data/split.js';
import { windowsPerPass } from '../../data/streams.js';
import { loadText } from '../../data/text.js';
import { CharacterVocabulary } from '../../data/vocabulary.js';
import { FileError, FormatError } from '../../formats/errors.js';
import { FORMAT_VERSION, readJson } from '../../models/folder.js';
import { LstmLanguageModel } from '../../models/language-model.js';
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
import { onInterrupt } from '../interrupt.js';
import { createReport, formatBytes, type Report } from '../report.js';
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

/** As mkdir with `recursive`, which in Node 20 never returns where a folder such as /proc refuses new ones with ENOENT. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(folder);
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (code !== 'ENOENT' || parent === folder) throw error;
    await makeFolder(parent);
    await mkdir(folder);
  }
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

/**
 * Makes the folder a model will be written to, and sees to it that writing will work and will not hit anything else.
 * @throws FileError or FormatError
 */
async function prepareFolder(folder: string): Promise<boolean> {
  try {
    await makeFolder(folder);
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw new FileError('write', folder, cause);
  }
  const path = join(folder, 'config.json');
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) return false;
  const config = (await readJson(path)) as { format_version?: unknown } | null;
  if (config?.format_version === FORMAT_VERSION) return true;
  throw new FormatError(path, undefined, 'no config.json of another program in the folder of --out', 'one');
}

const metricsOf = ({ loss, perplexity }: Evaluation): Record<string, number> => ({ loss, perplexity });

async function train(flags: Flags): Promise<void> {
  const report = createReport(flags.json);
  const { text, files } = await loadText(required(flags.text, '--text <path>'));
  const vocabulary = CharacterVocabulary.fromText(text);
  const tokens = vocabulary.encode(text);
  const parts = split(tokens, flags.validation, flags.test);
  const windows = { batch: flags.batch, window: flags.window };
  checkLength(parts.train, tokens.length, windows);
  const replaces = await prepareFolder(flags.out);
  const backend = await backendFrom(flags);

  const model = await LstmLanguageModel.create({
    vocabulary,
    hiddenSize: flags.hidden,
    embeddingSize: flags.embedding ?? flags.hidden,
    layers: flags.layers,
    dropout: flags.dropout,
    seed: flags.seed,
    backend,
  });
  const trainer = new Trainer(model, {
    learningRate: flags.lr,
    weightDecay: flags.weightDecay,
    clipNorm: flags.clip,
    seed: flags.seed,
  });
  const memory = await planMemory(trainer, { time: flags.window, batch: flags.batch });
  const { count } = model.network.parameters;
  report.note('backend', { ...backend }, `backend: ${nameOf(backend)} (${backend.reason})`);
  report.note(
    'data',
    { files: files.length, characters: tokens.length, vocabulary: vocabulary.size },
    `text: ${tokens.length.toLocaleString('en')} characters of ${files.length} file${files.length === 1 ? '' : 's'}, ${vocabulary.size} different ones`,
  );
  report.note(
    'memory',
    { parameter_count: count, ...memory },
    `model: ${count.toLocaleString('en')} parameters\n` +
      `memory: ${formatBytes(memory.parameters)} parameters + ${formatBytes(memory.gradients)} gradients + ` +
      `${formatBytes(memory.optimizer)} optimizer + ${formatBytes(memory.state)} state\n` +
      `        + ${formatBytes(memory.activations)} activations + ${formatBytes(memory.packing)} packing = ${formatBytes(memory.peak)}`,
  );
  if (replaces) report.note('replaces', { folder: flags.out }, `the model in ${flags.out} will be replaced`);

  const { signal, restore } = onInterrupt('stopping after this step; Ctrl-C again ends at once, without saving');
  for await (const step of trainer.train(model.batches(parts.train, windows), { steps: flags.steps, signal })) {
    report.step(step, flags.steps);
    if (flags.evaluateEvery !== undefined && step.step % flags.evaluateEvery === 0 && step.step < flags.steps) {
      const validation = await evaluateSplit(model, parts.validation, windows, signal);
      if (validation !== undefined && !signal.aborted)
        report.evaluation(step.step, 'validation', metricsOf(validation));
    }
  }
  await model.save(flags.out);
  const interrupted = signal.aborted;
  restore();
  await finish(report, flags, model, trainer.step, parts, interrupted);
}

function evaluateSplit(
  model: LstmLanguageModel,
  tokens: Int32Array<ArrayBuffer>,
  windows: { batch: number; window: number },
  signal?: AbortSignal,
): Promise<Evaluation | undefined> {
  return tokens.length < 2 ? Promise.resolve(undefined) : model.evaluate(tokens, { ...windows, signal });
}

/** Metrics on what was held out, and a sample of text; an interrupted run says what was saved and leaves it at that. */
async function finish(
  report: Report,
  flags: Flags,
  model: LstmLanguageModel,
  step: number,
  parts: { validation: Int32Array<ArrayBuffer>; test: Int32Array<ArrayBuffer> },
  interrupted: boolean,
): Promise<void> {
  const saved = { step, saved: flags.out };
  if (interrupted) {
    process.exitCode = 130;
    report.done(
      { ...saved, interrupted, validation: null, test: null },
      `interrupted after step ${step}; saved in ${flags.out}`,
    );
    return;
  }
  const windows = { batch: flags.batch, window: flags.window };
  const validation = await evaluateSplit(model, parts.validation, windows);
  const test = await evaluateSplit(model, parts.test, windows);
  const sample =
    flags.sample > 0
      ? await model.generateText({ length: flags.sample, temperature: 0.8, seed: flags.seed })
      : undefined;
  const lines = [
    ...Object.entries({ validation, test }).flatMap(([name, its]) =>
      its === undefined
        ? []
        : [`${name}: loss ${its.loss.toFixed(4)} nats per character, perplexity ${its.perplexity.toFixed(2)}`],
    ),
    `saved in ${flags.out}: go on with \`seqgrad generate --model ${flags.out} --prompt …\``,
    ...(sample === undefined ? [] : [`\nsample:\n${sample}`]),
  ];
  report.done(
    { ...saved, sample, validation: validation ? metricsOf(validation) : null, test: test ? metricsOf(test) : null },
    lines.join('\n'),
  );
}

const whole = numberOption({ from: 1, whole: true });
const share = numberOption({ from: 0, below: 1 });

export const languageModelTask: Task = {
  name: 'lm',
  summary: 'a character-level language model',
  define(command: Command): void {
    withBackend(command)
      .option('--text <path>', 'a text file, or a folder of them; may be given several times', several)
      .addOption(new Option('--model <kind>', 'kind of model').choices(['lstm']).default('lstm'))
      .option('--hidden <n>', 'hidden units, H', whole, 128)
      .option('--embedding <n>', 'elements of a character’s vector (default: as --hidden)', whole)
      .option('--layers <n>', 'layers', whole, 1)
      .option('--dropout <p>', 'dropout rate in training', share, 0)
      .option('--batch <n>', 'contiguous streams side by side, B', whole, 32)
      .option('--window <n>', 'time steps through which gradients flow, T', whole, 64)
      .option('--steps <n>', 'training steps', whole, 1000)
      .option('--lr <rate>', 'learning rate', positive, 2e-3)
      .option('--weight-decay <d>', 'decoupled weight decay of AdamW', numberOption({ from: 0 }), 0.01)
      .option('--clip <norm>', 'largest gradient norm; Infinity for none', positive, 1)
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
  },
};
