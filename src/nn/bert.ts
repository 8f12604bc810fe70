/** BERT (Devlin et al. 2019): embeddings, transformer layers, pooler, and the head that finds masked tokens. Names are Hugging Face's. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { addToRows } from '../ops/broadcast.js';
import { reshape, slice } from '../ops/copy.js';
import type { CrossEntropyOptions } from '../ops/cross-entropy.js';
import { add, tanh } from '../ops/elementwise.js';
import { linearCrossEntropy } from '../ops/linear-cross-entropy.js';
import { linear } from '../ops/matmul.js';
import type { Variable } from '../program/variable.js';
import type { BertConfig } from './bert-config.js';
import { Embedding } from './embedding.js';
import { Linear } from './linear.js';
import type { Mode } from './mode.js';
import { constant, type Scope } from './parameters.js';
import { activations, Dropout, LayerNorm, TransformerLayer } from './transformer.js';

/** Tensors of integers [B, T]. */
export interface BertInputs {
  readonly tokens: Tensor;
  /** The segment of each token; needed where the configuration has `tokenTypes`. */
  readonly types?: Tensor | undefined;
  /** 1 where there is a token; absent where there is one everywhere. */
  readonly mask?: Tensor | undefined;
  /** The tokens that learn from being here, −1 at others. Default: `tokens`. */
  readonly learnt?: Tensor | undefined;
}

/** Word, position and segment, summed and normalised. */
class BertEmbeddings {
  readonly words: Embedding;
  readonly #positions: Embedding;
  readonly #types: Embedding | undefined;
  readonly #norm: LayerNorm;
  readonly #dropout: Dropout;

  constructor(scope: Scope, config: BertConfig) {
    const { vocabularySize, maxPositions, tokenTypes, hiddenSize: size, initializerRange: deviation } = config;
    const table = (name: string, count: number): Embedding =>
      new Embedding(scope.child(name), { count, size, deviation });
    this.words = table('word_embeddings', vocabularySize);
    this.#positions = table('position_embeddings', maxPositions);
    this.#types = tokenTypes === 0 ? undefined : table('token_type_embeddings', tokenTypes);
    this.#norm = new LayerNorm(scope.child('LayerNorm'), size, config.layerNormEpsilon);
    this.#dropout = new Dropout(scope, config.dropout);
  }

  forward({ tokens, types, learnt }: BertInputs, mode: Mode): Tensor {
    const { graph } = tokens;
    const [B, T] = tokens.shape as [number, number];
    const words = this.words.forward(tokens, learnt);
    const typed = this.#types === undefined ? words : add(words, this.#types.forward(types as Tensor));
    const positions = slice(graph.read(this.#positions.weight), 0, 0, T);
    const placed = addToRows(reshape(typed, [B, positions.elements]), reshape(positions, [positions.elements]));
    return this.#dropout.forward(this.#norm.forward(reshape(placed, words.shape)), mode);
  }
}

/** The encoder; with a pooler a vector for a whole sequence too. */
export class Bert {
  readonly #embeddings: BertEmbeddings;
  readonly #layers: readonly TransformerLayer[];
  readonly #norm: LayerNorm | undefined;
  readonly #pooler: Linear | undefined;

  constructor(
    scope: Scope,
    readonly config: BertConfig,
    { pooler = false }: { readonly pooler?: boolean } = {},
  ) {
    const { hiddenSize: size, initializerRange: deviation } = config;
    this.#embeddings = new BertEmbeddings(scope.child('embeddings'), config);
    this.#layers = Array.from(
      { length: config.layers },
      (_, index) => new TransformerLayer(scope.child(`encoder.layer.${index}`), config),
    );
    this.#norm = config.preNorm ? new LayerNorm(scope.child('LayerNorm'), size, config.layerNormEpsilon) : undefined;
    this.#pooler = pooler
      ? new Linear(scope.child('pooler.dense'), { inputSize: size, outputSize: size, deviation })
      : undefined;
  }

  /** The table of the words [V, C], which heads share. */
  get words(): Variable {
    return this.#embeddings.words.weight;
  }

  /** The hidden states of the last layer [B, T, C]. */
  forward(graph: Graph, inputs: BertInputs, mode: Mode): Tensor {
    let x = graph.within('embeddings', () => this.#embeddings.forward(inputs, mode));
    for (const [index, layer] of this.#layers.entries()) {
      x = graph.within(`layer.${index}`, () => layer.forward(x, inputs.mask, mode));
    }
    return this.#norm?.forward(x) ?? x;
  }

  /** tanh of a projection of each sequence's first position, [B, C]. */
  pool(hidden: Tensor): Tensor {
    const pooler = this.#pooler;
    if (pooler === undefined) throw new Error('BERT: Expected a pooler but this encoder has none');
    const [B, , C] = hidden.shape as [number, number, number];
    return hidden.graph.within('pooler', () => tanh(pooler.forward(reshape(slice(hidden, 1, 0, 1), [B, C]))));
  }
}

/** Logits over the vocabulary from hidden states: a projection, and the words' own table (tied weights). */
export class LanguageModelHead {
  readonly #bias: Variable;
  readonly #transform: Linear;
  readonly #norm: LayerNorm;

  constructor(
    scope: Scope,
    readonly config: Pick<
      BertConfig,
      'vocabularySize' | 'hiddenSize' | 'activation' | 'layerNormEpsilon' | 'initializerRange'
    >,
    readonly words: Variable,
  ) {
    const { hiddenSize: size, initializerRange: deviation, layerNormEpsilon } = config;
    const child = scope.child('transform');
    this.#bias = scope.parameter('bias', [config.vocabularySize], constant(0));
    this.#transform = new Linear(child.child('dense'), { inputSize: size, outputSize: size, deviation });
    this.#norm = new LayerNorm(child.child('LayerNorm'), size, layerNormEpsilon);
  }

  /** Logits [N, V] of rows [N, C]. */
  logits(rows: Tensor): Tensor {
    const { weight, bias } = this.#decoder(rows.graph);
    return linear(this.#transformed(rows), weight, bias);
  }

  /** The loss [1] of rows [N, C] against labels [N], the same as the cross-entropy of the logits. */
  loss(rows: Tensor, labels: Tensor, denominator: Tensor, options?: CrossEntropyOptions): Tensor {
    return linearCrossEntropy(this.#transformed(rows), this.#decoder(rows.graph), labels, denominator, options);
  }

  #transformed(rows: Tensor): Tensor {
    return this.#norm.forward(activations[this.config.activation](this.#transform.forward(rows)));
  }

  #decoder(graph: Graph): { readonly weight: Tensor; readonly bias: Tensor } {
    return { weight: graph.read(this.words), bias: graph.read(this.#bias) };
  }
}

/** A dropout and a linear layer: logits of vectors [N, C]. */
export class ClassifierHead {
  readonly #dropout: Dropout;
  readonly #linear: Linear;

  constructor(
    scope: Scope,
    {
      dropout,
      classifierDropout = dropout,
      hiddenSize: inputSize,
      initializerRange: deviation,
    }: Pick<BertConfig, 'dropout' | 'classifierDropout' | 'hiddenSize' | 'initializerRange'>,
    outputSize: number,
  ) {
    this.#dropout = new Dropout(scope, classifierDropout);
    this.#linear = new Linear(scope.child('classifier'), { inputSize, outputSize, deviation });
  }

  forward(x: Tensor, mode: Mode): Tensor {
    return x.graph.within('classifier', () => this.#linear.forward(this.#dropout.forward(x, mode)));
  }
}
