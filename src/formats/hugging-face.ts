/**
 * The weights of a Hugging Face folder: `model.safetensors`, or several files of them with `model.safetensors.index.json`. Tensors are read one
 * by one. What else lies in such a folder and belongs to its tokenizer is carried along as it is.
 */
import { access, basename, join, readFile } from '../host/node.js';
import { FileError, FormatError } from './errors.js';
import { readJsonObject } from './json.js';
import { SafetensorsReader } from './safetensors.js';

const WEIGHTS = 'model.safetensors';
const INDEX = `${WEIGHTS}.index.json`;
const PICKLE = 'pytorch_model.bin';

/** The files of a tokenizer. */
const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.txt',
  'special_tokens_map.json',
  'added_tokens.json',
];

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** The tensors of a folder by name, each with the file it is in. Close it after use. */
export class Checkpoint {
  private constructor(
    /** What messages call the whole. */
    readonly file: string,
    readonly tensors: ReadonlyMap<string, SafetensorsReader>,
    readonly readers: readonly SafetensorsReader[],
  ) {}

  /**
   * Opens the files and checks their headers; reads no tensor yet.
   * @throws FileError for a file that cannot be opened, FormatError for one that is not what it says
   */
  static async open(folder: string): Promise<Checkpoint> {
    const single = join(folder, WEIGHTS);
    const index = join(folder, INDEX);
    if (await exists(single)) {
      const reader = await SafetensorsReader.open(single);
      return new Checkpoint(single, new Map([...reader.tensors.keys()].map((name) => [name, reader])), [reader]);
    }
    if (await exists(index)) return Checkpoint.#openShards(folder, index);
    const pickle = join(folder, PICKLE);
    if (await exists(pickle))
      throw new FormatError(single, undefined, 'weights as safetensors', `only ${PICKLE}: ${conversion(folder)}`);
    throw new FileError('read', single, { code: 'ENOENT' });
  }

  static async #openShards(folder: string, index: string): Promise<Checkpoint> {
    const places = await readIndex(index);
    const readers = new Map<string, SafetensorsReader>();
    try {
      for (const file of new Set(places.values())) readers.set(file, await SafetensorsReader.open(join(folder, file)));
      const tensors = [...places].map(([name, file]) => {
        const reader = readers.get(file) as SafetensorsReader;
        reader.info(name);
        return [name, reader] as const;
      });
      return new Checkpoint(index, new Map(tensors), [...readers.values()]);
    } catch (error) {
      for (const reader of readers.values()) await reader.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const reader of this.readers) await reader.close();
  }
}

/** A line of Python that does it. */
const conversion = (folder: string): string =>
  `python3 -c "import torch, safetensors.torch as s; s.save_file({k: v.clone().contiguous() for k, v in torch.load('${join(folder, PICKLE)}', ` +
  `map_location='cpu').items()}, '${join(folder, WEIGHTS)}', {'format': 'pt'})" converts it`;

/** Which file each tensor is in. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const { weight_map: map } = await readJsonObject(path);
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new FormatError(path, undefined, '`weight_map` to be an object', JSON.stringify(map) ?? 'none');
  }
  const places = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || file === '' || basename(file) !== file)
      throw new FormatError(path, name, 'the name of a file in the same folder', JSON.stringify(file));
    places.set(name, file);
  }
  return places;
}

/** The files of a folder's tokenizer that are there. @throws FileError */
export async function readTokenizerFiles(folder: string): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (const name of TOKENIZER_FILES) {
    const path = join(folder, name);
    if (!(await exists(path))) continue;
    files[name] = await readFile(path).catch((cause) => {
      throw new FileError('read', path, cause);
    });
  }
  return files;
}
