/**
 * The scalars tensor: per-step float32 numbers that the trainer writes into the heap before a run, never part of a program's
 * words. Optimizer instructions read it whole; other instructions read single slots as tensors of one element.
 */
export const scalarSlots = [
  'learningRate',
  'beta1',
  'beta2',
  'oneMinusBeta1',
  'oneMinusBeta2',
  'epsilon',
  'correction1', // 1 / (1 - beta1^t)
  'correction2', // 1 / (1 - beta2^t)
  'momentum',
  'maxNorm', // +Infinity switches clipping off
  'lossDenominator', // labels counted in the whole step, over all micro-batches
] as const;

export type ScalarSlot = (typeof scalarSlots)[number];

/** The int32 words of the `random` operand: the Philox key and the step that its counter carries. */
export const randomWords = ['seedLow', 'seedHigh', 'randomStep'] as const;
