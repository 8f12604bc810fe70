/** A cell in training: its model in an engine, the trainer, and batches. */
import type { Backend } from '../backends/executor.js';
import { flopsOf } from '../program/cost.js';
import type { AnyCall } from '../program/encode.js';
import { specOf } from '../program/instructions.js';
import { Model } from '../train/model.js';
import { type Batch, Trainer } from '../train/trainer.js';
import { batchesOf, type Cell, networkOf } from './models.js';

export interface Training {
  readonly model: Model;
  readonly trainer: Trainer;
  /** Without end; whoever takes some leaves the rest to the next. */
  readonly batches: Iterable<Batch>;
}

/** A model of a cell with fresh parameters, the same on every backend, and all it takes to train it: AdamW, clipping at 1. */
export async function startTraining(cell: Cell, backend: Backend): Promise<Training> {
  const model = new Model(networkOf(cell), backend);
  await model.allocate();
  await model.initialise(1);
  const trainer = new Trainer(model, { learningRate: 2e-3, clipNorm: 1, dtype: cell.dtype });
  return { model, trainer, batches: batchesOf(cell) };
}

/** Families of instructions that are matrix products, besides what is elementwise in them and does not count. */
const productFamilies: ReadonlySet<string> = new Set(['matmul', 'lstm', 'rnn', 'gru', 'attention']);

const isProduct = ({ instruction }: AnyCall<unknown>): boolean => productFamilies.has(specOf(instruction).family);

/**
 * Floating-point operations of the matrix products that a training step really executes. They can be fewer than those it is credited
 * with: a product that gives the same numbers in fewer operations is not worth less; and more, where attention computes scores again.
 */
export async function executedFlops({ trainer }: Training, cell: Cell): Promise<number> {
  const products = (await trainer.program(cell)).calls.filter(isProduct);
  return products.reduce((sum, call) => sum + flopsOf(call), 0);
}
