/** Tables in text: CSV and TSV with quoted fields, streamed. */
import { checkOptions, type Rule, yesOrNo } from '../program/options.js';
import { DataError } from './errors.js';
import { extensionOf, nameOf, type Source } from './files.js';
import { decoded } from './text.js';

export interface TableOptions {
  /** One character. Default: a tab in .tsv and .tab files, else the one of `,` `;` tab `|` that the first line has most of. */
  readonly delimiter?: string | undefined;
  /** Whether the first row names the columns; without, they are called 1, 2, 3, … Default true. */
  readonly header?: boolean | undefined;
}

/** One character, whatever it takes in UTF-16. */
const character: Rule = {
  expected: 'one character',
  accepts: (value) => typeof value === 'string' && [...value].length === 1,
};

export const tableRules = { delimiter: character, header: yesOrNo };

export interface Row {
  /** Where the row begins in the file, from 1. */
  readonly line: number;
  /** One for each column. */
  readonly cells: readonly string[];
}

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: AsyncIterable<Row>;
}

const DELIMITERS = [',', '\t', ';', '|'];

/** Characters that the delimiter is guessed from, where the first line is longer. */
const LONGEST_GUESS = 1 << 16;

/** What the first line separates its cells with. */
function guessDelimiter(text: string): string {
  const line = (/^[^\n]*/.exec(text)?.[0] ?? '').replace(/"[^"]*"/g, '');
  const counted = DELIMITERS.map((delimiter) => ({ delimiter, count: line.split(delimiter).length - 1 }));
  return counted.reduce((best, each) => (each.count > best.count ? each : best)).delimiter;
}

/** What csv-parse says about malformed quotes, in our words. */
const faults: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quoted cell to end with " but it goes on to the end of the file',
  CSV_INVALID_CLOSING_QUOTE: 'a delimiter or the end of the line after the closing " (a " inside is written "")',
  INVALID_OPENING_QUOTE: 'a " only at the beginning of a cell, or doubled inside a quoted one',
};

/** The records of a CSV text; empty lines are left out. @throws DataError for quotes that are not CSV's */
async function* recordsOf(
  name: string,
  text: AsyncIterable<string>,
  delimiter: string | undefined,
): AsyncGenerator<Row, void, undefined> {
  const { Parser } = await import('csv-parse');
  const pieces = text[Symbol.asyncIterator]();
  let beginning = '';
  for (let piece = await pieces.next(); piece.done !== true; piece = await pieces.next()) {
    beginning += piece.value;
    if (beginning.includes('\n') || beginning.length > LONGEST_GUESS) break;
  }
  if (beginning === '') return;
  /** The line in which the last whole row ended. */
  let ended = 0;
  const parser = new Parser({
    delimiter: delimiter ?? guessDelimiter(beginning),
    info: true,
    max_record_size: 0,
    on_record: (row: string[], { lines }: { readonly lines: number }) => {
      ended = lines;
      return row;
    },
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    skip_empty_lines: true,
  });
  /** Settles when the parser takes more, or is done with. */
  const room = (): Promise<void> =>
    new Promise((resolve) => {
      const proceed = (): void => {
        for (const event of ['drain', 'close']) parser.off(event, proceed);
        resolve();
      };
      for (const event of ['drain', 'close']) parser.once(event, proceed);
    });
  const feed = async (): Promise<void> => {
    let piece: string | undefined = beginning;
    while (piece !== undefined && !parser.destroyed) {
      if (!parser.write(piece)) await room();
      const next: IteratorResult<string, unknown> = await pieces.next();
      piece = next.done === true ? undefined : next.value;
    }
    parser.end();
  };
  feed().catch((error) => parser.destroy(error));
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      const breaks = record.reduce((sum, cell) => sum + cell.split('\n').length - 1, 0);
      yield { line: info.lines - breaks, cells: record };
    }
  } catch (cause) {
    const { code, lines, column } = cause as { code?: string; lines?: number; column?: number };
    const fault = faults[code ?? ''];
    if (fault === undefined) throw cause;
    // A quote that does not end is reported where the file does; it began in the row after the last whole one.
    const line = code === 'CSV_QUOTE_NOT_CLOSED' ? ended + 1 : lines;
    throw new DataError(`${name}:${line}: Expected ${fault} (cell ${Number(column) + 1})`, { cause });
  } finally {
    parser.destroy();
    await pieces.return?.();
  }
}

/**
 * Opens a table; its rows are read as they are asked for.
 * @throws DataError naming file, line and column: for a table without rows, two columns of one name, a row with more or fewer cells than
 * the first, a quote that does not end.
 */
export async function openTable(source: Source, options: TableOptions = {}): Promise<Table> {
  checkOptions('table', options, tableRules);
  const { delimiter, header = true } = options;
  const name = nameOf(source);
  const isTabbed = ['.tsv', '.tab'].includes(extensionOf(source));
  const records = recordsOf(name, decoded(source), delimiter ?? (isTabbed ? '\t' : undefined));
  const first = await records.next();
  if (first.done === true) throw new DataError(`${name}: Expected a table but the file is empty`);
  const names = first.value.cells.map((cell, index) => (header ? cell.trim() : `${index + 1}`));
  for (const [index, column] of names.entries()) {
    const before = names.indexOf(column);
    if (before < index && column !== '') {
      const where = `${name}:${first.value.line}`;
      throw new DataError(
        `${where}: Expected a name for each column but cells ${before + 1} and ${index + 1} are both "${column}"`,
      );
    }
  }
  async function* rows(): AsyncGenerator<Row, void, undefined> {
    if (!header) yield first.value as Row;
    for await (const row of records) {
      if (row.cells.length !== names.length) {
        const expected = `${names.length} cells, as the first row has,`;
        throw new DataError(`${name}:${row.line}: Expected ${expected} but received ${row.cells.length}`);
      }
      yield row;
    }
  }
  return { name, columns: names, rows: rows() };
}

/**
 * Where a column is.
 * @param purpose what it is for, and how it is chosen.
 * @throws DataError naming the columns there are
 */
export function columnIndex({ name, columns }: Table, column: string, purpose: string): number {
  const index = columns.indexOf(column);
  if (index >= 0) return index;
  const those = columns.map((each) => (each === '' ? '(unnamed)' : each)).join(', ');
  throw new DataError(`${name}: Expected a column "${column}" for ${purpose} but received the columns ${those}`);
}
