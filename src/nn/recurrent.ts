/**
 * Stacked, bidirectional recurrent layers over sequences, time-major [T, B, ·]. Names, layout and initial distribution of the parameters are
 * PyTorch's. RNN, GRU and LSTM, with a projection too, run as fused instructions; peepholes, layer normalisation, zoneout and a GRU that
 * resets before the product run as compositions, step by step.
 */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { broadcastRows } from '../ops/broadcast.js';
import { gruCell, lstmCell, rnnCell, zoneout } from '../ops/cells.js';
import { concat, full, reshape, slice } from '../ops/copy.js';
import { add, scaleBy, subtract } from '../ops/elementwise.js';
import { Lookup } from '../ops/embedding.js';
import { gru } from '../ops/gru.js';
import { layerNorm } from '../ops/layer-norm.js';
import { lstm } from '../ops/lstm.js';
import { linear } from '../ops/matmul.js';
import { dropout } from '../ops/random.js';
import type { SequenceOptions } from '../ops/recurrence.js';
import { rnn } from '../ops/rnn.js';
import { maskSteps, maxSteps, meanSteps } from '../ops/sequence.js';
import { type Cell, unroll } from '../ops/unroll.js';
import { checkOptions, finite, fraction, OptionError, oneOf, wholeNumber, yesOrNo } from '../program/options.js';
import { Arena, type Variable } from '../program/variable.js';
import { dropoutSteps } from './dropout.js';
import type { Mode } from './mode.js';
import { constant, type Scope, within } from './parameters.js';

/** More than any use has: a number from a file or an option that is beyond it is a mistake, not a plan. */
export const MAX_LAYERS = 1000;

export type RecurrentKind = 'rnn' | 'lstm' | 'gru';

export interface RecurrentConfig {
  readonly kind: RecurrentKind;
  readonly inputSize: number;
  readonly hiddenSize: number;
  /** Default 1. */
  readonly layers?: number | undefined;
  /** Default false. */
  readonly bidirectional?: boolean | undefined;
  /** Of an RNN. Default tanh. */
  readonly nonlinearity?: 'tanh' | 'relu' | undefined;
  /** Of a GRU: the reset gate acts before the recurrent product, as Keras has it with `reset_after=False`. Default false. */
  readonly resetBefore?: boolean | undefined;
  /** Of an LSTM: the hidden state is projected to so many elements; 0, the default, for none. */
  readonly projectionSize?: number | undefined;
  /** Of an LSTM: its gates see the cell. Default false. */
  readonly peepholes?: boolean | undefined;
  /** Of an LSTM: layer normalisation of what the gates are summed from, and of the cell. Default false. */
  readonly layerNorm?: boolean | undefined;
  /** Between layers, in training. Default 0. */
  readonly dropout?: number | undefined;
  /** One mask of `dropout` for all steps of a row. Default false. */
  readonly variationalDropout?: boolean | undefined;
  /** Of the recurrent weights, in training: one mask for all steps (DropConnect; Merity, Keskar & Socher 2018). Default 0. */
  readonly recurrentDropout?: number | undefined;
  /** Probability that a unit keeps its hidden state for a step, in training (Krueger et al. 2017). Default 0. */
  readonly zoneout?: number | undefined;
  /** The same of the cells of an LSTM. Default 0. */
  readonly cellZoneout?: number | undefined;
  /** Initial states are parameters, zero at first, and used where none are given. Default false. */
  readonly learnedInitialState?: boolean | undefined;
  /** Of an LSTM: added to the initial bias of the forget gate. Default 0. */
  readonly forgetBias?: number | undefined;
}

/** State of every layer and direction, in PyTorch's order: layer 0, layer 0 reverse, layer 1, … Only LSTMs have cells. */
export interface RecurrentState {
  readonly h: readonly Tensor[];
  readonly c: readonly Tensor[];
}

export interface RecurrentInputs extends Omit<SequenceOptions, 'reverse'> {
  /** Initial states; the learned ones or zero when absent. */
  readonly state?: RecurrentState | undefined;
}

export interface RecurrentResult {
  /** [T, B, outputSize], 0 at padded steps. */
  readonly output: Tensor;
  /** At each row's own end; that of a reverse direction at its beginning. */
  readonly last: RecurrentState;
  /** The last hidden state of the highest layer, its directions side by side, [B, outputSize]. */
  readonly summary: Tensor;
  /** The state after so many steps, from which an overlapping window goes on. Not for bidirectional networks. */
  stateAfter(steps: number): RecurrentState;
}

const rules = {
  kind: oneOf('rnn', 'lstm', 'gru'),
  inputSize: wholeNumber(1),
  hiddenSize: wholeNumber(1),
  layers: wholeNumber(1, MAX_LAYERS),
  bidirectional: yesOrNo,
  nonlinearity: oneOf('tanh', 'relu'),
  resetBefore: yesOrNo,
  projectionSize: wholeNumber(0),
  peepholes: yesOrNo,
  layerNorm: yesOrNo,
  dropout: fraction,
  variationalDropout: yesOrNo,
  recurrentDropout: fraction,
  zoneout: fraction,
  cellZoneout: fraction,
  learnedInitialState: yesOrNo,
  forgetBias: finite,
};

/** Options that only one kind has. */
const OWN: Readonly<Record<string, RecurrentKind>> = {
  nonlinearity: 'rnn',
  resetBefore: 'gru',
  projectionSize: 'lstm',
  peepholes: 'lstm',
  layerNorm: 'lstm',
  cellZoneout: 'lstm',
  forgetBias: 'lstm',
};

/** The variable that is 0 before the first step, 1 afterwards. */
const BEGUN = 'begun';

/** Blocks of rows in a weight. */
const GATES = { rnn: 1, gru: 3, lstm: 4 } as const;
const GATE_NAMES = {
  rnn: [],
  gru: ['reset_gate', 'update_gate', 'candidate'],
  lstm: ['input_gate', 'forget_gate', 'candidate', 'output_gate'],
} as const;

/** @throws OptionError naming the option, what was expected and what came. */
export function checkRecurrent(config: RecurrentConfig): void {
  checkOptions('Recurrent', config, rules);
  for (const [name, kind] of Object.entries(OWN)) {
    const value = config[name as keyof RecurrentConfig];
    if (value !== undefined && value !== false && value !== 0 && config.kind !== kind)
      throw new OptionError(`Recurrent: Expected \`${name}\` only with kind ${kind} but received kind ${config.kind}`);
  }
  const { projectionSize = 0, hiddenSize } = config;
  if (projectionSize >= hiddenSize && projectionSize > 0)
    throw new OptionError(
      `Recurrent: Expected \`projectionSize\` to be below hiddenSize ${hiddenSize} but received ${projectionSize}`,
    );
}

/** One layer in one direction. */
interface Direction {
  readonly name: string;
  readonly reverse: boolean;
  readonly inputWeight: Variable;
  readonly hiddenWeight: Variable;
  readonly inputBias: Variable;
  readonly hiddenBias: Variable;
  readonly projection: Variable | undefined;
  readonly peepholes: Readonly<Record<'input' | 'forget' | 'output', Variable>> | undefined;
  readonly norms: Readonly<Record<'input' | 'hidden' | 'cell', Norm>> | undefined;
  /** Learned initial states: h₀, and c₀ of an LSTM. */
  readonly initial: readonly Variable[];
  /** Random streams of the recurrent dropout, and of zoneout of h and c. */
  readonly streams: readonly [weights: number, h: number, c: number];
}

interface Norm {
  readonly weight: Variable;
  readonly bias: Variable;
}

/** What one layer in one direction gives. */
interface Run {
  readonly output: Tensor;
  readonly last: readonly Tensor[];
  /** The state after a step of this direction's time, [B, ·] each. */
  readonly stateAfter: (steps: number) => readonly Tensor[];
}

export class Recurrent {
  readonly directions: number;
  /** Width of the output: directions · (projectionSize or hiddenSize). */
  readonly outputSize: number;
  /** Width of each state of a layer and direction: h, and c of an LSTM. */
  readonly #widths: readonly number[];
  readonly #layers: readonly (readonly Direction[])[];
  readonly #streams: readonly number[];

  /** @throws OptionError */
  constructor(
    scope: Scope,
    readonly config: RecurrentConfig,
  ) {
    checkRecurrent(config);
    const { kind, hiddenSize: H, projectionSize = 0, layers = 1, bidirectional = false } = config;
    const width = projectionSize > 0 ? projectionSize : H;
    this.directions = bidirectional ? 2 : 1;
    this.outputSize = this.directions * width;
    this.#widths = kind === 'lstm' ? [width, H] : [width];
    this.#layers = Array.from({ length: layers }, (_, layer) =>
      (bidirectional ? [false, true] : [false]).map((reverse) => this.#direction(scope, layer, reverse)),
    );
    this.#streams = this.#layers.map(() => scope.nextStream());
  }

  #direction(scope: Scope, layer: number, reverse: boolean): Direction {
    const { kind, inputSize, hiddenSize: H, forgetBias = 0, learnedInitialState = false } = this.config;
    const suffix = `l${layer}${reverse ? '_reverse' : ''}`;
    const rows = GATES[kind] * H;
    const [width = H] = this.#widths;
    const bound = within(1 / Math.sqrt(H));
    const norm = (name: string, size: number): Norm => ({
      weight: scope.parameter(`norm_${name}_${suffix}.weight`, [size], constant(1)),
      bias: scope.parameter(`norm_${name}_${suffix}.bias`, [size], constant(0)),
    });
    const own = (name: string, shape: readonly number[]): Variable =>
      scope.parameter(`${name}_${suffix}`, shape, bound);
    return {
      name: `l${layer}${reverse ? '.reverse' : ''}`,
      reverse,
      inputWeight: own('weight_ih', [rows, layer === 0 ? inputSize : this.outputSize]),
      hiddenWeight: own('weight_hh', [rows, width]),
      inputBias: scope.parameter(
        `bias_ih_${suffix}`,
        [rows],
        forgetBias === 0 ? bound : { ...bound, plus: { from: H, to: 2 * H, value: forgetBias } },
      ),
      hiddenBias: own('bias_hh', [rows]),
      projection: this.config.projectionSize ? own('weight_hr', [width, H]) : undefined,
      peepholes: this.config.peepholes
        ? { input: own('weight_ci', [H]), forget: own('weight_cf', [H]), output: own('weight_co', [H]) }
        : undefined,
      norms: this.config.layerNorm
        ? { input: norm('ih', rows), hidden: norm('hh', rows), cell: norm('c', H) }
        : undefined,
      initial: learnedInitialState
        ? this.#widths.map((size, index) => scope.parameter(`${'hc'[index]}0_${suffix}`, [size], constant(0)))
        : [],
      streams: [scope.nextStream(), scope.nextStream(), scope.nextStream()],
    };
  }

  /**
   * An arena for states that `batch` rows carry: `h.0`, for an LSTM `c.0`, `h.1`, …, in PyTorch's order; and with learned initial states
   * `begun`. An arena of zeros is the state before the first step.
   */
  stateArena(name: string, batch: number): Arena {
    const arena = new Arena(name);
    for (const index of this.#layers.flat().keys()) {
      for (const [part, width] of this.#widths.entries()) arena.add(`${'hc'[part]}.${index}`, [batch, width]);
    }
    if (this.config.learnedInitialState) arena.add(BEGUN, [1]);
    return arena;
  }

  /** The state an arena holds: the learned one before the first step, else what was carried. */
  readState(graph: Graph, arena: Arena): RecurrentState {
    const begun = this.config.learnedInitialState ? graph.read(arena.get(BEGUN)) : undefined;
    const fresh = begun && subtract(full(graph, [1], 1), begun);
    const states = this.#layers.flat().map(({ initial }, index) =>
      this.#widths.map((_, part) => {
        const carried = graph.read(arena.get(`${'hc'[part]}.${index}`));
        const learned = initial[part];
        if (fresh === undefined || learned === undefined) return carried; // 0 before the first step
        return add(carried, scaleBy(broadcastRows(graph.read(learned), carried.shape[0] as number), fresh));
      }),
    );
    return { h: states.map(([h]) => h as Tensor), c: states.flatMap(([, c]) => c ?? []) };
  }

  /** The tensors of a state in the order of the variables of {@link stateArena}: their new values. */
  flatten({ h, c }: RecurrentState): Tensor[] {
    const states = h.flatMap((tensor, index) => [tensor, ...c.slice(index, index + 1)]);
    return this.config.learnedInitialState ? [...states, full((h[0] as Tensor).graph, [1], 1)] : states;
  }

  /**
   * Runs all layers over x [T, B, inputSize]. What stands at padded steps of x does not matter.
   * @throws ShapeError
   */
  forward(x: Tensor | Lookup, { state, lengths, resets }: RecurrentInputs, mode: Mode): RecurrentResult {
    const { dropout: rate = 0, variationalDropout: variational = false } = this.config;
    const runs: Run[] = [];
    // What stands at padded steps may be NaN, which a gradient of 0 does not silence; a row of a table is a number.
    let output = lengths === undefined || x instanceof Lookup ? x : maskSteps(x, lengths);
    for (const [layer, directions] of this.#layers.entries()) {
      if (layer > 0) output = dropoutSteps(output, { rate, variational }, mode, this.#streams[layer] as number);
      const input = output;
      const results = directions.map((direction) =>
        x.graph.within(direction.name, () => {
          const [h0, c0] = [state?.h[runs.length], state?.c[runs.length]];
          const initial = this.#initial(x, direction, [h0, c0]);
          const result = this.#run(input, direction, initial, { lengths, resets, reverse: direction.reverse }, mode);
          runs.push(result);
          return result.output;
        }),
      );
      output = results.length === 1 ? (results[0] as Tensor) : concat(results, 2);
    }
    const stateOf = (its: (run: Run) => readonly Tensor[]): RecurrentState => ({
      h: runs.map((run) => its(run)[0] as Tensor),
      c: this.config.kind === 'lstm' ? runs.map((run) => its(run)[1] as Tensor) : [],
    });
    const last = stateOf((run) => run.last);
    const top = last.h.slice(-this.directions);
    return {
      output: output as Tensor,
      last,
      summary: top.length === 1 ? (top[0] as Tensor) : concat(top, 1),
      stateAfter: (steps) => {
        if (this.directions > 1)
          throw new OptionError('Recurrent: Expected one direction to go on from a state but there are 2');
        return stateOf((run) => run.stateAfter(steps));
      },
    };
  }

  /** Initial states as given, as learned, or absent for zeros. */
  #initial(x: Tensor | Lookup, { initial }: Direction, given: readonly (Tensor | undefined)[]): (Tensor | undefined)[] {
    return this.#widths.map((_, index) => {
      const learned = initial[index];
      return given[index] ?? (learned && broadcastRows(x.graph.read(learned), x.shape[1] as number));
    });
  }

  #run(
    x: Tensor | Lookup,
    direction: Direction,
    initial: readonly (Tensor | undefined)[],
    options: SequenceOptions,
    mode: Mode,
  ): Run {
    const { resetBefore, peepholes, layerNorm: norms, zoneout: rate = 0, cellZoneout = 0 } = this.config;
    const isComposed = resetBefore || peepholes || norms || rate > 0 || cellZoneout > 0;
    return isComposed
      ? this.#runSteps(x, direction, initial, options, mode)
      : this.#runFused(x, direction, initial, options, mode);
  }

  #weights(graph: Graph, its: Direction, { random }: Mode) {
    const { recurrentDropout = 0 } = this.config;
    const hiddenWeight = graph.read(its.hiddenWeight);
    return {
      inputWeight: graph.read(its.inputWeight),
      hiddenWeight:
        random === undefined ? hiddenWeight : dropout(hiddenWeight, recurrentDropout, random, its.streams[0]),
      inputBias: graph.read(its.inputBias),
      hiddenBias: graph.read(its.hiddenBias),
      projection: its.projection && graph.read(its.projection),
    };
  }

  #runFused(
    x: Tensor | Lookup,
    direction: Direction,
    [h0, c0]: readonly (Tensor | undefined)[],
    options: SequenceOptions,
    mode: Mode,
  ): Run {
    const { kind, nonlinearity } = this.config;
    const weights = this.#weights(x.graph, direction, mode);
    if (kind === 'lstm') {
      const { output, hidden, cell, gates, hLast, cLast } = lstm(x, weights, { ...options, h0, c0 });
      this.#probe(options, gates, { cell, hidden });
      return { output, last: [hLast, cLast], stateAfter: stateAt([hidden, cell], [hLast, cLast]) };
    }
    if (kind === 'gru') {
      const { output, hidden, gates, hLast } = gru(x, weights, { ...options, h0 });
      this.#probe(options, gates, { hidden });
      return { output, last: [hLast], stateAfter: stateAt([hidden], [hLast]) };
    }
    const { output, hidden, hLast } = rnn(x, weights, { ...options, h0, nonlinearity });
    this.#probe(options, undefined, { hidden });
    return { output, last: [hLast], stateAfter: stateAt([hidden], [hLast]) };
  }

  /** Offers gates, cells and hidden states for inspection, 0 at padded steps. */
  #probe({ lengths }: SequenceOptions, gates: Tensor | undefined, states: Readonly<Record<string, Tensor>>): void {
    const H = this.config.hiddenSize;
    const present = (values: Tensor): Tensor => (lengths === undefined ? values : maskSteps(values, lengths));
    for (const [index, name] of gates === undefined ? [] : GATE_NAMES[this.config.kind].entries()) {
      gates?.graph.probe(name, gates, (all) => present(slice(all, 2, index * H, (index + 1) * H)));
    }
    for (const [name, tensor] of Object.entries(states)) tensor.graph.probe(name, tensor, present);
  }

  /** The rarer cells, step by step. */
  #runSteps(
    x: Tensor | Lookup,
    direction: Direction,
    initial: readonly (Tensor | undefined)[],
    options: SequenceOptions,
    mode: Mode,
  ): Run {
    const { graph } = x;
    const [T = 0, B = 0] = x.shape;
    const { inputWeight, inputBias, ...weights } = this.#weights(graph, direction, mode);
    const { zoneout: rate = 0, cellZoneout = 0 } = this.config;
    const { norms } = direction;
    const projected = linear(x, inputWeight, inputBias);
    const input = norms === undefined ? projected : normalised(projected, norms.input);
    const plain = this.#cell(graph, direction, weights);
    const zones = { rates: [rate, cellZoneout], random: mode.random, streams: direction.streams.slice(1) };
    const start = this.#widths.map((width, index) => initial[index] ?? full(graph, [B, width], 0));
    const { output, last, states } = unroll(zoneout(plain, T, zones), input, start as [Tensor, ...Tensor[]], options);
    return { output, last, stateAfter: (steps) => (steps === 0 ? start : (states[steps - 1] as readonly Tensor[])) };
  }

  #cell(
    graph: Graph,
    { peepholes, norms }: Direction,
    weights: { readonly hiddenWeight: Tensor; readonly hiddenBias: Tensor; readonly projection: Tensor | undefined },
  ): Cell {
    const { kind, nonlinearity, resetBefore = false } = this.config;
    if (kind === 'rnn') return rnnCell(weights, nonlinearity);
    if (kind === 'gru') return gruCell(weights, { resetBefore });
    const norm = ({ weight, bias }: Norm) => ({ gain: graph.read(weight), bias: graph.read(bias) });
    return lstmCell({
      ...weights,
      peepholes: peepholes && {
        input: graph.read(peepholes.input),
        forget: graph.read(peepholes.forget),
        output: graph.read(peepholes.output),
      },
      norms: norms && { hidden: norm(norms.hidden), cell: norm(norms.cell) },
    });
  }
}

/** The state after so many steps of the forward direction, from its states after each step [T, B, ·] and its last. */
const stateAt =
  (sequences: readonly Tensor[], last: readonly Tensor[]) =>
  (steps: number): Tensor[] =>
    sequences.map((sequence, index) => {
      const [T = 0, ...state] = sequence.shape;
      return steps === T ? (last[index] as Tensor) : reshape(slice(sequence, 0, steps - 1, steps), state);
    });

/** Layer normalisation of every step of x [T, B, C]. */
function normalised(x: Tensor, { weight, bias }: Norm): Tensor {
  const [T = 0, B = 0, C = 0] = x.shape;
  const { graph } = x;
  return reshape(layerNorm(reshape(x, [T * B, C]), { gain: graph.read(weight), bias: graph.read(bias) }), x.shape);
}

/** One vector for each row of a sequence, [B, outputSize]: its last state, or the mean or maximum over its steps. */
export function pool(kind: 'last' | 'mean' | 'max', { output, summary }: RecurrentResult, lengths?: Tensor): Tensor {
  if (kind === 'last') return summary;
  return kind === 'mean' ? meanSteps(output, lengths) : maxSteps(output, lengths);
}
