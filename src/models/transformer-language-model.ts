/** A causal transformer over characters, words or byte pairs: the network, its vocabulary, and what one does with them. */
import type { Backend } from '../backends/executor.js';
import { rung } from '../data/batching.js';
import type { Window } from '../data/streams.js';
import { swapFirstAxes } from '../data/swap-axes.js';
import { vocabularyFromJson } from '../data/vocabularies.js';
import type { Vocabulary } from '../data/vocabulary.js';
import { FormatError } from '../formats/errors.js';
import { readJson } from '../formats/json.js';
import { join } from '../host/node.js';
import { type BertConfig, type BertPreset, bertConfig, bertPresets, bertRules } from '../nn/bert-config.js';
import { TransformerLanguageModelNetwork } from '../nn/transformer-language-model.js';
import { anything, checkOptions, fraction, OptionError, oneOf, wholeNumber } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import {
  built,
  type Fields,
  field,
  fromJson,
  optional,
  rulesOf,
  settingsIn,
  toJson,
  vocabularyRule,
} from './fields.js';
import { readModelConfig } from './folder.js';
import { backendOr } from './saved-model.js';
import { type Reader, TextModel } from './text-model.js';

interface Settings
  extends Pick<
    BertConfig,
    | 'hiddenSize'
    | 'layers'
    | 'heads'
    | 'feedForwardSize'
    | 'activation'
    | 'dropout'
    | 'attentionDropout'
    | 'preNorm'
    | 'initializerRange'
    | 'layerNormEpsilon'
  > {
  /** Positions: tokens that one can be predicted from, at most. */
  readonly context: number;
  readonly labelSmoothing?: number | undefined;
}

export interface TransformerLanguageModelOptions {
  readonly vocabulary: Vocabulary;
  /** Sizes by name. Default tiny: two layers of 128, two heads. */
  readonly preset?: BertPreset | undefined;
  /** C: a multiple of `heads`. */
  readonly hiddenSize?: number | undefined;
  readonly layers?: number | undefined;
  /** Default: one for each 64 of `hiddenSize`, or one. */
  readonly heads?: number | undefined;
  /** Default: 4 · hiddenSize. */
  readonly feedForwardSize?: number | undefined;
  /** Positions: tokens that one can be predicted from, at most. Windows of training are no longer. Default 256. */
  readonly context?: number | undefined;
  readonly activation?: BertConfig['activation'] | undefined;
  /** Of embeddings and of what layers add. Default 0.1. */
  readonly dropout?: number | undefined;
  /** Of the attention probabilities. Default: as `dropout`. */
  readonly attentionDropout?: number | undefined;
  /** Layer normalisation before attention and feed-forward layers rather than after. Default true. */
  readonly preNorm?: boolean | undefined;
  /** ε of the training loss. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Of the initial parameters. Default 1. */
  readonly seed?: number | undefined;
  /** Default: `await loadBackend()`. */
  readonly backend?: Backend | undefined;
}

const MODEL_TYPE = 'transformer_language_model';

const fields: Fields<Settings> = {
  hiddenSize: field('hidden_size', bertRules.hiddenSize),
  layers: field('num_layers', bertRules.layers),
  heads: field('num_heads', bertRules.heads),
  feedForwardSize: field('feed_forward_size', bertRules.feedForwardSize),
  context: field('context', bertRules.maxPositions),
  activation: field('activation', bertRules.activation),
  dropout: field('dropout', bertRules.dropout),
  attentionDropout: field('attention_dropout', bertRules.attentionDropout),
  preNorm: optional('pre_norm', bertRules.preNorm),
  initializerRange: field('initializer_range', bertRules.initializerRange),
  layerNormEpsilon: field('layer_norm_epsilon', bertRules.layerNormEpsilon),
  labelSmoothing: optional('label_smoothing', fraction),
};

const rules = {
  ...rulesOf(fields),
  vocabulary: vocabularyRule,
  preset: oneOf(...Object.keys(bertPresets)),
  seed: wholeNumber(0),
  backend: anything,
};

function settingsOf({ preset = 'tiny', ...options }: TransformerLanguageModelOptions): Settings {
  const { hiddenSize = bertPresets[preset].hiddenSize, dropout = 0.1 } = options;
  return {
    ...bertPresets[preset],
    heads: Math.max(1, Math.floor(hiddenSize / 64)),
    feedForwardSize: 4 * hiddenSize,
    context: 256,
    activation: 'gelu',
    dropout,
    attentionDropout: dropout,
    preNorm: true,
    initializerRange: 0.02,
    layerNormEpsilon: 1e-5,
    ...settingsIn(fields, options),
  };
}

function networkOf({ size: vocabularySize }: Vocabulary, { context, labelSmoothing, ...sizes }: Settings) {
  const config = bertConfig({ ...sizes, vocabularySize, maxPositions: context, tokenTypes: 0, causal: true });
  return new TransformerLanguageModelNetwork({ ...config, labelSmoothing });
}

export class TransformerLanguageModel extends TextModel<TransformerLanguageModelNetwork> {
  protected override readonly documentEnd = undefined;

  private constructor(
    readonly vocabulary: Vocabulary,
    readonly settings: Settings,
    backend: Backend,
  ) {
    super(networkOf(vocabulary, settings), backend);
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: TransformerLanguageModelOptions): Promise<TransformerLanguageModel> {
    checkOptions('TransformerLanguageModel', options, rules);
    const { vocabulary, seed = 1, backend } = options;
    if (vocabulary === undefined)
      throw new OptionError('TransformerLanguageModel: Expected `vocabulary` but received none');
    return new TransformerLanguageModel(vocabulary, settingsOf(options), await backendOr(backend)).fresh(seed);
  }

  /**
   * A model from a folder that {@link save} wrote.
   * @throws FileError, FormatError or DataError naming the file, the tensor or field, what was expected and what was found.
   */
  static async load(
    folder: string,
    { backend }: { readonly backend?: Backend | undefined } = {},
  ): Promise<TransformerLanguageModel> {
    const json = await readModelConfig(folder, MODEL_TYPE);
    const file = join(folder, 'config.json');
    const settings = fromJson(fields, json, file);
    const vocabularyFile = join(folder, 'vocab.json');
    const vocabulary = vocabularyFromJson(await readJson(vocabularyFile), vocabularyFile);
    if (vocabulary.size !== json.vocab_size) {
      const expected = `${JSON.stringify(json.vocab_size)} tokens (config.json)`;
      throw new FormatError(vocabularyFile, undefined, expected, `${vocabulary.size}`);
    }
    const loaded = await backendOr(backend);
    return built(file, fields, () => new TransformerLanguageModel(vocabulary, settings, loaded)).stored(folder);
  }

  protected override description() {
    const config = { model_type: MODEL_TYPE, vocab_size: this.vocabulary.size, ...toJson(fields, this.settings) };
    return { config, vocabulary: this.vocabulary.toJSON() };
  }

  protected override toBatch({ inputs, labels, labelCount, steps: time }: Window, batch: number): Batch {
    const { context } = this.settings;
    if (time > context)
      throw new OptionError(
        `batches: Expected \`window\` to be at most ${context}, the model's context, but received ${time}`,
      );
    const batchFirst = (values: Int32Array): Int32Array => swapFirstAxes({ shape: [time, batch], values });
    return {
      inputs: { tokens: batchFirst(inputs), labels: batchFirst(labels) },
      time,
      batch,
      labelCount,
      first: true,
    };
  }

  protected override async reader(): Promise<Reader> {
    const { context } = this.settings;
    let seen: readonly number[] = [];
    return async (tokens) => {
      seen = [...seen, ...tokens].slice(-context);
      const time = Math.min(context, rung(seen.length));
      const program = this.programs.get(`next of ${time}`, (graph) => {
        graph.output('logits', this.network.next(graph, time));
      });
      const row = new Int32Array(time);
      row.set(seen);
      const { logits } = await this.engine.run(program, { tokens: row, position: [seen.length - 1] });
      return logits ?? [];
    };
  }
}
