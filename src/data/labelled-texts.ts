/** Texts with a class each, from tables, JSON lines or folders. */
import { anything, checkOptions, oneOf } from '../program/options.js';
import { DataError } from './errors.js';
import { entriesOf, extensionOf, filesOf, isFolder, nameOf, type Source, stemOf } from './files.js';
import { isJsonLines, readJsonLines, shown } from './jsonl.js';
import { columnIndex, openTable, type TableOptions, tableRules } from './table.js';
import { decoded, linesOf, readText } from './text.js';

export interface LabelledText {
  readonly text: string;
  /** A second text that belongs to the first. */
  readonly pair?: string | undefined;
  readonly label: string;
  /** File and line, for messages. */
  readonly where?: string | undefined;
}

export interface LabelledTextOptions extends TableOptions {
  /** Column of a table or key of a JSON object. Default `text`. */
  readonly textColumn?: string | undefined;
  /** Of a second text, where there are pairs. */
  readonly pairColumn?: string | undefined;
  /** Default `label`. */
  readonly labelColumn?: string | undefined;
  /** What to do about a row without text or label: `error` (default), or `skip` it. */
  readonly missing?: 'error' | 'skip' | undefined;
}

const rules = {
  ...tableRules,
  textColumn: anything,
  pairColumn: anything,
  labelColumn: anything,
  missing: oneOf('error', 'skip'),
};

const TABLES = ['.csv', '.tsv', '.tab'];

/**
 * Texts and their classes.
 *
 * - a folder: each file in it is a class with one text in each line that is not empty; each folder in it is a class with one text in
 *   each file. The class is called as the file without its extension, or as the folder.
 * - .csv, .tsv: a column of texts and a column of labels.
 * - .jsonl: objects with a text and a label.
 * @throws DataError naming file, line and column
 */
export async function* readLabelledTexts(
  source: Source,
  options: LabelledTextOptions = {},
): AsyncGenerator<LabelledText, void, undefined> {
  checkOptions('readLabelledTexts', options, rules);
  if (typeof source === 'string' && (await isFolder(source))) {
    if (options.pairColumn === undefined) yield* ofFolder(source);
    else
      throw new DataError(`${source}: Expected a table or JSON lines, as texts come in pairs, but received a folder`);
  } else if (isJsonLines(source)) yield* ofJsonLines(source, options);
  else if (TABLES.includes(extensionOf(source))) yield* ofTable(source, options);
  else {
    const expected = 'a folder with a file for each class, or a file that ends in .csv, .tsv or .jsonl';
    throw new DataError(`${nameOf(source)}: Expected ${expected}`);
  }
}

async function* ofFolder(folder: string): AsyncGenerator<LabelledText, void, undefined> {
  const classes = await entriesOf(folder);
  if (classes.length === 0) throw new DataError(`${folder}: Expected a file or folder for each class but it is empty`);
  for (const entry of classes) {
    if (await isFolder(entry)) {
      for (const file of await filesOf(entry)) {
        const text = await readText(file);
        if (text.trim() === '') continue;
        yield { text, label: entry.slice(folder.length).replace(/^[/\\]+/, ''), where: file };
      }
      continue;
    }
    for await (const { text, number } of linesOf(decoded(entry))) {
      if (text.trim() !== '') yield { text, label: stemOf(entry), where: `${entry}:${number}` };
    }
  }
}

async function* ofTable(
  source: Source,
  { textColumn = 'text', pairColumn, labelColumn = 'label', missing = 'error', ...options }: LabelledTextOptions,
): AsyncGenerator<LabelledText, void, undefined> {
  const table = await openTable(source, options);
  const named = {
    text: [textColumn, 'the text'],
    ...(pairColumn !== undefined && { pair: [pairColumn, 'the second text'] }),
    label: [labelColumn, 'the label'],
  };
  const columns = Object.entries(named).map(([key, [name = '', what = '']]) => {
    return { key, name, index: columnIndex(table, name, what) };
  });
  for await (const { line, cells } of table.rows) {
    const where = `${table.name}:${line}`;
    const row = Object.fromEntries(columns.map(({ key, index }) => [key, cells[index] as string]));
    const absent = columns.find(({ key }) => row[key]?.trim() === '')?.name;
    const { text = '', pair, label = '' } = row;
    if (absent === undefined) yield { text, ...(pair !== undefined && { pair }), label: label.trim(), where };
    else if (missing === 'error')
      throw new DataError(`${where}: Expected a value in column "${absent}" but received none`);
  }
}

async function* ofJsonLines(
  source: Source,
  { textColumn = 'text', pairColumn, labelColumn = 'label', missing = 'error' }: LabelledTextOptions,
): AsyncGenerator<LabelledText, void, undefined> {
  for await (const { line, value } of readJsonLines(source)) {
    const where = `${nameOf(source)}:${line}`;
    const isAbsent = (key: string): boolean => (value[key] ?? '') === '';
    const textColumns = [textColumn, ...(pairColumn === undefined ? [] : [pairColumn])];
    const absent = [...textColumns, labelColumn].find(isAbsent);
    if (absent !== undefined && missing === 'skip') continue;
    if (absent !== undefined)
      throw new DataError(`${where}: Expected a value of "${absent}" but received ${shown(value)}`);
    const [text, pair] = textColumns.map((column) => {
      const its = value[column];
      if (typeof its === 'string') return its;
      throw new DataError(`${where}: Expected "${column}" to be a string but received ${shown(its)}`);
    }) as [string, string?];
    const label = value[labelColumn];
    if (!['string', 'number', 'boolean'].includes(typeof label)) {
      throw new DataError(`${where}: Expected "${labelColumn}" to be a string but received ${shown(label)}`);
    }
    yield { text, ...(pair !== undefined && { pair }), label: String(label), where };
  }
}
