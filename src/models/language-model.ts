/** A language model over characters, words or byte pairs: the network, its vocabulary, and what one does with them. */

import type { Backend } from '../backends/executor.js';
import type { Window } from '../data/streams.js';
import { vocabularyFromJson } from '../data/vocabularies.js';
import type { Vocabulary } from '../data/vocabulary.js';
import { FormatError } from '../formats/errors.js';
import { readJson } from '../formats/json.js';
import { join } from '../host/node.js';
import { LanguageModelNetwork } from '../nn/language-model.js';
import { atLeast, checkOptions, fraction, OptionError, yesOrNo } from '../program/options.js';
import type { Batch } from '../train/trainer.js';
import {
  built,
  type Fields,
  field,
  fromJson,
  optional,
  rulesOf,
  settingsIn,
  sizeRule,
  toJson,
  vocabularyRule,
} from './fields.js';
import { readModelConfig } from './folder.js';
import {
  buildRules,
  type RecurrentOptions,
  type RecurrentSettings,
  recurrentFields,
  recurrentSettings,
} from './recurrent-options.js';
import { backendOr } from './saved-model.js';
import { aString, type Reader, TextModel } from './text-model.js';

/** What only language models can be told. */
interface LanguageModelSettings extends Omit<RecurrentSettings, 'bidirectional'> {
  /** Elements of a token’s vector. Default: hiddenSize. */
  readonly embeddingSize: number;
  /** The head's weight is the embedding's (Press & Wolf 2017). Default false. */
  readonly tiedWeights?: boolean | undefined;
  /** What ends a document, one token of the vocabulary: after it the state starts anew. Default: text is one document. */
  readonly documentEnd?: string | undefined;
  /** ε of the training loss. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Times the mean square of the last layer's output (Merity, McCann & Socher 2017: α). Default 0. */
  readonly activationRegularisation?: number | undefined;
  /** Times the mean square of its change from step to step (the same: β). Default 0. */
  readonly temporalActivationRegularisation?: number | undefined;
}

export interface LanguageModelOptions
  extends Omit<RecurrentOptions, 'bidirectional'>,
    Partial<Omit<LanguageModelSettings, keyof RecurrentSettings>> {
  readonly vocabulary: Vocabulary;
}

const MODEL_TYPE = 'language_model';
/** What the first models were called, all of them LSTMs. */
const OLD_TYPE = 'lstm_language_model';

const { bidirectional: _, ...recurrent } = recurrentFields;
const fields: Fields<LanguageModelSettings> = {
  ...recurrent,
  embeddingSize: field('embedding_size', sizeRule),
  tiedWeights: optional('tied_weights', yesOrNo),
  documentEnd: optional('document_end', aString),
  labelSmoothing: optional('label_smoothing', fraction),
  activationRegularisation: optional('activation_regularisation', atLeast(0)),
  temporalActivationRegularisation: optional('temporal_activation_regularisation', atLeast(0)),
};

const rules = { ...rulesOf(fields), ...buildRules, vocabulary: vocabularyRule };

/** The one token of what ends a document. @throws OptionError */
function documentEndIn(vocabulary: Vocabulary, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const tokens = vocabulary.encode(text);
  if (tokens.length === 1 && tokens[0] !== vocabulary.unknown) return tokens[0];
  const expected = 'one token of the vocabulary';
  throw new OptionError(
    `LanguageModel: Expected \`documentEnd\` to be ${expected} but received ${JSON.stringify(text)}, which is ${tokens.length}`,
  );
}

export class LanguageModel extends TextModel<LanguageModelNetwork> {
  protected override readonly documentEnd: number | undefined;

  private constructor(
    readonly vocabulary: Vocabulary,
    readonly settings: LanguageModelSettings,
    backend: Backend,
  ) {
    const { documentEnd, ...network } = settings;
    super(new LanguageModelNetwork({ ...network, vocabularySize: vocabulary.size }), backend);
    this.documentEnd = documentEndIn(vocabulary, documentEnd);
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: LanguageModelOptions): Promise<LanguageModel> {
    checkOptions('LanguageModel', options, rules);
    const { vocabulary, seed = 1, backend } = options;
    if (vocabulary === undefined) throw new OptionError('LanguageModel: Expected `vocabulary` but received none');
    const recurrent = recurrentSettings(options);
    const settings = { ...recurrent, embeddingSize: recurrent.hiddenSize, ...settingsIn(fields, options) };
    return new LanguageModel(vocabulary, settings, await backendOr(backend)).fresh(seed);
  }

  /**
   * A model from a folder that {@link save} wrote.
   * @throws FileError, FormatError or DataError naming the file, the tensor or field, what was expected and what was found.
   */
  static async load(
    folder: string,
    { backend }: { readonly backend?: Backend | undefined } = {},
  ): Promise<LanguageModel> {
    const json = await readModelConfig(folder, MODEL_TYPE, OLD_TYPE);
    const file = join(folder, 'config.json');
    const settings = fromJson(fields, json.model_type === OLD_TYPE ? { ...json, kind: 'lstm' } : json, file);
    const vocabularyFile = join(folder, 'vocab.json');
    const vocabulary = vocabularyFromJson(await readJson(vocabularyFile), vocabularyFile);
    if (vocabulary.size !== json.vocab_size) {
      const expected = `${JSON.stringify(json.vocab_size)} tokens (config.json)`;
      throw new FormatError(vocabularyFile, undefined, expected, `${vocabulary.size}`);
    }
    const loaded = await backendOr(backend);
    return built(file, fields, () => new LanguageModel(vocabulary, settings, loaded)).stored(folder);
  }

  protected description() {
    const config = { model_type: MODEL_TYPE, vocab_size: this.vocabulary.size, ...toJson(fields, this.settings) };
    return { config, vocabulary: this.vocabulary.toJSON() };
  }

  protected override toBatch(
    { inputs, labels, labelCount, steps, first, carry, resets }: Window,
    batch: number,
  ): Batch {
    return {
      inputs: { tokens: inputs, labels, ...(resets && { resets }) },
      resets: resets !== undefined,
      time: steps,
      batch,
      labelCount,
      first,
      carry,
    };
  }

  protected override async reader(): Promise<Reader> {
    const state = await this.state('generation state', 1);
    const program = this.programs.get('generate', (graph) => {
      const { logits, next } = this.network.logits(graph, { time: 1, batch: 1 }, state, {});
      graph.output('logits', logits);
      for (const [index, variable] of state.variables.entries()) {
        const value = next[index];
        if (value !== undefined) graph.assign(variable, value);
      }
    });
    // The state is kept between the turns of several generations at once: each carries its own in and out of the heap.
    let carried = new Float32Array(state.elements);
    return (tokens) =>
      this.engine.use(async (session) => {
        await session.write(state.whole, carried);
        let logits: ArrayLike<number> = [];
        for (const token of tokens) ({ logits = [] } = await session.run(program, { tokens: [token] }));
        carried = Float32Array.from(await session.read(state.whole));
        return logits;
      });
  }
}
