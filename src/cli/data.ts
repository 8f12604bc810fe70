/** What commands that read examples share: options of tables, sources, texts to predict. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { DataError } from '../data/errors.js';
import { extensionOf, nameOf, type Source } from '../data/files.js';
import { readJsonLines, shown } from '../data/jsonl.js';
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

/** Adds the options that say where texts and labels are. */
export const withTextColumns = (command: Command): Command =>
  command
    .option('--text-column <name>', 'column or key of the text (default: text)')
    .option('--label-column <name>', 'column or key of the label (default: label)');

export const tableOptions = ({ delimiter, header }: TableFlags): TableOptions => ({ delimiter, header });

export const textOptions = (flags: TableFlags): LabelledTextOptions => ({
  ...tableOptions(flags),
  textColumn: flags.textColumn,
  pairColumn: flags.pairColumn,
  labelColumn: flags.labelColumn,
  missing: flags.missing as LabelledTextOptions['missing'],
});

/** The texts of a source without labels: a column of a table, a key of JSON lines, else each line that is not empty. */
export async function* readTexts(
  source: Source,
  { textColumn = 'text', ...flags }: TableFlags,
): AsyncGenerator<string, void, undefined> {
  const extension = extensionOf(source);
  if (['.csv', '.tsv', '.tab'].includes(extension)) {
    const table = await openTable(source, tableOptions(flags));
    const index = columnIndex(table, textColumn, 'the text (--text-column)');
    for await (const { cells, line } of table.rows) {
      const text = cells[index] as string;
      if (text.trim() !== '') yield text;
      else if (flags.missing !== 'skip')
        throw new DataError(`${table.name}:${line}: Expected a value in column "${textColumn}" but received none`);
    }
  } else if (['.jsonl', '.ndjson'].includes(extension)) {
    for await (const { value, line } of readJsonLines(source)) {
      const text = value[textColumn];
      if (typeof text === 'string' && text !== '') yield text;
      else
        throw new DataError(
          `${nameOf(source)}:${line}: Expected "${textColumn}" to be a string but received ${shown(text)}`,
        );
    }
  } else {
    for await (const { text } of linesOf(decoded(source))) if (text.trim() !== '') yield text;
  }
}

/** The texts given as `--text`, or those of `--data`. @throws OptionError where neither or both are given */
export async function textsToPredict({
  text,
  data,
  ...flags
}: TableFlags & { text?: string[]; data?: string }): Promise<string[]> {
  if ((text === undefined) === (data === undefined)) {
    throw new OptionError('Expected either --text <text> or --data <path> (- for standard input): see --help');
  }
  if (text !== undefined) return text;
  const texts: string[] = [];
  for await (const each of readTexts(sourceOf(data as string), flags)) texts.push(each);
  if (texts.length === 0) throw new DataError(`${data}: Expected texts but received none`);
  return texts;
}
