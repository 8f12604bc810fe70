/**
 * The layers of a transformer (Vaswani et al. 2017), batch-major: x is [B, T, C]. Parameters are called as Hugging Face calls those of BERT,
 * with normalisation before a sublayer as those of RoBERTa-PreLayerNorm.
 */
import type { Tensor } from '../graph/tensor.js';
import { attention } from '../ops/attention.js';
import { reshape } from '../ops/copy.js';
import { add, gelu, geluTanh, relu } from '../ops/elementwise.js';
import { layerNorm } from '../ops/layer-norm.js';
import { linear } from '../ops/matmul.js';
import { dropout } from '../ops/random.js';
import { sizeOf, type Variable } from '../program/variable.js';
import type { Activation, BertConfig } from './bert-config.js';
import { Linear } from './linear.js';
import type { Mode } from './mode.js';
import { constant, normally, type Scope } from './parameters.js';

export type TransformerConfig = Pick<
  BertConfig,
  | 'hiddenSize'
  | 'heads'
  | 'feedForwardSize'
  | 'activation'
  | 'dropout'
  | 'attentionDropout'
  | 'layerNormEpsilon'
  | 'initializerRange'
  | 'preNorm'
  | 'causal'
>;

export const activations: Readonly<Record<Activation, (x: Tensor) => Tensor>> = { gelu, gelu_new: geluTanh, relu };

/** Dropout of a rate in training, nothing in prediction. */
export class Dropout {
  readonly #stream: number;

  constructor(
    scope: Scope,
    readonly rate: number,
  ) {
    this.#stream = scope.nextStream();
  }

  forward(x: Tensor, mode: Mode): Tensor {
    const drawn = this.in(mode);
    return drawn === undefined ? x : dropout(x, this.rate, drawn.random, drawn.stream);
  }

  /** What an op that drops out by itself needs; undefined where nothing is dropped. */
  in({ random }: Mode): { readonly rate: number; readonly random: Tensor; readonly stream: number } | undefined {
    return random === undefined || this.rate === 0 ? undefined : { rate: this.rate, random, stream: this.#stream };
  }
}

/** Layer normalisation over the last axis. */
export class LayerNorm {
  readonly weight: Variable;
  readonly bias: Variable;

  constructor(
    scope: Scope,
    size: number,
    readonly epsilon: number,
  ) {
    this.weight = scope.parameter('weight', [size], constant(1));
    this.bias = scope.parameter('bias', [size], constant(0));
  }

  forward(x: Tensor): Tensor {
    const { graph } = x;
    const size = x.shape.at(-1) as number;
    const rows = reshape(x, [sizeOf(x.shape.slice(0, -1)), size]);
    const weights = { gain: graph.read(this.weight), bias: graph.read(this.bias) };
    return reshape(layerNorm(rows, weights, this.epsilon), x.shape);
  }
}

const QUERY_KEY_VALUE = ['query', 'key', 'value'] as const;

/** Attention of every position to all it may see; the projections to Q, K and V lie below each other, so that one product serves them. */
class SelfAttention {
  readonly #weight: Variable;
  readonly #bias: Variable;
  readonly #dropout: Dropout;

  constructor(
    scope: Scope,
    readonly config: TransformerConfig,
  ) {
    const { hiddenSize: C, initializerRange, attentionDropout } = config;
    const named = (parameter: string): string[] => QUERY_KEY_VALUE.map((name) => `${name}.${parameter}`);
    this.#weight = scope.joined(named('weight'), [C, C], normally(initializerRange));
    this.#bias = scope.joined(named('bias'), [C], constant(0));
    this.#dropout = new Dropout(scope, attentionDropout);
  }

  forward(x: Tensor, mask: Tensor | undefined, mode: Mode): Tensor {
    const { graph } = x;
    const { heads, causal } = this.config;
    const qkv = linear(x, graph.read(this.#weight), graph.read(this.#bias));
    return attention(qkv, { heads, mask, causal, dropout: this.#dropout.in(mode) });
  }
}

/**
 * One layer: attention, then a feed-forward network at each position, each added to what it started from.
 *
 *     h = norm(x + attention(x)), y = norm(h + feedForward(h))            as BERT
 *     h = x + attention(norm(x)), y = h + feedForward(norm(h))            preNorm (Xiong et al. 2020)
 */
export class TransformerLayer {
  readonly #attention: SelfAttention;
  readonly #projection: Linear;
  readonly #expansion: Linear;
  readonly #contraction: Linear;
  readonly #norms: readonly [attention: LayerNorm, feedForward: LayerNorm];
  readonly #dropouts: readonly [attention: Dropout, feedForward: Dropout];

  constructor(
    scope: Scope,
    readonly config: TransformerConfig,
  ) {
    const { hiddenSize: C, feedForwardSize: F, preNorm, dropout: rate, initializerRange: deviation } = config;
    const norm = (name: string): LayerNorm => new LayerNorm(scope.child(name), C, config.layerNormEpsilon);
    const dense = (name: string, inputSize: number, outputSize: number): Linear =>
      new Linear(scope.child(name), { inputSize, outputSize, deviation });
    this.#attention = new SelfAttention(scope.child('attention.self'), config);
    this.#projection = dense('attention.output.dense', C, C);
    const first = norm(preNorm ? 'attention.LayerNorm' : 'attention.output.LayerNorm');
    this.#expansion = dense('intermediate.dense', C, F);
    this.#contraction = dense('output.dense', F, C);
    this.#norms = [first, norm(preNorm ? 'intermediate.LayerNorm' : 'output.LayerNorm')];
    this.#dropouts = [new Dropout(scope, rate), new Dropout(scope, rate)];
  }

  /** @param mask [B, T] i32: nobody sees a position where it is 0 */
  forward(x: Tensor, mask: Tensor | undefined, mode: Mode): Tensor {
    const { graph } = x;
    const sublayer = (index: 0 | 1, input: Tensor, apply: (x: Tensor) => Tensor): Tensor => {
      const norm = this.#norms[index];
      const change = (from: Tensor): Tensor => this.#dropouts[index].forward(apply(from), mode);
      return this.config.preNorm ? add(input, change(norm.forward(input))) : norm.forward(add(input, change(input)));
    };
    const attended = graph.within('attention', () =>
      sublayer(0, x, (from) => this.#projection.forward(this.#attention.forward(from, mask, mode))),
    );
    return graph.within('feed_forward', () =>
      sublayer(1, attended, (from) => {
        const activate = activations[this.config.activation];
        return this.#contraction.forward(activate(this.#expansion.forward(from)));
      }),
    );
  }
}
