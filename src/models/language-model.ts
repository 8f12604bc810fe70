/** A character-level LSTM language model: the network, its vocabulary, and what one does with them. */

import type { Backend } from '../backends/executor.js';
import { loadBackend } from '../backends/select.js';
import { evaluationWindows, trainingWindows, type Window } from '../data/streams.js';
import { CharacterVocabulary } from '../data/vocabulary.js';
import { FormatError } from '../formats/errors.js';
import { join } from '../host/node.js';
import { type LanguageModelConfig, LanguageModelNetwork } from '../nn/language-model.js';
import { MAX_LAYERS } from '../nn/recurrent.js';
import { anything, checkOptions, fraction, OptionError, wholeNumber } from '../program/options.js';
import { type Evaluation, evaluate } from '../train/evaluate.js';
import { Model } from '../train/model.js';
import type { Batch } from '../train/trainer.js';
import { readJson, readModelConfig, readParameters, wholeNumberIn, writeModelFolder } from './folder.js';
import { type SamplingOptions, sampler, samplingRules } from './sampling.js';

export interface LstmLanguageModelOptions {
  readonly vocabulary: CharacterVocabulary;
  /** H. Default 128. */
  readonly hiddenSize?: number;
  /** Elements of a character's vector. Default: hiddenSize. */
  readonly embeddingSize?: number;
  /** Default 1. */
  readonly layers?: number;
  /** On the embedded characters, between layers and before the head. Default 0. */
  readonly dropout?: number;
  /** Of the initial parameters. Default 1. */
  readonly seed?: number;
  /** Default: `await loadBackend()`. */
  readonly backend?: Backend | undefined;
}

/** Rows and steps of the windows that text is cut into. */
export interface WindowOptions {
  /** B. Default 32. */
  readonly batch?: number;
  /** T. Default 64. */
  readonly window?: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** Text to go on from. Default: the first character of the vocabulary. */
  readonly prompt?: string;
  /** Characters to generate. Default 200. */
  readonly length?: number;
  readonly signal?: AbortSignal | undefined;
}

const MODEL_TYPE = 'lstm_language_model';

const rules = {
  vocabulary: { expected: 'a CharacterVocabulary', accepts: (value: unknown) => value instanceof CharacterVocabulary },
  hiddenSize: wholeNumber(1),
  embeddingSize: wholeNumber(1),
  layers: wholeNumber(1, MAX_LAYERS),
  dropout: fraction,
  seed: wholeNumber(0),
  backend: anything,
};

const generateRules = {
  ...samplingRules,
  prompt: { expected: 'a string', accepts: (value: unknown) => typeof value === 'string' },
  length: wholeNumber(0),
  signal: anything,
};

const windowRules = { batch: wholeNumber(1), window: wholeNumber(1) };

export class LstmLanguageModel extends Model<LanguageModelNetwork> {
  private constructor(
    readonly vocabulary: CharacterVocabulary,
    config: LanguageModelConfig,
    backend: Backend,
  ) {
    super(new LanguageModelNetwork(config), backend);
  }

  /**
   * A model with fresh parameters.
   * @throws OptionError for an option that is unknown or does not fit; OutOfMemoryError naming the bytes it would take.
   */
  static async create(options: LstmLanguageModelOptions): Promise<LstmLanguageModel> {
    checkOptions('LstmLanguageModel', options, rules);
    const { vocabulary, hiddenSize = 128, embeddingSize = hiddenSize, layers = 1, dropout = 0, seed = 1 } = options;
    if (vocabulary === undefined) throw new OptionError('LstmLanguageModel: Expected `vocabulary` but received none');
    const config = {
      kind: 'lstm' as const,
      vocabularySize: vocabulary.size,
      embeddingSize,
      hiddenSize,
      layers,
      dropout,
    };
    const model = new LstmLanguageModel(vocabulary, config, options.backend ?? (await loadBackend()));
    await model.allocate();
    await model.initialise(seed);
    return model;
  }

  /**
   * A model from a folder that {@link save} wrote.
   * @throws FileError or FormatError naming the file, the tensor or field, what was expected and what was found.
   */
  static async load(
    folder: string,
    { backend }: { readonly backend?: Backend | undefined } = {},
  ): Promise<LstmLanguageModel> {
    const json = await readModelConfig(folder, MODEL_TYPE);
    const file = join(folder, 'config.json');
    const config = {
      kind: 'lstm' as const,
      vocabularySize: wholeNumberIn(json, file, 'vocab_size'),
      embeddingSize: wholeNumberIn(json, file, 'embedding_size'),
      hiddenSize: wholeNumberIn(json, file, 'hidden_size'),
      layers: wholeNumberIn(json, file, 'num_layers', MAX_LAYERS),
      dropout: json.dropout as number,
    };
    if (!fraction.accepts(config.dropout))
      throw new FormatError(file, undefined, `\`dropout\` to be ${fraction.expected}`, `${config.dropout}`);
    const vocabularyFile = join(folder, 'vocab.json');
    const vocabulary = CharacterVocabulary.fromJSON(await readJson(vocabularyFile), vocabularyFile);
    if (vocabulary.size !== config.vocabularySize) {
      throw new FormatError(
        vocabularyFile,
        undefined,
        `${config.vocabularySize} characters (config.json)`,
        `${vocabulary.size}`,
      );
    }
    const model = new LstmLanguageModel(vocabulary, config, backend ?? (await loadBackend()));
    await model.allocate();
    const { variables } = model.network.parameters.arena;
    for await (const [variable, values] of readParameters(join(folder, 'model.safetensors'), variables)) {
      await model.engine.write(variable, values);
    }
    return model;
  }

  /**
   * Writes `config.json`, `model.safetensors` (PyTorch names) and `vocab.json`. An old model in the folder is replaced whole or
   * not at all.
   * @throws FileError naming the file and what stood in the way.
   */
  async save(folder: string): Promise<void> {
    const { vocabularySize, embeddingSize, hiddenSize, layers, dropout } = this.network.config;
    await writeModelFolder(folder, {
      config: {
        model_type: MODEL_TYPE,
        vocab_size: vocabularySize,
        embedding_size: embeddingSize,
        hidden_size: hiddenSize,
        num_layers: layers,
        dropout,
      },
      vocabulary: this.vocabulary.toJSON(),
      parameters: await this.readParameters(),
    });
  }

  /**
   * Batches for training: the text as `batch` contiguous streams, `window` steps at a time, pass after pass without end.
   * @throws DataError for a character the vocabulary lacks or a text too short for one window.
   */
  *batches(text: string | Int32Array<ArrayBuffer>, options: WindowOptions = {}): Generator<Batch, void, undefined> {
    checkOptions('batches', options, windowRules);
    const { batch = 32, window = 64 } = options;
    for (const each of trainingWindows(this.#tokens(text), { batch, window })) yield toBatch(each, batch);
  }

  /**
   * The mean loss over a text, each stream predicted to its end; fewer streams than `batch` where the text is short.
   * @throws DataError for a character the vocabulary lacks or a text of fewer than two characters.
   */
  async evaluate(
    text: string | Int32Array<ArrayBuffer>,
    { signal, ...options }: WindowOptions & { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Evaluation> {
    checkOptions('evaluate', options, windowRules);
    const { batch = 32, window = 64 } = options;
    const tokens = this.#tokens(text);
    const rows = Math.max(1, Math.min(batch, Math.floor((tokens.length - 1) / window)));
    return evaluate(this, batchesOf(evaluationWindows(tokens, { batch: rows, window }), rows), { signal });
  }

  /**
   * Generates text, character by character. The same options give the same text on the same backend.
   * @throws OptionError, or DataError if the prompt has a character the vocabulary lacks.
   */
  async *generate(options: GenerateOptions = {}): AsyncGenerator<string, void, undefined> {
    checkOptions('generate', options, generateRules);
    const { prompt, length = 200, signal, ...sampling } = options;
    const sample = sampler(sampling);
    const start = prompt === undefined || prompt === '' ? Int32Array.of(0) : this.vocabulary.encode(prompt);
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
    const advance = (tokens: Int32Array): Promise<ArrayLike<number>> =>
      this.engine.use(async (session) => {
        await session.write(state.whole, carried);
        let logits: ArrayLike<number> = [];
        for (const token of tokens) ({ logits = [] } = await session.run(program, { tokens: [token] }));
        carried = Float32Array.from(await session.read(state.whole));
        return logits;
      });
    let logits = await advance(start);
    for (let index = 0; index < length && !signal?.aborted; index++) {
      const token = sample(logits);
      yield this.vocabulary.decode([token]);
      logits = await advance(Int32Array.of(token));
    }
  }

  /** All of {@link generate} as one string, without the prompt. */
  async generateText(options: GenerateOptions = {}): Promise<string> {
    let text = '';
    for await (const piece of this.generate(options)) text += piece;
    return text;
  }

  #tokens(text: string | Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
    return typeof text === 'string' ? this.vocabulary.encode(text) : text;
  }
}

const toBatch = ({ inputs, labels, steps, first }: Window, batch: number): Batch => ({
  inputs: { tokens: inputs, labels },
  time: steps,
  batch,
  labelCount: labels.length,
  first,
});

function* batchesOf(windows: Iterable<Window>, batch: number): Generator<Batch, void, undefined> {
  for (const window of windows) yield toBatch(window, batch);
}
