/** The options of `seqgrad bench`. */
import { type Command, Option } from 'commander';
import type { BackendOptions } from '../../backends/select.js';
import { type Cell, cellOf, modelNamed, modelNames } from '../../bench/models.js';
import { chooseSubject, type Subject } from '../../bench/subjects.js';
import { type Dtype, dtypes } from '../../program/dtype.js';
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

export interface DtypeFlags {
  readonly dtype: Dtype;
}

export const withDtype = (command: Command): Command =>
  command.addOption(
    new Option('--dtype <type>', 'what factors of matrix products are rounded to').choices(dtypes).default('float32'),
  );

export interface CellFlags extends DtypeFlags {
  readonly model: string;
  readonly hidden?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly ff?: number;
  readonly vocab?: number;
  readonly batch?: number;
  readonly time?: number;
}

export function withCell(command: Command): Command {
  const [recurrent, bert] = [cellOf('lstm'), cellOf('bert')];
  const size = (flag: string, meaning: string, name: 'hidden' | 'layers' | 'vocabulary' | 'batch' | 'time'): Option => {
    const usual = recurrent[name] === bert[name] ? bert[name] : `${recurrent[name]}; bert: ${bert[name]}`;
    return new Option(flag, `${meaning} (default: ${usual})`).argParser(whole);
  };
  command
    .addOption(new Option('--model <kind>', 'kind of model').choices(modelNames).default('lstm'))
    .addOption(size('--hidden <n>', 'hidden units, H; of bert the width C', 'hidden'))
    .addOption(size('--layers <n>', 'layers', 'layers'))
    .option('--heads <n>', 'attention heads of bert, NH (default: of 64 elements)', whole)
    .option('--ff <n>', 'feed-forward units of bert, F (default: 4 C)', whole)
    .addOption(size('--vocab <n>', 'tokens of the vocabulary, V', 'vocabulary'))
    .addOption(size('--batch <n>', 'rows, B', 'batch'))
    .addOption(size('--time <n>', 'time steps, T', 'time'));
  return withDtype(command);
}

/** @throws OptionError */
export function cellFrom({ model, hidden, layers, heads, ff, vocab, batch, time, dtype }: CellFlags): Cell {
  const given = { hidden, layers, vocabulary: vocab, batch, time, heads, feedForward: ff };
  return cellOf(
    modelNamed(model),
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    dtype,
  );
}

/** The backend that the flags or the environment name. @throws OptionError, BackendError */
export const subjectFrom = ({ backend, isa, numerics, threads }: BackendFlags): Promise<Subject> => {
  const given = { backend, isa, numerics, threads };
  return chooseSubject(
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as BackendOptions,
  );
};
