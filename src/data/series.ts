/** Series of numbers: the rows of a table in the order of time. */
import { anything, checkOptions } from '../program/options.js';
import { DataError } from './errors.js';
import { nameOf, type Source } from './files.js';
import { openJsonTable } from './json-table.js';
import { isJsonLines, shown } from './jsonl.js';
import { isMissingNumber, type Missing, missingRule } from './missing.js';
import { columnIndex, openTable, type Row, type Table, type TableOptions, tableRules } from './table.js';

export interface Series {
  /** One name for each column. */
  readonly columns: readonly string[];
  /** Row by row, [length, columns]. */
  readonly values: Float64Array;
  readonly length: number;
}

export interface SeriesOptions extends TableOptions {
  /** Which columns to read, in this order. Default: all whose first row holds a number. */
  readonly columns?: readonly string[] | undefined;
  /** Default `error`. */
  readonly missing?: Missing | undefined;
}

/**
 * A series from rows as they come, such as `{ temperature: 7.5, wind: 3 }`.
 * @param columns the values to take, in this order; default: all of the first row
 * @throws DataError naming the row and column of what is no finite number
 */
export async function collectSeries(
  rows: Iterable<Readonly<Record<string, number>>> | AsyncIterable<Readonly<Record<string, number>>>,
  columns?: readonly string[],
): Promise<Series> {
  let names = columns;
  const values: number[] = [];
  let length = 0;
  for await (const row of rows) {
    names ??= Object.keys(row);
    length++;
    for (const name of names) {
      const value = row[name];
      if (!Number.isFinite(value)) {
        throw new DataError(`Expected a finite number "${name}" in row ${length} but received ${shown(value)}`);
      }
      values.push(value as number);
    }
  }
  if (names === undefined || length === 0) throw new DataError('Expected rows of numbers but received none');
  return { columns: names, values: Float64Array.from(values), length };
}

const rules = { ...tableRules, columns: anything, missing: missingRule };

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A cell as a number; undefined where it is missing. @throws DataError for anything else */
function numberIn({ name, columns }: Table, { line, cells }: Row, index: number): number | undefined {
  const cell = cells[index] as string;
  if (isMissingNumber(cell)) return undefined;
  const value = NUMBER.test(cell.trim()) ? Number(cell) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new DataError(`${name}:${line}: Expected a number in column "${columns[index]}" but received ${shown(cell)}`);
}

const isNumber = (cell: string): boolean => NUMBER.test(cell.trim()) || isMissingNumber(cell);

/**
 * Reads columns of numbers from .csv, .tsv, or .jsonl with an object for each row.
 *
 * Missing numbers (an empty cell, NA, NaN, null, none, ?, -; a key that is not there) are refused; with `skip` their row is left out; with `previous` they take
 * the value of the row before, and the first row must have one.
 * @throws DataError naming file, line and column
 */
export async function readSeries(source: Source, seriesOptions: SeriesOptions = {}): Promise<Series> {
  checkOptions('readSeries', seriesOptions, rules);
  const { columns, missing = 'error', ...options } = seriesOptions;
  const table = isJsonLines(source) ? await openJsonTable(source) : await openTable(source, options);
  let indices = columns?.map((column) => columnIndex(table, column, 'the series'));
  let names = columns ?? [];
  const values: number[] = [];
  let length = 0;
  for await (const row of table.rows) {
    if (indices === undefined) {
      indices = [...table.columns.keys()].filter((index) => isNumber(row.cells[index] as string));
      names = indices.map((index) => table.columns[index] as string);
      if (indices.length === 0)
        throw new DataError(`${table.name}:${row.line}: Expected a column of numbers but received ${shown(row.cells)}`);
    }
    const numbers = indices.map((index) => numberIn(table, row, index));
    const absent = numbers.indexOf(undefined);
    if (absent >= 0 && missing === 'skip') continue;
    const before = length === 0 ? undefined : values.slice(-indices.length);
    if (absent >= 0 && (missing === 'error' || before === undefined)) {
      const column = table.columns[indices[absent] as number];
      const how = missing === 'error' ? '' : ', and no row before has one';
      throw new DataError(`${table.name}:${row.line}: Expected a number in column "${column}" but received none${how}`);
    }
    for (const [index, number] of numbers.entries()) values.push(number ?? (before?.[index] as number));
    length++;
  }
  if (length === 0) throw new DataError(`${nameOf(source)}: Expected rows of numbers but received none`);
  return { columns: names, values: Float64Array.from(values), length };
}
