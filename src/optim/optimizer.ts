/** Optimizers: what each keeps beside the parameters, the scalars it needs at a step, and its update. */

import type { Tensor } from '../graph/tensor.js';
import { adamw, sgd, type UpdateOperands } from '../ops/optimizer.js';
import type { ScalarSlot } from '../program/scalars.js';

export interface AdamWOptions {
  readonly kind: 'adamw';
  /** Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly epsilon?: number;
}

export interface SgdOptions {
  readonly kind: 'sgd';
  /** Default 0. */
  readonly momentum?: number;
}

export type OptimizerOptions = AdamWOptions | SgdOptions;

export interface Optimizer {
  /** Names of the arenas it keeps, each laid out as the parameters. */
  readonly moments: readonly string[];
  /** The scalars of the next step. Call once for each step that is taken. */
  advance(): Partial<Record<ScalarSlot, number>>;
  /** The scalars of the step that `advance` prepared were not used: prepare it again. */
  retreat(): void;
  /** Traces the update; `state` are the moments' values, the result their new values after the new parameters. */
  update(operands: UpdateOperands, state: readonly Tensor[]): { parameters: Tensor; state: readonly Tensor[] };
}

export function createOptimizer(options: OptimizerOptions): Optimizer {
  return options.kind === 'adamw' ? new AdamW(options) : new Sgd(options);
}

class AdamW implements Optimizer {
  readonly moments = ['first moments', 'second moments'];
  readonly #betas: readonly [number, number];
  readonly #epsilon: number;
  /** β₁ᵗ and β₂ᵗ by repeated multiplication: the same numbers everywhere, which `pow` does not promise. */
  #powers: readonly [number, number] = [1, 1];
  #previous: readonly [number, number] = [1, 1];

  constructor({ betas = [0.9, 0.999], epsilon = 1e-8 }: AdamWOptions) {
    this.#betas = betas;
    this.#epsilon = epsilon;
  }

  advance(): Partial<Record<ScalarSlot, number>> {
    const [beta1, beta2] = this.#betas;
    this.#previous = this.#powers;
    this.#powers = [this.#powers[0] * beta1, this.#powers[1] * beta2];
    return {
      beta1,
      beta2,
      oneMinusBeta1: 1 - beta1,
      oneMinusBeta2: 1 - beta2,
      epsilon: this.#epsilon,
      correction1: 1 / (1 - this.#powers[0]),
      correction2: 1 / (1 - this.#powers[1]),
    };
  }

  retreat(): void {
    this.#powers = this.#previous;
  }

  update(operands: UpdateOperands, [firstMoment, secondMoment]: readonly [Tensor, Tensor]) {
    const next = adamw(operands, { firstMoment, secondMoment });
    return { parameters: next.parameters, state: [next.firstMoment, next.secondMoment] };
  }
}

class Sgd implements Optimizer {
  readonly moments = ['velocities'];
  readonly #momentum: number;

  constructor({ momentum = 0 }: SgdOptions) {
    this.#momentum = momentum;
  }

  advance(): Partial<Record<ScalarSlot, number>> {
    return { momentum: this.#momentum };
  }

  retreat(): void {}

  update(operands: UpdateOperands, [velocity]: readonly [Tensor]) {
    const next = sgd(operands, { velocity });
    return { parameters: next.parameters, state: [next.velocity] };
  }
}
