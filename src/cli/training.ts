/** What the training of every task shares: options, notes before the first step, progress, metrics at the end. */
import { type Command, Option } from 'commander';
import { type Backend, OutOfMemoryError } from '../backends/executor.js';
import type { CheckpointReport } from '../models/bert-checkpoint.js';
import { prepareModelFolder } from '../models/folder.js';
import type { ParameterGroups } from '../optim/groups.js';
import { learningRates, type ScheduleKind } from '../optim/schedule.js';
import { type Dtype, dtypes } from '../program/dtype.js';
import { planMemory } from '../train/memory.js';
import type { BatchShape, Model } from '../train/model.js';
import { type Batch, Trainer } from '../train/trainer.js';
import { type BackendFlags, bfloat16Text, nameOf, numberOption, positive, required, withBackend } from './command.js';
import { createReport, type Report } from './report.js';
import { memoryText, runTraining } from './run.js';
import type { Measured } from './tasks/task.js';

export interface TrainingFlags extends BackendFlags {
  batch: number;
  epochs?: number;
  steps?: number;
  lr?: number;
  schedule: ScheduleKind;
  warmup?: number;
  weightDecay: number;
  clip?: number;
  clipValue?: number;
  seed: number;
  dtype: Dtype;
  validation: number;
  test: number;
  evaluateEvery?: number;
  out: string;
  json?: boolean;
}

/** Defaults that differ from task to task. */
export interface TrainingDefaults {
  readonly batch: number;
  /** Either steps or epochs. */
  readonly steps?: number;
  readonly epochs?: number;
  readonly schedule: ScheduleKind;
  readonly warmup?: number;
  /** What the help says of the learning rate where there is no one default. */
  readonly lr?: number | string;
  readonly validation: number;
  readonly test: number;
  /** What is held out: `of the text, before the test part,` */
  readonly held: { readonly validation: string; readonly test: string };
}

export const whole = numberOption({ from: 1, whole: true });
export const wholeFrom0 = numberOption({ from: 0, whole: true });
export const share = numberOption({ from: 0, below: 1 });

/** Adds the options of training. */
export function withTraining(command: Command, defaults: TrainingDefaults): Command {
  const { lr = 2e-3 } = defaults;
  command
    .optionsGroup('Training:')
    .option('--batch <n>', 'rows that are trained on together, B', whole, defaults.batch);
  if (defaults.epochs !== undefined) {
    command.addOption(
      new Option('--epochs <n>', 'passes over the training part').argParser(positive()).default(defaults.epochs),
    );
    command.option('--steps <n>', 'training steps, instead of epochs', whole);
  } else command.option('--steps <n>', 'training steps', whole, defaults.steps);
  command
    .addOption(
      typeof lr === 'number'
        ? new Option('--lr <rate>', 'highest learning rate').argParser(positive()).default(lr)
        : new Option('--lr <rate>', `highest learning rate (default: ${lr})`).argParser(positive()),
    )
    .addOption(
      new Option('--schedule <kind>', 'learning rate over time: constant, or down to 0 along a line or a cosine')
        .choices(['constant', 'linear', 'cosine'])
        .default(defaults.schedule),
    )
    .option(
      '--warmup <n>',
      'steps, or below 1 the share of all steps, in which the learning rate grows to its highest',
      numberOption({ from: 0 }),
      defaults.warmup,
    )
    .option('--weight-decay <d>', 'decoupled weight decay of AdamW', numberOption({ from: 0 }), 0.01)
    .option(
      '--clip <norm>',
      'largest gradient norm; Infinity for none (default: 1; with --clip-value none)',
      positive({ infinite: true }),
    )
    .option('--clip-value <v>', 'largest magnitude of an element of a gradient', positive())
    .addOption(
      new Option('--dtype <type>', 'what factors of matrix products are rounded to; sums and weights stay float32')
        .choices(dtypes)
        .default('float32'),
    )
    .option('--seed <n>', 'seed of initial parameters, dropout, order and split', wholeFrom0, 1)
    .option(
      '--validation <share>',
      `share ${defaults.held.validation} held out for validation`,
      share,
      defaults.validation,
    )
    .option('--test <share>', `share ${defaults.held.test} held out for the test`, share, defaults.test)
    .option(
      '--evaluate-every <steps>',
      `evaluate on the validation part every so many steps${defaults.epochs === undefined ? '' : ' (default: every epoch)'}`,
      whole,
    )
    .option('--out <folder>', 'folder that the model is saved in', 'seqgrad-model')
    .option('--json', 'one JSON object per line instead of a progress bar');
  return withBackend(command);
}

/** A model that can be saved. */
type Saved = Model & { save(folder: string): Promise<void> };

export interface Origin extends CheckpointReport {
  readonly from: string;
}

export interface TaskTraining<M extends Saved> {
  /** What a step's labels are: `characters`, `examples`. */
  readonly unit: string;
  /** What was read, for the note before the first step. */
  readonly data: { readonly values: Readonly<Record<string, unknown>>; readonly text: string };
  createModel(): Promise<M>;
  batches(model: M): Iterable<Batch> | AsyncIterable<Batch>;
  /** Where none is given. */
  learningRate?(model: M): number;
  readonly groups?: ParameterGroups;
  /** Where a model comes from that is not fresh, what that lacked and what was left unused. */
  about?(model: M): Origin | undefined;
  /** The largest batch, whose memory is planned first. */
  readonly shape: BatchShape;
  readonly steps: number;
  readonly evaluateEvery?: number | undefined;
  /** Metrics of a part; undefined where nothing was held out. */
  measure(model: M, part: 'validation' | 'test', signal?: AbortSignal): Promise<Measured | undefined>;
  /** What else belongs into the last line. */
  finish?(model: M): Promise<{ readonly values: Readonly<Record<string, unknown>>; readonly text: string }>;
  /** The command to try next. */
  readonly next: string;
}

/** Steps of so many passes over so many batches. */
export const stepsOf = ({ steps, epochs }: TrainingFlags, perEpoch: number): number =>
  steps ?? Math.max(1, Math.round((epochs as number) * perEpoch));

async function created<M>(create: () => Promise<M>): Promise<M> {
  try {
    return await create();
  } catch (cause) {
    if (!(cause instanceof OutOfMemoryError)) throw cause;
    const hint = 'training takes about four times that: lower --hidden, --embedding or --layers';
    throw new OutOfMemoryError(`${cause.message}; ${hint}`, { cause });
  }
}

/** Trains, saves, and reports all the while. */
export async function trainTask<M extends Saved>(flags: TrainingFlags, task: TaskTraining<M>): Promise<void> {
  const report = createReport(flags.json, task.unit);
  const replaces = await prepareModelFolder(flags.out);
  const model = await created(task.createModel);
  const { steps } = task;
  const { schedule: kind, warmup } = flags;
  const learningRate = required(flags.lr ?? task.learningRate?.(model), '--lr <rate>');
  const trainer = new Trainer(model, {
    learningRate: learningRates({ kind, learningRate, steps, warmup }),
    groups: task.groups ?? [],
    weightDecay: flags.weightDecay,
    ...(flags.clip !== undefined && { clipNorm: flags.clip }),
    ...(flags.clipValue !== undefined && { clipValue: flags.clipValue }),
    seed: flags.seed,
    dtype: flags.dtype,
  });
  noteBackend(report, model.engine.backend, flags.dtype);
  report.note('data', task.data.values, task.data.text);
  const origin = task.about?.(model);
  if (origin !== undefined) report.note('from', { ...origin }, originText(origin));
  const memory = await planMemory(trainer, task.shape);
  const { count } = model.network.parameters;
  const planning = trainer.planningMilliseconds;
  report.note(
    'memory',
    { parameter_count: count, planning_ms: planning, ...memory },
    memoryText(memory, count, planning),
  );
  if (replaces) report.note('replaces', { folder: flags.out }, `the model in ${flags.out} will be replaced at the end`);
  const isComplete = await runTraining({
    trainer,
    batches: task.batches(model),
    steps,
    report,
    evaluateEvery: flags.evaluateEvery ?? task.evaluateEvery,
    validate: async (signal) => (await task.measure(model, 'validation', signal))?.metrics,
    save: (folder) => model.save(folder),
    out: flags.out,
    replaces,
  });
  if (isComplete) await conclude(report, flags, model, trainer.step, task);
}

/** What runs, and in bfloat16 how. */
function noteBackend(report: Report, backend: Backend, dtype: Dtype): void {
  const { name, isa, threads, numerics, bfloat16, reason } = backend;
  const products = dtype === 'bfloat16' ? `; bfloat16 products ${bfloat16Text(backend)}` : '';
  report.note(
    'backend',
    { name, isa, threads, numerics, dtype, ...(dtype === 'bfloat16' && { bfloat16 }), reason },
    `backend: ${nameOf(backend)} (${reason})${products}`,
  );
}

/** `from my-bert; fresh: classifier.weight, classifier.bias; unused: cls.predictions.bias` */
const originText = ({ from, fresh, unused }: Origin): string => {
  const named = Object.entries({ fresh, unused }).filter(([, names]) => names.length > 0);
  return [`from ${from}`, ...named.map(([what, names]) => `${what}: ${names.join(', ')}`)].join('\n  ');
};

/** Metrics on what was held out. */
async function conclude<M extends Saved>(
  report: Report,
  { out }: TrainingFlags,
  model: M,
  step: number,
  task: TaskTraining<M>,
): Promise<void> {
  const validation = await task.measure(model, 'validation');
  const test = await task.measure(model, 'test');
  const more = await task.finish?.(model);
  const lines = [
    ...Object.entries({ validation, test }).flatMap(([part, its]) =>
      its === undefined ? [] : [`${part}: ${its.text}`],
    ),
    ...[(test ?? validation)?.details ?? []].flat(),
    `saved in ${out}; try: ${task.next}`,
    ...(more === undefined || more.text === '' ? [] : [more.text]),
  ];
  report.done(
    { step, saved: out, ...more?.values, validation: validation?.metrics ?? null, test: test?.metrics ?? null },
    lines.join('\n'),
  );
}
