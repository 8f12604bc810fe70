/** The models whose training steps are measured, and what a step of each is worth in floating-point operations. */

import type { Dtype } from '../program/dtype.js';
import { OptionError } from '../program/options.js';
import type { Network } from '../train/model.js';
import type { Batch } from '../train/trainer.js';
import { bertModel } from './bert-model.js';
import type { BenchModel, Sizes } from './cell.js';
import { recurrentModel } from './recurrent-model.js';

const models = {
  lstm: recurrentModel('lstm', 4),
  gru: recurrentModel('gru', 3),
  rnn: recurrentModel('rnn', 1),
  bert: bertModel,
} satisfies Readonly<Record<string, BenchModel>>;

export type ModelName = keyof typeof models;

export const modelNames = Object.keys(models) as ModelName[];

/** A training step that can be measured. */
export interface Cell extends Sizes {
  readonly model: ModelName;
  /** Of matrix products. */
  readonly dtype: Dtype;
}

/** @throws OptionError naming the models that there are. */
export function modelNamed(name: string): ModelName {
  const found = modelNames.find((known) => known === name);
  if (found !== undefined) return found;
  throw new OptionError(`bench: Expected \`model\` to be one of ${modelNames.join(', ')} but received "${name}"`);
}

/** A cell of what is given, with the model's usual sizes where nothing is. @throws OptionError for sizes that do not fit the model */
export const cellOf = (model: ModelName, given: Partial<Sizes> = {}, dtype: Dtype = 'float32'): Cell => ({
  model,
  dtype,
  ...models[model].complete(given),
});

export const describeCell = (cell: Cell): string =>
  `${models[cell.model].describe(cell)}, B ${cell.batch}, T ${cell.time}${cell.dtype === 'float32' ? '' : `, ${cell.dtype}`}`;

export const networkOf = (cell: Cell): Network => models[cell.model].network(cell);

export const batchesOf = (cell: Cell): Generator<Batch, never, void> => models[cell.model].batches(cell);

/** The same model, so small that the reference gets through it at once. */
export const smaller = (cell: Cell): Cell => ({
  model: cell.model,
  dtype: cell.dtype,
  ...models[cell.model].smaller(cell),
});

export const tokensOf = ({ batch, time }: Cell): number => batch * time;

/**
 * Floating-point operations that a training step is credited with, in PyTorch's terms: 2·M·N·K of the model's matrix products,
 * forward once and backward twice. Elementwise work does not count, nor does what is computed again.
 */
export const creditedFlops = (cell: Cell): number => 3 * tokensOf(cell) * models[cell.model].forwardFlopsPerToken(cell);
