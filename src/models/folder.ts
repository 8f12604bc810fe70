/** Model folders: config.json, model.safetensors, vocab.json; all of them new or all of them old. */

import { type Content, makeFolder, replaceFiles } from '../formats/atomic.js';
import { FileError, FormatError } from '../formats/errors.js';
import { readJson, readJsonObject } from '../formats/json.js';
import { SafetensorsReader, type TensorToWrite, writeTensors } from '../formats/safetensors.js';
import { access, join, W_OK } from '../host/node.js';
import { wholeNumber } from '../program/options.js';
import type { Variable } from '../program/variable.js';

/** Version of the layout of a model folder. */
export const FORMAT_VERSION = 1;

export interface ModelFolder {
  /** Without `format_version`, which is added. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly vocabulary?: unknown;
  /** Others, by name. */
  readonly files?: Readonly<Record<string, Content>> | undefined;
  readonly parameters: readonly Pick<TensorToWrite, 'name' | 'shape' | 'values'>[];
}

/**
 * Writes a model folder; an old one is replaced only when everything new is on disk.
 * @throws FileError naming the file and what stood in the way.
 */
export function writeModelFolder(
  folder: string,
  { config, vocabulary, files, parameters }: ModelFolder,
): Promise<void> {
  const tensors = parameters.map((parameter): TensorToWrite => ({ ...parameter, dtype: 'F32' }));
  return replaceFiles(folder, {
    'model.safetensors': (sink) => writeTensors(sink, tensors, { format: 'pt' }),
    ...(vocabulary === undefined ? {} : { 'vocab.json': `${JSON.stringify(vocabulary)}\n` }),
    ...files,
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
  const config = await readJsonObject(path);
  const { format_version: version, model_type: type } = config;
  if (version !== FORMAT_VERSION) {
    throw new FormatError(path, undefined, `"format_version": ${FORMAT_VERSION}`, JSON.stringify(version) ?? 'none');
  }
  if (modelTypes.length > 0 && !modelTypes.includes(type as string)) {
    const known = modelTypes.map((each) => `"${each}"`).join(' or ');
    throw new FormatError(path, undefined, `"model_type": ${known}`, JSON.stringify(type) ?? 'none');
  }
  return config;
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
 * The values of a parameter, from the tensor `name`.
 * @throws FormatError naming the tensor if it is missing, has another shape or holds a number that is not finite.
 */
export async function readParameter(
  reader: SafetensorsReader,
  name: string,
  { shape: expected }: Variable,
): Promise<Float32Array> {
  const { shape } = reader.info(name);
  if (shape.join() !== expected.join()) {
    throw new FormatError(reader.file, name, `shape [${expected.join(', ')}]`, `[${shape.join(', ')}]`);
  }
  const values = await reader.readFloat32(name);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new FormatError(reader.file, name, 'finite numbers', `${values[bad]} at element ${bad}`);
  return values;
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
    for (const variable of variables) yield [variable, await readParameter(reader, variable.name, variable)];
    if (unknown !== undefined)
      throw new FormatError(path, unknown, 'only tensors of the model', 'one it does not have');
  } finally {
    await reader.close();
  }
}
