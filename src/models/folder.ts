/** Model folders: config.json, model.safetensors, vocab.json; all of them new or all of them old. */

import { makeFolder, replaceFiles } from '../formats/atomic.js';
import { FileError, FormatError } from '../formats/errors.js';
import { SafetensorsReader, type TensorToWrite, writeTensors } from '../formats/safetensors.js';
import { access, join, readFile, W_OK } from '../host/node.js';
import { wholeNumber } from '../program/options.js';
import type { Variable } from '../program/variable.js';

/** Version of the layout of a model folder. */
export const FORMAT_VERSION = 1;

export interface ModelFolder {
  /** Without `format_version`, which is added. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly vocabulary?: unknown;
  readonly parameters: readonly (readonly [variable: Variable, values: Float32Array])[];
}

/**
 * Writes a model folder; an old one is replaced only when everything new is on disk.
 * @throws FileError naming the file and what stood in the way.
 */
export function writeModelFolder(folder: string, { config, vocabulary, parameters }: ModelFolder): Promise<void> {
  const tensors = parameters.map(([{ name, shape }, values]): TensorToWrite => ({ name, dtype: 'F32', shape, values }));
  return replaceFiles(folder, {
    'model.safetensors': (sink) => writeTensors(sink, tensors, { format: 'pt' }),
    ...(vocabulary === undefined ? {} : { 'vocab.json': `${JSON.stringify(vocabulary)}\n` }),
    'config.json': `${JSON.stringify({ format_version: FORMAT_VERSION, ...config }, null, 2)}\n`,
  });
}

/**
 * Makes the folder a model will be written to, and sees to it before any work is done that writing will succeed and hit nothing but
 * an older model.
 * @returns whether there is an older model.
 * @throws FileError, or FormatError if the folder holds a config.json of something else.
 */
export async function prepareModelFolder(folder: string): Promise<boolean> {
  await makeFolder(folder);
  await access(folder, W_OK).catch((cause) => {
    throw new FileError('write', folder, cause);
  });
  const path = join(folder, 'config.json');
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) return false;
  const config = (await readJson(path)) as { format_version?: unknown } | null;
  if (config?.format_version === FORMAT_VERSION) return true;
  throw new FormatError(path, undefined, 'no config.json of another program in the folder a model is saved in', 'one');
}

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

/**
 * The config.json of a model folder.
 * @param modelTypes the kinds of model that will do; any when absent
 * @throws FileError, or FormatError if it is of another version or kind of model.
 */
export async function readModelConfig(
  folder: string,
  ...modelTypes: readonly string[]
): Promise<Readonly<Record<string, unknown>>> {
  const path = join(folder, 'config.json');
  const config = await readJson(path);
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new FormatError(path, undefined, 'an object', JSON.stringify(config));
  }
  const { format_version: version, model_type: type } = config as Record<string, unknown>;
  if (version !== FORMAT_VERSION) {
    throw new FormatError(path, undefined, `"format_version": ${FORMAT_VERSION}`, JSON.stringify(version) ?? 'none');
  }
  if (modelTypes.length > 0 && !modelTypes.includes(type as string)) {
    const known = modelTypes.map((each) => `"${each}"`).join(' or ');
    throw new FormatError(path, undefined, `"model_type": ${known}`, JSON.stringify(type) ?? 'none');
  }
  return config as Record<string, unknown>;
}

/** A whole number from 1 in a configuration. @throws FormatError */
export function wholeNumberIn(
  config: Readonly<Record<string, unknown>>,
  file: string,
  name: string,
  most?: number,
): number {
  const value = config[name];
  const rule = wholeNumber(1, most);
  if (rule.accepts(value)) return value as number;
  throw new FormatError(file, undefined, `\`${name}\` to be ${rule.expected}`, JSON.stringify(value) ?? 'none');
}

/**
 * The parameters of a safetensors file, one by one.
 * @throws FormatError naming a tensor that is missing, has another shape, holds a NaN, or that the model does not have.
 */
export async function* readParameters(
  path: string,
  variables: readonly Variable[],
): AsyncGenerator<readonly [variable: Variable, values: Float32Array]> {
  const reader = await SafetensorsReader.open(path);
  try {
    const known = new Set(variables.map(({ name }) => name));
    const unknown = [...reader.tensors.keys()].find((name) => !known.has(name));
    for (const variable of variables) {
      const { shape } = reader.info(variable.name);
      if (shape.join() !== variable.shape.join()) {
        throw new FormatError(path, variable.name, `shape [${variable.shape.join(', ')}]`, `[${shape.join(', ')}]`);
      }
      const values = await reader.readFloat32(variable.name);
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw new FormatError(path, variable.name, 'finite numbers', `${values[bad]} at element ${bad}`);
      yield [variable, values];
    }
    if (unknown !== undefined)
      throw new FormatError(path, unknown, 'only tensors of the model', 'one it does not have');
  } finally {
    await reader.close();
  }
}
