/** What happens to parameters once their gradients are known. Everything is conditional on a finite gradient norm. */
import { type ScalarSlot, scalarSlots } from '../../program/scalars.js';
import type { Definition, Tensor } from './tensor.js';

/** Clipping by the global norm (Pascanu, Mikolov & Bengio 2013, algorithm 1), with the 1e-6 of PyTorch. */
export const clipByNorm: Definition<'clipByNorm'> = ({ operands: { squaredNorm, maxNorm, norm, factor, finite } }) => {
  const square = squaredNorm.at(0);
  const usable = Number.isFinite(square);
  norm.set(Math.sqrt(square), 0);
  finite.set(usable ? 1 : 0, 0);
  factor.set(usable ? Math.min(1, maxNorm.at(0) / (Math.sqrt(square) + 1e-6)) : 0, 0);
};

interface Segment {
  /** The first element, and the one behind the last. */
  readonly start: number;
  readonly end: number;
  readonly rateFactor: number;
  readonly decay: number;
}

/** The segments to update. Frozen rows, and rows that leave the arena or the group table, are skipped. */
function* segmentsToUpdate(segments: Tensor, groups: Tensor, P: number, S: number, G: number): Generator<Segment> {
  for (let row = 0; row < S; row++) {
    const start = segments.at(row, 0);
    const length = segments.at(row, 1);
    const group = segments.at(row, 2);
    const frozen = segments.at(row, 3) !== 0;
    const inside = start >= 0 && length >= 0 && start + length <= P && group >= 0 && group < G;
    if (frozen || !inside) continue;
    yield { start, end: start + length, rateFactor: groups.at(group, 0), decay: groups.at(group, 1) };
  }
}

const reader =
  (scalars: Tensor) =>
  (slot: ScalarSlot): number =>
    scalars.at(scalarSlots.indexOf(slot));

/**
 * Stochastic gradient descent with momentum, as PyTorch defines it, decay added to the gradient:
 *
 *     g = gradient + decay·p      v = momentum·v + g      p = p − rate·v
 */
export const sgd: Definition<'sgd'> = ({ operands, dims: { P, S, G } }) => {
  const { parameters, gradients, segments, groups, scalars, clipFactor, finite, velocity } = operands;
  if (finite.at(0) === 0) return;
  const scalar = reader(scalars);
  for (const { start, end, rateFactor, decay } of segmentsToUpdate(segments, groups, P, S, G)) {
    const rate = scalar('learningRate') * rateFactor;
    for (let e = start; e < end; e++) {
      const p = parameters.at(e);
      const g = clipFactor.at(0) * gradients.at(e) + decay * p;
      const v = scalar('momentum') * velocity.at(e) + g;
      velocity.set(v, e);
      parameters.set(p - rate * v, e);
    }
  }
};

/**
 * AdamW (Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2):
 *
 *     m = β₁·m + (1 − β₁)·g       v = β₂·v + (1 − β₂)·g²
 *     p = p − rate·decay·p        p = p − rate · m̂ / (√v̂ + ε)      m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
 */
export const adamw: Definition<'adamw'> = ({ operands, dims: { P, S, G } }) => {
  const { parameters, gradients, segments, groups, scalars, clipFactor, finite, firstMoment, secondMoment } = operands;
  if (finite.at(0) === 0) return;
  const scalar = reader(scalars);
  for (const { start, end, rateFactor, decay } of segmentsToUpdate(segments, groups, P, S, G)) {
    const rate = scalar('learningRate') * rateFactor;
    for (let e = start; e < end; e++) {
      const g = clipFactor.at(0) * gradients.at(e);
      const m = scalar('beta1') * firstMoment.at(e) + scalar('oneMinusBeta1') * g;
      const v = scalar('beta2') * secondMoment.at(e) + scalar('oneMinusBeta2') * g * g;
      firstMoment.set(m, e);
      secondMoment.set(v, e);
      const decayed = parameters.at(e) - rate * decay * parameters.at(e);
      const step = (scalar('correction1') * m) / (Math.sqrt(scalar('correction2') * v) + scalar('epsilon'));
      parameters.set(decayed - rate * step, e);
    }
  }
};
