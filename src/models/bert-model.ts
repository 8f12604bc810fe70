/** The encoder alone: hidden states of texts, and vectors for whole texts. */
import { sortedBatches } from '../data/batching.js';
import { type EncodedSequence, type EncoderBatch, encoderBatch } from '../data/encoder-batch.js';
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { checkOptions, OptionError, oneOf } from '../program/options.js';
import { shapeKey } from '../train/model.js';
import {
  AnyBert,
  type BertInput,
  type BertLoadOptions,
  type BertOptions,
  type BertParts,
  checkCreate,
  checkLoad,
  partsOf,
  withFolder,
} from './any-bert.js';
import { collect, type Examples } from './collect.js';
import { EncoderNetwork } from './networks/bert.js';
import { passRules } from './passes.js';
import type { PassOptions } from './task-model.js';

/** What stands for a whole text: the mean of its hidden states, that of its first token, or what the pooler makes of that. */
export type TextPooling = 'mean' | 'first' | 'pooler';

export interface EmbedOptions extends PassOptions {
  /** Default mean. */
  readonly pooling?: TextPooling | undefined;
}

const NAME = 'BertModel';
const POOLER = 'pooler.dense.weight';

export class BertModel extends AnyBert<EncoderNetwork> {
  readonly hasPooler: boolean;

  private constructor(parts: BertParts, pooler: boolean) {
    super(NAME, parts, new EncoderNetwork(parts.config, { pooler }));
    this.hasPooler = pooler;
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: BertOptions): Promise<BertModel> {
    checkCreate(NAME, options);
    return new BertModel(await partsOf(NAME, options), true).fresh(options.seed ?? 1);
  }

  /**
   * The encoder of any BERT in a Hugging Face folder, with a pooler if that has one.
   * @throws FileError or FormatError naming the file, the tensor or field, what was expected and what was found; OptionError
   */
  static async load(folder: string, options: BertLoadOptions = {}): Promise<BertModel> {
    checkLoad(NAME, options);
    return withFolder(folder, options, async ({ parts, checkpoint }) =>
      new BertModel(parts, checkpoint.has(POOLER)).restored(checkpoint, options),
    );
  }

  /**
   * The hidden states of the last layer for each input, [tokens, hiddenSize] in rows, in the order of the inputs.
   * @throws DataError as for tokens the model does not have or a sequence that is too long
   */
  encode(inputs: Examples<BertInput>, options: PassOptions = {}): Promise<Float32Array[]> {
    const { hiddenSize } = this.config;
    return this.#pass(inputs, options, {
      key: 'hidden',
      trace: (hidden) => hidden,
      select: (values, row, length, time) => values.slice(row * time * hiddenSize, (row * time + length) * hiddenSize),
    });
  }

  /**
   * A vector for each input, in their order.
   * @throws OptionError for the pooler of a model that has none; DataError as {@link encode}
   */
  async embed(
    inputs: Examples<BertInput>,
    { pooling = 'mean', ...options }: EmbedOptions = {},
  ): Promise<Float32Array[]> {
    checkOptions('embed', { pooling }, { pooling: oneOf('mean', 'first', 'pooler') });
    if (pooling === 'pooler' && !this.hasPooler)
      throw new OptionError(
        'embed: Expected `pooling` to be mean or first, as the model has no pooler, but received "pooler"',
      );
    const { hiddenSize } = this.config;
    return this.#pass(inputs, options, {
      key: pooling === 'pooler' ? 'pooled' : 'weighted',
      trace: (hidden) => (pooling === 'pooler' ? this.network.pooled(hidden) : this.network.weighted(hidden)),
      select: (values, row) => values.slice(row * hiddenSize, (row + 1) * hiddenSize),
      more: pooling === 'pooler' ? undefined : (batch) => ({ weights: weightsOf(batch, pooling) }),
    });
  }

  /** What a pass over all inputs finds for each of them. */
  async #pass(
    inputs: Examples<BertInput>,
    options: PassOptions,
    { key, trace, select, more }: Result,
  ): Promise<Float32Array[]> {
    checkOptions(NAME, options, passRules);
    const { batch: rows = 32, signal } = options;
    const sequences = (await collect(inputs)).map((input) => this.sequence(input));
    const lengths = sequences.map(({ tokens }) => tokens.length);
    const found: Float32Array[] = [];
    for (const positions of sortedBatches(lengths, Math.min(rows, Math.max(1, sequences.length)))) {
      if (signal?.aborted) break;
      const batch = this.#batch(positions.map((position) => sequences[position] as EncodedSequence));
      const program = this.programs.get(`${key} ${shapeKey(batch)}`, (graph: Graph) => {
        graph.output('y', trace(this.network.hidden(graph, batch)));
      });
      const { tokens, types, mask } = batch;
      const { y } = await this.engine.run(program, { tokens, types, mask, ...more?.(batch) });
      const values = Float32Array.from(y ?? []);
      for (const [row, position] of positions.entries())
        found[position] = select(values, row, lengths[position] as number, batch.time);
    }
    return found;
  }

  #batch(sequences: readonly EncodedSequence[]): EncoderBatch {
    const { padToken: pad, maxPositions: longest } = this.config;
    return encoderBatch(sequences, { rows: sequences.length, pad, longest });
  }
}

interface Result {
  readonly key: string;
  trace(hidden: Tensor): Tensor;
  select(values: Float32Array, row: number, length: number, time: number): Float32Array;
  readonly more?: ((batch: EncoderBatch) => Readonly<Record<string, Float32Array>>) | undefined;
}

/** Each position's share of what stands for its row, [B, T]. */
function weightsOf({ mask, batch, time }: EncoderBatch, pooling: 'mean' | 'first'): Float32Array {
  const weights = new Float32Array(mask.length);
  for (let row = 0; row < batch; row++) {
    const length = pooling === 'first' ? 1 : mask.subarray(row * time, (row + 1) * time).lastIndexOf(1) + 1;
    weights.fill(1 / length, row * time, row * time + length);
  }
  return weights;
}
