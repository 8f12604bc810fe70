/** The options of `seqgrad bench`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { BackendOptions } from '../../backends/select.js';
import { type Cell, modelNamed, modelNames } from '../../bench/models.js';
import { chooseSubject, type Subject } from '../../bench/subjects.js';
import { type BackendFlags, numberOption, positive } from '../command.js';

export const whole = numberOption({ from: 1, whole: true });

/** Says whether to print JSON; what nobody reads on a terminal is JSON unless `--no-json` says otherwise. */
export interface OutputFlags {
  readonly json?: boolean;
}

export const withOutput = (command: Command): Command =>
  command
    .option('--json', 'one JSON object per line (default where the output is no terminal)')
    .option('--no-json', 'tables, wherever the output goes');

export interface EffortFlags {
  readonly rounds: number;
  readonly seconds: number;
}

export const withEffort = (command: Command, seconds: number): Command =>
  command
    .option('--rounds <n>', 'fresh processes for each subject, in turns', whole, 3)
    .option('--seconds <s>', 'of measuring in each process', positive(), seconds);

export interface CellFlags {
  readonly model: string;
  readonly hidden: number;
  readonly layers: number;
  readonly vocab: number;
  readonly batch: number;
  readonly time: number;
}

const dtype = (name: string): string => {
  if (name === 'float32') return name;
  throw new InvalidArgumentError(`Expected float32, the only one so far, but received ${name}.`);
};

const onlyForBert = (): never => {
  throw new InvalidArgumentError('It belongs to the model bert, which is not there yet.');
};

export function withCell(command: Command): Command {
  return command
    .addOption(new Option('--model <kind>', 'kind of model').choices(modelNames).default('lstm'))
    .option('--hidden <n>', 'hidden units, H', whole, 128)
    .option('--layers <n>', 'layers', whole, 1)
    .addOption(new Option('--heads <n>', 'attention heads').argParser(onlyForBert).hideHelp())
    .addOption(new Option('--ff <n>', 'feed-forward units').argParser(onlyForBert).hideHelp())
    .option('--vocab <n>', 'tokens of the vocabulary, V', whole, 96)
    .option('--batch <n>', 'rows, B', whole, 32)
    .option('--time <n>', 'time steps, T', whole, 64)
    .option('--dtype <type>', 'of matrix products: float32', dtype, 'float32');
}

/** @throws OptionError */
export const cellFrom = ({ model, hidden, layers, vocab, batch, time }: CellFlags): Cell => ({
  model: modelNamed(model),
  hidden,
  layers,
  vocabulary: vocab,
  batch,
  time,
});

/** The backend that the flags or the environment name. @throws OptionError, BackendError */
export const subjectFrom = ({ backend, isa, numerics, threads }: BackendFlags): Promise<Subject> => {
  const given = { backend, isa, numerics, threads };
  return chooseSubject(
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as BackendOptions,
  );
};
