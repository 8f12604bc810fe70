/** Stacked, optionally bidirectional LSTM layers, with PyTorch's names, layout and initial distribution. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { concat, slice } from '../ops/copy.js';
import { type LstmOutputs, lstm } from '../ops/lstm.js';
import { dropout } from '../ops/random.js';
import { maskSteps } from '../ops/sequence.js';
import type { Variable } from '../program/variable.js';
import type { Mode } from './mode.js';
import { type Scope, within } from './parameters.js';

/** More than any use has: a number from a file or an option that is beyond it is a mistake, not a plan. */
export const MAX_LAYERS = 1000;

export interface LstmConfig {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  /** Default false. */
  readonly bidirectional?: boolean;
  /** Between layers, in training. Default 0. */
  readonly dropout?: number;
}

/** State of every layer and direction, in PyTorch's order: layer 0, layer 0 reverse, layer 1, … */
export interface LstmState {
  readonly h: readonly Tensor[];
  readonly c: readonly Tensor[];
}

export interface LstmResult {
  /** [T, B, directions · H] */
  readonly output: Tensor;
  readonly last: LstmState;
}

/** One layer in one direction. */
interface Direction {
  readonly name: string;
  readonly reverse: boolean;
  readonly inputWeight: Variable;
  readonly hiddenWeight: Variable;
  readonly inputBias: Variable;
  readonly hiddenBias: Variable;
}

const GATES = ['input_gate', 'forget_gate', 'candidate', 'output_gate'];

/** All weights and biases start uniform within 1 / √hiddenSize. */
export class Lstm {
  readonly directions: number;
  readonly #layers: readonly (readonly Direction[])[];
  readonly #streams: readonly number[];

  constructor(
    scope: Scope,
    readonly config: LstmConfig,
  ) {
    const { inputSize, hiddenSize: H, layers, bidirectional = false } = config;
    this.directions = bidirectional ? 2 : 1;
    const bound = within(1 / Math.sqrt(H));
    this.#layers = Array.from({ length: layers }, (_, layer) =>
      (bidirectional ? [false, true] : [false]).map((reverse): Direction => {
        const suffix = `l${layer}${reverse ? '_reverse' : ''}`;
        const width = layer === 0 ? inputSize : this.directions * H;
        return {
          name: `l${layer}${reverse ? '.reverse' : ''}`,
          reverse,
          inputWeight: scope.parameter(`weight_ih_${suffix}`, [4 * H, width], bound),
          hiddenWeight: scope.parameter(`weight_hh_${suffix}`, [4 * H, H], bound),
          inputBias: scope.parameter(`bias_ih_${suffix}`, [4 * H], bound),
          hiddenBias: scope.parameter(`bias_hh_${suffix}`, [4 * H], bound),
        };
      }),
    );
    this.#streams = this.#layers.map(() => scope.nextStream());
  }

  /**
   * Runs all layers over x [T, B, inputSize].
   * @param state initial states; zero when absent
   * @param lengths steps of each row, [B] i32
   */
  forward(x: Tensor, state: LstmState | undefined, lengths: Tensor | undefined, mode: Mode): LstmResult {
    const h: Tensor[] = [];
    const c: Tensor[] = [];
    let output = x;
    for (const [layer, directions] of this.#layers.entries()) {
      if (layer > 0 && mode.random !== undefined) {
        output = dropout(output, this.config.dropout ?? 0, mode.random, this.#streams[layer] as number);
      }
      const input = output;
      const results = directions.map((direction) =>
        x.graph.within(direction.name, () => {
          const h0 = state?.h[h.length];
          const c0 = state?.c[c.length];
          const result = this.#run(x.graph, input, direction, { h0, c0, lengths });
          h.push(result.hLast);
          c.push(result.cLast);
          return result.output;
        }),
      );
      output = results.length === 1 ? (results[0] as Tensor) : concat(results, 2);
    }
    return { output, last: { h, c } };
  }

  #run(
    graph: Graph,
    x: Tensor,
    { reverse, ...its }: Direction,
    options: { h0: Tensor | undefined; c0: Tensor | undefined; lengths: Tensor | undefined },
  ): LstmOutputs {
    const weights = {
      inputWeight: graph.read(its.inputWeight),
      hiddenWeight: graph.read(its.hiddenWeight),
      inputBias: graph.read(its.inputBias),
      hiddenBias: graph.read(its.hiddenBias),
    };
    const result = lstm(x, weights, { ...options, reverse });
    const { lengths } = options;
    const present = (values: Tensor): Tensor => (lengths === undefined ? values : maskSteps(values, lengths));
    const H = this.config.hiddenSize;
    for (const [gate, name] of GATES.entries()) {
      graph.probe(name, result.gates, (gates) => present(slice(gates, 2, gate * H, (gate + 1) * H)));
    }
    graph.probe('cell', result.cell, present);
    graph.probe('hidden', result.hidden, present);
    return result;
  }
}
