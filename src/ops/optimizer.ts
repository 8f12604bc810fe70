/** The update of all parameters at once, from all gradients at once. Not differentiated. */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { full } from './copy.js';
import { add, divide, relu, scale, subtract } from './elementwise.js';

/** What clipping by the global norm (Pascanu et al. 2013, algorithm 1) gives; each of shape [1]. */
export interface Clip {
  readonly norm: Tensor;
  /** min(1, maxNorm / norm), or 0 where the norm is not finite. */
  readonly factor: Tensor;
  /** 1 where the norm is finite, else 0. */
  readonly finite: Tensor;
}

/** From the squared norm [1] of all gradients and the largest norm allowed [1]. */
export function clipByNorm(squaredNorm: Tensor, maxNorm: Tensor): Clip {
  const one = { shape: [1] };
  return squaredNorm.graph.node({
    op: 'clipByNorm',
    inputs: { squaredNorm, maxNorm },
    outputs: { norm: one, factor: one, finite: one },
    calls: ({ norm, factor, finite }) => [call('clipByNorm', { squaredNorm, maxNorm, norm, factor, finite }, {})],
  });
}

/**
 * Every element limited to −most … most: y = x / (1 + relu(|x| / most − 1)). What is within the limits stays as it is, bit for bit; what is
 * beyond them ends there up to rounding. Not differentiated: it acts on gradients.
 */
export function clipByValue(x: Tensor, most: number): Tensor {
  const magnitude = add(relu(x), relu(scale(x, -1)));
  const one = full(x.graph, x.shape, 1);
  const beyond = relu(subtract(scale(magnitude, 1 / most), one));
  return divide(x, add(one, beyond));
}

export interface UpdateOperands {
  /** All parameters, [P]. */
  readonly parameters: Tensor;
  readonly gradients: Tensor;
  /** [S, 4] i32: rows of offset, length, group, frozen. */
  readonly segments: Tensor;
  /** [G, 2]: rows of rate factor, weight decay. */
  readonly groups: Tensor;
  readonly scalars: Tensor;
  readonly clip: Clip;
}

function sizesOf(
  { parameters, gradients, segments, groups }: UpdateOperands,
  op: string,
): { P: number; S: number; G: number } {
  return matchShapes(op, {
    parameters: [parameters, ['P']],
    gradients: [gradients, ['P']],
    segments: [segments, ['S', 4]],
    groups: [groups, ['G', 2]],
  });
}

/** AdamW (Loshchilov & Hutter 2019): the new parameters and moments, each [P]. */
export function adamw(
  operands: UpdateOperands,
  moments: { readonly firstMoment: Tensor; readonly secondMoment: Tensor },
): { parameters: Tensor; firstMoment: Tensor; secondMoment: Tensor } {
  const { P, S, G } = sizesOf(operands, 'adamw');
  const { parameters, gradients, segments, groups, scalars, clip } = operands;
  const next = (initial: Tensor) => ({ shape: [P], initial });
  return parameters.graph.node({
    op: 'adamw',
    inputs: { gradients, segments, groups, scalars, clipFactor: clip.factor, finite: clip.finite },
    outputs: {
      parameters: next(parameters),
      firstMoment: next(moments.firstMoment),
      secondMoment: next(moments.secondMoment),
    },
    calls: (out) => [
      call(
        'adamw',
        { ...out, gradients, segments, groups, scalars, clipFactor: clip.factor, finite: clip.finite },
        { P, S, G },
      ),
    ],
  });
}

/** SGD with momentum (Sutskever et al. 2013, in PyTorch's form): the new parameters and velocities, each [P]. */
export function sgd(
  operands: UpdateOperands,
  moments: { readonly velocity: Tensor },
): { parameters: Tensor; velocity: Tensor } {
  const { P, S, G } = sizesOf(operands, 'sgd');
  const { parameters, gradients, segments, groups, scalars, clip } = operands;
  return parameters.graph.node({
    op: 'sgd',
    inputs: { gradients, segments, groups, scalars, clipFactor: clip.factor, finite: clip.finite },
    outputs: {
      parameters: { shape: [P], initial: parameters },
      velocity: { shape: [P], initial: moments.velocity },
    },
    calls: (out) => [
      call(
        'sgd',
        { ...out, gradients, segments, groups, scalars, clipFactor: clip.factor, finite: clip.finite },
        { P, S, G },
      ),
    ],
  });
}
