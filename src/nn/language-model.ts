/** A recurrent language model: embedding → recurrent layers → linear head over the vocabulary. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { reshape, slice } from '../ops/copy.js';
import { crossEntropy } from '../ops/cross-entropy.js';
import { add, divideBy, mul, scale, subtract } from '../ops/elementwise.js';
import type { Lookup } from '../ops/embedding.js';
import { sum } from '../ops/reduce.js';
import { OptionError } from '../program/options.js';
import type { Arena } from '../program/variable.js';
import { dropoutSteps } from './dropout.js';
import { Embedding } from './embedding.js';
import { Linear } from './linear.js';
import type { Mode } from './mode.js';
import { Parameters } from './parameters.js';
import { Recurrent, type RecurrentConfig } from './recurrent.js';

/** `dropout` acts on the embedded tokens, between layers and before the head; with `variationalDropout` one mask serves all steps. */
export interface LanguageModelConfig extends Omit<RecurrentConfig, 'inputSize' | 'bidirectional'> {
  /** Tokens of the vocabulary. */
  readonly vocabularySize: number;
  readonly embeddingSize: number;
  /** The head's weight is the embedding's (Press & Wolf 2017): embeddingSize must be the width of the hidden state. Default false. */
  readonly tiedWeights?: boolean | undefined;
  /** ε of the training loss. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Times the mean square of the last layer's dropped output, for each label (Merity, McCann & Socher 2017: α). Default 0. */
  readonly activationRegularisation?: number | undefined;
  /** Times the mean square of the change of the last layer's output from step to step, for each label (the same: β). Default 0. */
  readonly temporalActivationRegularisation?: number | undefined;
}

/** What a window of text is traced with. */
export interface WindowShape {
  /** Steps, T. */
  readonly time: number;
  /** Rows, B. */
  readonly batch: number;
  /** The next window goes on from the state after so many steps; after all of them when absent. */
  readonly carry?: number | undefined;
  /** Whether there is an input `resets` [T, B]: rows that start anew. */
  readonly resets?: boolean | undefined;
}

interface Traced {
  readonly logits: Tensor;
  readonly next: Tensor[];
  /** [T, B, H], before and after dropout. */
  readonly output: Tensor;
  readonly dropped: Tensor;
}

export class LanguageModelNetwork {
  readonly parameters = new Parameters();
  readonly #embedding: Embedding;
  readonly #recurrent: Recurrent;
  readonly #head: Linear;
  readonly #streams: readonly [embedded: number, output: number];

  /** @throws OptionError */
  constructor(readonly config: LanguageModelConfig) {
    const { vocabularySize, embeddingSize, tiedWeights = false } = config;
    const { labelSmoothing, activationRegularisation, temporalActivationRegularisation, ...rest } = config;
    const { vocabularySize: _v, embeddingSize: _e, tiedWeights: _t, ...recurrent } = rest;
    const { scope } = this.parameters;
    this.#embedding = new Embedding(scope.child('embedding'), { count: vocabularySize, size: embeddingSize });
    this.#recurrent = new Recurrent(scope.child(config.kind), { ...recurrent, inputSize: embeddingSize });
    const { outputSize: inputSize } = this.#recurrent;
    if (tiedWeights && inputSize !== embeddingSize)
      throw new OptionError(
        `LanguageModel: Expected \`embeddingSize\` to be ${inputSize}, the width of the hidden state, as the weights are tied, but received ${embeddingSize}`,
      );
    this.#head = new Linear(scope.child('head'), {
      inputSize,
      outputSize: vocabularySize,
      ...(tiedWeights && { weight: this.#embedding.weight }),
    });
    this.#streams = [scope.nextStream(), scope.nextStream()];
  }

  /** An arena for the state that `batch` rows carry from window to window: `h.0`, `c.0`, `h.1`, … each [batch, ·]. */
  stateArena(name: string, batch: number): Arena {
    return this.#recurrent.stateArena(name, batch);
  }

  /**
   * Traces the logits [T · B, V] of one window. Reads the input `tokens` [T, B], with `shape.resets` also `resets` [T, B], and the state;
   * `next` holds the state's new values, in the order of its variables.
   */
  logits(graph: Graph, shape: WindowShape, state: Arena, mode: Mode): { logits: Tensor; next: Tensor[] } {
    return this.#trace(graph, shape, state, mode);
  }

  #trace(graph: Graph, { time, batch, carry = time, resets }: WindowShape, state: Arena, mode: Mode): Traced {
    const { dropout: rate = 0, variationalDropout: variational = false, kind } = this.config;
    const drop = <X extends Tensor | Lookup>(x: X, stream: number): X | Tensor =>
      dropoutSteps(x, { rate, variational }, mode, stream);
    const tokens = graph.input('tokens', [time, batch], 'i32');
    const embedded = graph.within('embedding', () => drop(this.#embedding.lookUp(tokens), this.#streams[0]));
    const inputs = {
      state: this.#recurrent.readState(graph, state),
      resets: resets ? graph.input('resets', [time, batch], 'i32') : undefined,
    };
    const { output, stateAfter } = graph.within(kind, () => this.#recurrent.forward(embedded, inputs, mode));
    const dropped = drop(output, this.#streams[1]);
    const logits = graph.within('head', () => this.#head.forward(dropped));
    return {
      logits: reshape(logits, [time * batch, this.config.vocabularySize]),
      next: this.#recurrent.flatten(stateAfter(carry)),
      output,
      dropped,
    };
  }

  /**
   * Traces the loss [1] of one window: as {@link logits}, and the input `labels` [T · B], summed and divided by `denominator` [1]. In
   * training `penalty` [1] is what activation regularisation adds to it.
   */
  loss(
    graph: Graph,
    shape: WindowShape,
    state: Arena,
    denominator: Tensor,
    mode: Mode,
  ): { loss: Tensor; next: Tensor[]; penalty: Tensor | undefined } {
    const { logits, next, output, dropped } = this.#trace(graph, shape, state, mode);
    const labels = graph.input('labels', [shape.time * shape.batch], 'i32');
    const isTraining = mode.random !== undefined;
    const { labelSmoothing = 0 } = this.config;
    const smoothing = isTraining ? { labelSmoothing } : {};
    return {
      loss: graph.within('loss', () => crossEntropy(logits, labels, denominator, smoothing)),
      next,
      penalty: isTraining ? graph.within('penalty', () => this.#penalty(output, dropped, denominator)) : undefined,
    };
  }

  /** α · Σ dropped² / (H · denominator) + β · Σ (h_t − h_{t−1})² / (H · denominator). */
  #penalty(output: Tensor, dropped: Tensor, denominator: Tensor): Tensor | undefined {
    const { activationRegularisation: alpha = 0, temporalActivationRegularisation: beta = 0 } = this.config;
    const [T = 0, , H = 1] = output.shape;
    const meanSquare = (x: Tensor, factor: number): Tensor => divideBy(scale(sum(mul(x, x)), factor / H), denominator);
    const change = (): Tensor => subtract(slice(output, 0, 1, T), slice(output, 0, 0, T - 1));
    const ar = alpha === 0 ? undefined : meanSquare(dropped, alpha);
    const tar = beta === 0 || T < 2 ? undefined : meanSquare(change(), beta);
    return ar && tar ? add(ar, tar) : (ar ?? tar);
  }
}
