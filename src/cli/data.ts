/** What commands that read examples share: options of tables, sources, texts to predict. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { DataError } from '../data/errors.js';
import { extensionOf, nameOf, type Source } from '../data/files.js';
import { isJsonLines, readJsonLines, shown } from '../data/jsonl.js';
import type { LabelledTextOptions } from '../data/labelled-texts.js';
import { columnIndex, openTable, type TableOptions } from '../data/table.js';
import { decoded, linesOf } from '../data/text.js';
import { OptionError } from '../program/options.js';
import type { TableFlags } from './tasks/task.js';

/** A path, or standard input for `-`. */
export const sourceOf = (path: string): Source =>
  path === '-' ? { name: 'standard input', content: process.stdin } : path;

function delimiterOption(text: string): string {
  const delimiter = text === '\\t' || text === 'tab' ? '\t' : text;
  if ([...delimiter].length === 1) return delimiter;
  throw new OptionError(`Expected --delimiter to be one character or tab but received "${text}"`);
}

/** Adds the options that say how a table is read. */
export function withTable(command: Command, missing: readonly string[]): Command {
  return command
    .option(
      '--delimiter <character>',
      'what separates the cells of a table, or tab (default: found out)',
      delimiterOption,
    )
    .option('--no-header', 'the first row of a table holds no names: columns are called 1, 2, 3, …')
    .addOption(
      new Option('--missing <policy>', 'what to do about missing values').choices([...missing]).default('error'),
    );
}

/** Adds the options that say where texts are. */
export const withTexts = (command: Command): Command =>
  command
    .option('--text-column <name>', 'column or key of the text (default: text)')
    .option('--pair-column <name>', 'bert: column or key of a second text, where texts come in pairs');

/** The same with their labels. */
export const withTextColumns = (command: Command): Command =>
  withTexts(command).option('--label-column <name>', 'column or key of the label (default: label)');

export const tableOptions = ({ delimiter, header }: TableFlags): TableOptions => ({ delimiter, header });

export const textOptions = (flags: TableFlags): LabelledTextOptions => ({
  ...tableOptions(flags),
  textColumn: flags.textColumn,
  pairColumn: flags.pairColumn,
  labelColumn: flags.labelColumn,
  missing: flags.missing as LabelledTextOptions['missing'],
});

/** A text without a label, and what belongs to it. */
interface Input {
  readonly text: string;
  readonly pair?: string;
}

/** The text and, where there is one, its pair. */
const inputOf = ([text, pair]: readonly (string | undefined)[]): Input =>
  pair === undefined ? { text: text as string } : { text: text as string, pair };

/** The texts of a source without labels: columns of a table, keys of JSON lines, else each line that is not empty. */
async function* readInputs(
  source: Source,
  { textColumn = 'text', pairColumn, ...flags }: TableFlags,
): AsyncGenerator<Input, void, undefined> {
  const extension = extensionOf(source);
  const columns = [textColumn, ...(pairColumn === undefined ? [] : [pairColumn])];
  if (['.csv', '.tsv', '.tab'].includes(extension)) {
    const table = await openTable(source, tableOptions(flags));
    const what = ['the text (--text-column)', 'the second text (--pair-column)'];
    const indices = columns.map((column, at) => columnIndex(table, column, what[at] as string));
    for await (const { cells, line } of table.rows) {
      const texts = indices.map((index) => cells[index] as string);
      const absent = texts.findIndex((text) => text.trim() === '');
      if (absent < 0) yield inputOf(texts);
      else if (flags.missing !== 'skip')
        throw new DataError(`${table.name}:${line}: Expected a value in column "${columns[absent]}" but received none`);
    }
  } else if (isJsonLines(source)) {
    for await (const { value, line } of readJsonLines(source)) {
      const texts = columns.map((column) => {
        const text = value[column];
        if (typeof text === 'string' && text !== '') return text;
        throw new DataError(
          `${nameOf(source)}:${line}: Expected "${column}" to be a string but received ${shown(text)}`,
        );
      });
      yield inputOf(texts);
    }
  } else {
    if (pairColumn !== undefined)
      throw new DataError(`${nameOf(source)}: Expected a table or JSON lines, as texts come in pairs (--pair-column)`);
    for await (const { text } of linesOf(decoded(source))) if (text.trim() !== '') yield { text };
  }
}

/** The texts given as `--text`, or those of `--data`, in pairs with `--pair-column`. @throws OptionError where neither or both are given */
export async function inputsToPredict({
  text,
  data,
  ...flags
}: TableFlags & { text?: string[]; data?: string }): Promise<Input[]> {
  if ((text === undefined) === (data === undefined)) {
    throw new OptionError('Expected either --text <text> or --data <path> (- for standard input): see --help');
  }
  if (text !== undefined) {
    if (flags.pairColumn !== undefined) throw new OptionError('Expected --pair-column only with --data <path>');
    return text.map((each) => ({ text: each }));
  }
  const inputs: Input[] = [];
  for await (const each of readInputs(sourceOf(data as string), flags)) inputs.push(each);
  if (inputs.length === 0) throw new DataError(`${data}: Expected texts but received none`);
  return inputs;
}

/** The same where there are no pairs. @throws OptionError */
export async function textsToPredict(flags: TableFlags & { text?: string[]; data?: string }): Promise<string[]> {
  if (flags.pairColumn !== undefined) throw new OptionError('Expected --pair-column only with a classifier of pairs');
  return (await inputsToPredict(flags)).map(({ text }) => text);
}
