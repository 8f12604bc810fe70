/** Learning rates over time. */
import { above, checkOptions, oneOf, type Rule, wholeNumber } from '../program/options.js';

/** What follows the warm-up: always the same rate, or down to 0 along a line or half a cosine. */
export type ScheduleKind = 'constant' | 'linear' | 'cosine';

export interface ScheduleOptions {
  readonly kind: ScheduleKind;
  /** The highest learning rate. */
  readonly learningRate: number;
  /** Steps of the whole training. */
  readonly steps: number;
  /** Steps in which the rate grows to its highest along a line; below 1 a share of all steps. Default 0. */
  readonly warmup?: number | undefined;
}

const shareOrSteps: Rule = {
  expected: 'a share from 0 to below 1, or a whole number of steps',
  accepts: (value) =>
    typeof value === 'number' && value >= 0 && Number.isFinite(value) && (value < 1 || Number.isInteger(value)),
};

const rules = {
  kind: oneOf('constant', 'linear', 'cosine'),
  learningRate: above(0),
  steps: wholeNumber(1),
  warmup: shareOrSteps,
};

/** What is left of the highest rate when a part of the time after the warm-up is over, both from 0 to 1. */
const decays: Readonly<Record<ScheduleKind, (over: number) => number>> = {
  constant: () => 1,
  linear: (over) => 1 - over,
  cosine: (over) => (1 + Math.cos(Math.PI * over)) / 2,
};

/**
 * The learning rate of each step (from 1): w steps up to the highest rate, the w-th has it; the step after them has it too, and the step after
 * the last one would have what the decay ends with, so that no step is taken in vain.
 * @throws OptionError, also if the warm-up takes longer than the training
 */
export function learningRates(options: ScheduleOptions): (step: number) => number {
  checkOptions('schedule', options, rules);
  const { kind, learningRate, steps, warmup = 0 } = options;
  const warming = warmup < 1 ? Math.round(warmup * steps) : warmup;
  checkOptions('schedule', { warmup: warming }, { warmup: wholeNumber(0, steps) });
  const left = decays[kind];
  return (step) => {
    if (step <= warming) return (learningRate * step) / warming;
    return learningRate * left(Math.min(1, (step - 1 - warming) / (steps - warming)));
  };
}
