/** JSON files. */
import { readFile } from '../host/node.js';
import { FileError, FormatError } from './errors.js';

/** Reads a JSON file. @throws FileError if it cannot be read, FormatError if it is not JSON. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new FileError('read', path, cause);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(path, undefined, 'JSON', `text that is not (${(cause as Error).message})`);
  }
}

/** Reads a JSON file that holds an object. @throws as {@link readJson} */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const json = await readJson(path);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new FormatError(path, undefined, 'an object', JSON.stringify(json));
  return json as Record<string, unknown>;
}
