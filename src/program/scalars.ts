/**
 * The scalars tensor: per-step numbers that the trainer writes between runs and programs read, and the few numbers programs
 * report back. Each is one float32 slot of the heap, except the `random` words, which are int32.
 */
export const scalarSlots = [
  // Written by the trainer before a step.
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
  // Written by programs.
  'loss',
  'squaredNorm',
  'gradientNorm',
  'clipFactor',
  'finite', // 1 when the gradient norm is finite, else 0: the condition of every update
  // int32: the Philox key and the step that the counter carries.
  'seedLow',
  'seedHigh',
  'randomStep',
] as const;

export type ScalarSlot = (typeof scalarSlots)[number];
