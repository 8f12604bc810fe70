/** What a training run takes of the heap, from its plan: known before the first step. */
import type { BatchShape } from './model.js';
import type { Trainer } from './trainer.js';

/** Bytes by what they are for. */
export interface MemoryPlan {
  readonly parameters: number;
  readonly gradients: number;
  /** Moments and parameter groups. */
  readonly optimizer: number;
  /** State carried between batches, scalars. */
  readonly state: number;
  /** The transient arena: as large as the larger program. */
  readonly activations: number;
  /** Packing panels and partial sums of the largest instruction. */
  readonly packing: number;
  readonly peak: number;
}

/**
 * Plans training on batches of a shape and says what it takes.
 * @throws OutOfMemoryError if the heap cannot hold parameters, gradients and moments.
 */
export async function planMemory(trainer: Trainer, shape: BatchShape): Promise<MemoryPlan> {
  const program = await trainer.program(shape);
  const { engine, network } = trainer.model;
  const bytes = (elements: number): number => elements * engine.elementBytes;
  const [gradients, ...optimizer] = trainer.arenas;
  const sum = (arenas: readonly { elements: number }[]): number =>
    bytes(arenas.reduce((total, { elements }) => total + elements, 0));
  const parameters = bytes(network.parameters.arena.elements);
  const optimizerBytes = sum(optimizer);
  const gradientBytes = bytes(gradients?.elements ?? 0);
  const state = sum(engine.arenas) - parameters - gradientBytes - optimizerBytes;
  const activations = bytes(program.transientElements);
  const packing = bytes(program.workspaceElements(engine.backend.threads));
  const peak = parameters + gradientBytes + optimizerBytes + state + activations + packing;
  return { parameters, gradients: gradientBytes, optimizer: optimizerBytes, state, activations, packing, peak };
}
