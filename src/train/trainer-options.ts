/** What a trainer can be told, and what it takes. */
import type { ParameterGroup, ParameterGroups } from '../optim/groups.js';
import type { OptimizerOptions } from '../optim/optimizer.js';
import { type Dtype, dtypes } from '../program/dtype.js';
import {
  above,
  aFunction,
  anything,
  atLeast,
  checkOptions,
  either,
  fraction,
  OptionError,
  oneOf,
  type Rule,
  wholeNumber,
} from '../program/options.js';

export interface TrainerOptions {
  /** Step size, or a function of the step (from 1). Default 1e-3. */
  readonly learningRate?: number | ((step: number) => number);
  /** Decoupled weight decay (L2 for SGD). Default 0.01. */
  readonly weightDecay?: number;
  /** Largest global gradient norm; Infinity switches clipping off. Default 1; with `clipValue` Infinity. */
  readonly clipNorm?: number;
  /** Largest magnitude of an element of a gradient, limited before the norm is. Default Infinity. */
  readonly clipValue?: number;
  /** Default AdamW. */
  readonly optimizer?: OptimizerOptions;
  /** Parameters that decay, learn or stay differently. */
  readonly groups?: ParameterGroups;
  /** Batches whose gradients are summed for one step. Default 1. */
  readonly microBatches?: number;
  /** Of dropout. Default 1. */
  readonly seed?: number;
  /**
   * Of the factors of matrix products in training steps, forward and backward; recurrences, attention, sums and all that is stored stay
   * float32. Default float32. See docs/numerics.md.
   */
  readonly dtype?: Dtype;
}

const rules = {
  learningRate: either(above(0), aFunction),
  weightDecay: atLeast(0),
  clipNorm: above(0),
  clipValue: above(0),
  optimizer: anything,
  groups: anything,
  microBatches: wholeNumber(1),
  seed: wholeNumber(0),
  dtype: oneOf(...dtypes),
};

const betas: Rule = {
  expected: 'two numbers from 0 to below 1',
  accepts: (value) => Array.isArray(value) && value.length === 2 && value.every(fraction.accepts),
};

const optimizerRules = {
  adamw: { kind: anything, betas, epsilon: above(0) },
  sgd: { kind: anything, momentum: atLeast(0) },
};

const groupRules = {
  match: either({ expected: 'a regular expression', accepts: (value: unknown) => value instanceof RegExp }, aFunction),
  rateFactor: atLeast(0),
  weightDecay: atLeast(0),
  frozen: { expected: 'true or false', accepts: (value: unknown) => typeof value === 'boolean' },
};

export interface TrainerSettings extends Required<Omit<TrainerOptions, 'groups'>> {
  readonly groups: readonly ParameterGroup[];
}

/**
 * The options with their defaults, for a model whose parameters have these names.
 * @throws OptionError naming the option, what was expected and what came.
 */
export function trainerSettings(options: TrainerOptions, names: readonly string[]): TrainerSettings {
  checkOptions('Trainer', options, rules);
  const { groups: given = [], ...rest } = options;
  const settings: TrainerSettings = {
    learningRate: 1e-3,
    weightDecay: 0.01,
    clipNorm: options.clipValue === undefined ? 1 : Number.POSITIVE_INFINITY,
    clipValue: Number.POSITIVE_INFINITY,
    optimizer: { kind: 'adamw' },
    microBatches: 1,
    seed: 1,
    dtype: 'float32',
    ...rest,
    groups: typeof given === 'function' ? given(names) : given,
  };
  const { optimizer, groups } = settings;
  const known = optimizerRules[optimizer.kind];
  if (known === undefined) {
    throw new OptionError(`Trainer: Expected \`optimizer.kind\` to be adamw or sgd but received ${optimizer.kind}`);
  }
  checkOptions('Trainer optimizer', optimizer, known);
  for (const [index, group] of groups.entries()) {
    checkOptions(`Trainer groups[${index}]`, Object.assign({ match: null }, group), groupRules);
  }
  return settings;
}
