/**
 * The parameters of a BERT in a Hugging Face folder, under whatever names: with `bert.` before them and without, LayerNorm's `gamma` and `beta`
 * of the first releases, the decoder's bias under either of its names. What is missing and what is left over is told by name.
 */
import { FormatError } from '../formats/errors.js';
import { Checkpoint } from '../formats/hugging-face.js';
import type { Variable } from '../program/variable.js';
import { readParameter } from './folder.js';

/** What a folder had besides, and what it had not. */
export interface CheckpointReport {
  /** Parameters that it has no tensor for: they have fresh values. */
  readonly fresh: readonly string[];
  /** Tensors that the model has no parameter for: those of other heads. */
  readonly unused: readonly string[];
}

/** The bias of the language model's head, which some folders have under another name and some under both. */
const HEAD_BIAS = 'cls.predictions.bias';
const DECODER_BIAS = 'cls.predictions.decoder.bias';

/** Tensors that say nothing: a range of numbers, and the word table once more. */
const REDUNDANT = ['embeddings.position_ids', 'cls.predictions.decoder.weight'];

/** Parameters that come with a task. */
const HEAD = /^(cls|classifier|pooler)\./;

/** A name as all its forms have it in common. */
const canonical = (name: string): string =>
  name
    .replace(/^bert\./, '')
    .replace(/LayerNorm\.gamma$/, 'LayerNorm.weight')
    .replace(/LayerNorm\.beta$/, 'LayerNorm.bias');

export class BertCheckpoint {
  readonly #checkpoint: Checkpoint;
  /** The tensors by their canonical names. */
  readonly #names = new Map<string, string>();

  private constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
    for (const name of checkpoint.tensors.keys()) {
      const key = canonical(name);
      const known = this.#names.get(key);
      if (known !== undefined)
        throw new FormatError(checkpoint.file, name, `no other tensor for \`${key}\``, `\`${known}\` too`);
      if (!REDUNDANT.includes(key)) this.#names.set(key, name);
    }
    const bias = this.#names.get(DECODER_BIAS);
    if (bias !== undefined && !this.#names.has(HEAD_BIAS)) this.#names.set(HEAD_BIAS, bias);
    this.#names.delete(DECODER_BIAS);
  }

  /** @throws FileError, FormatError */
  static async open(folder: string): Promise<BertCheckpoint> {
    const checkpoint = await Checkpoint.open(folder);
    try {
      return new BertCheckpoint(checkpoint);
    } catch (error) {
      await checkpoint.close();
      throw error;
    }
  }

  has(name: string): boolean {
    return this.#names.has(canonical(name));
  }

  /**
   * What loading these variables would leave open.
   * @param without prefixes of parameters that shall be fresh even if there are tensors for them
   * @throws FormatError naming a parameter that has no tensor: one of the encoder, or, unless `freshHead`, one of a head;
   * or a tensor of the encoder that the model has no parameter for
   */
  compare(
    variables: readonly Variable[],
    { freshHead = false, without = [] }: { readonly freshHead?: boolean; readonly without?: readonly string[] } = {},
  ): CheckpointReport {
    const isLeftOut = (name: string): boolean => without.some((prefix) => name.startsWith(prefix));
    const fresh = variables.map(({ name }) => name).filter((name) => !this.has(name) || isLeftOut(name));
    const missing = fresh.find((name) => !freshHead || !HEAD.test(canonical(name)));
    const { file } = this.#checkpoint;
    if (missing !== undefined) throw new FormatError(file, missing, 'a tensor of that name', 'none');
    const used = new Set(variables.filter(({ name }) => !isLeftOut(name)).map(({ name }) => canonical(name)));
    const unused = [...this.#names].filter(([key]) => !used.has(key));
    const foreign = unused.find(([key]) => /^(embeddings|encoder)\./.test(key));
    if (foreign !== undefined)
      throw new FormatError(file, foreign[1], 'only tensors of an encoder that config.json describes', 'one more');
    return { fresh, unused: unused.map(([, name]) => name) };
  }

  /** The values of those variables, one by one. @throws FormatError naming a tensor of another shape or with a NaN */
  async *read(
    variables: readonly Variable[],
  ): AsyncGenerator<readonly [variable: Variable, values: Float32Array], void, undefined> {
    for (const variable of variables) {
      const name = this.#names.get(canonical(variable.name)) as string;
      const reader = this.#checkpoint.tensors.get(name);
      if (reader !== undefined) yield [variable, await readParameter(reader, name, variable)];
    }
  }

  close(): Promise<void> {
    return this.#checkpoint.close();
  }
}
