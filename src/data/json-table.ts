/** JSON lines as a table: an object for each row, the keys of the first one for columns. */
import { DataError } from './errors.js';
import { nameOf, type Source } from './files.js';
import { type JsonLine, readJsonLines } from './jsonl.js';
import type { Row, Table } from './table.js';

/**
 * Opens JSON lines as a table; its rows are read as they are asked for. What a later object lacks is an empty cell, what it has beyond the
 * first one is left out.
 * @throws DataError naming file and line of what is no object
 */
export async function openJsonTable(source: Source): Promise<Table> {
  const name = nameOf(source);
  const lines = readJsonLines(source);
  const first = await lines.next();
  if (first.done === true) throw new DataError(`${name}: Expected objects but the file is empty`);
  const columns = Object.keys(first.value.value);
  const rowOf = ({ line, value }: JsonLine): Row => {
    const cells = columns.map((column) => value[column] ?? '');
    return { line, cells: cells.map((cell) => (typeof cell === 'string' ? cell : JSON.stringify(cell))) };
  };
  async function* rows(): AsyncGenerator<Row, void, undefined> {
    try {
      yield rowOf(first.value as JsonLine);
      for await (const line of lines) yield rowOf(line);
    } finally {
      await lines.return();
    }
  }
  return { name, columns, rows: rows() };
}
