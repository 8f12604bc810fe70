/** JSON lines: one object in each line. */
import { DataError } from './errors.js';
import { extensionOf, nameOf, type Source } from './files.js';
import { decoded, linesOf } from './text.js';

export interface JsonLine {
  readonly line: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Whether a source is of JSON lines, by its name. */
export const isJsonLines = (source: Source): boolean => ['.jsonl', '.ndjson'].includes(extensionOf(source));

/** A value as messages show it, cut where it is long. */
export const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'none';
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
};

/** The objects of a source; empty lines are left out. @throws DataError naming source and line of what is no JSON object */
export async function* readJsonLines(source: Source): AsyncGenerator<JsonLine, void, undefined> {
  const name = nameOf(source);
  for await (const { text, number: line } of linesOf(decoded(source))) {
    if (text.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new DataError(`${name}:${line}: Expected a JSON object but received text that is not JSON`, { cause });
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new DataError(`${name}:${line}: Expected a JSON object but received ${shown(value)}`);
    }
    yield { line, value: value as Record<string, unknown> };
  }
}
