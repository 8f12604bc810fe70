/** Gradient clipping and the updates: one pass over the parameter arena, segment by segment. */
import { Adamw, ClipByNorm, Sgd, Slot } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';

export function clipByNorm(r: ClipByNorm): void {
  const squaredNorm = load<f32>(r.squaredNorm);
  const norm = sqrt<f32>(squaredNorm);
  const finite = isFinite<f32>(squaredNorm);
  store<f32>(r.norm, norm);
  store<f32>(r.finite, finite ? 1 : 0);
  store<f32>(r.factor, finite ? min<f32>(1, load<f32>(r.maxNorm) / (norm + 1e-6)) : 0);
}

@inline function slot(scalars: usize, index: i32): f32 { return load<f32>(scalars + (<usize>index << 2)); }

/** Whether a segment (offset, length, group, frozen) takes part: not frozen, inside the arena and the group table. */
@inline function isActive(segment: usize, P: i32, G: i32): bool {
  const offset = load<u32>(segment), length = load<u32>(segment, 4), group = load<u32>(segment, 8);
  return load<i32>(segment, 12) == 0 && <u64>offset + <u64>length <= <u64>P && group < <u32>G;
}

export function sgd(r: Sgd): void {
  if (load<f32>(r.finite) == 0) return;
  const S = r.S, P = r.P, G = r.G;
  let segment = r.segments;
  for (let s = 0; s < S; s++, segment += 16) if (isActive(segment, P, G)) sgdSegment(r, segment);
}

/** g = clipFactor·gradient + decay·p; v = momentum·v + g; p −= rate·v. */
function sgdSegment(r: Sgd, segment: usize): void {
  const offset = load<usize>(segment) << 2;
  const group = r.groups + (load<usize>(segment, 8) << 3);
  const scalars = r.scalars;
  const clipFactor = splat(load<f32>(r.clipFactor));
  const momentum = splat(slot(scalars, Slot.momentum));
  const minusRate = splat(-(slot(scalars, Slot.learningRate) * load<f32>(group)));
  const decay = splat(load<f32>(group, 4));
  let parameter = r.parameters + offset, gradient = r.gradients + offset, velocity = r.velocity + offset;
  for (let left = load<i32>(segment, 4); left > 0; left -= 4, parameter += 16, gradient += 16, velocity += 16) {
    const p = loadLanes(parameter, left);
    const g = fma(decay, p, f32x4.mul(clipFactor, loadLanes(gradient, left)));
    const v = fma(momentum, loadLanes(velocity, left), g);
    storeLanes(velocity, v, left);
    storeLanes(parameter, fma(minusRate, v, p), left);
  }
}

export function adamw(r: Adamw): void {
  if (load<f32>(r.finite) == 0) return;
  const S = r.S, P = r.P, G = r.G;
  let segment = r.segments;
  for (let s = 0; s < S; s++, segment += 16) if (isActive(segment, P, G)) adamwSegment(r, segment);
}

/** m and v are moving averages of g and g²; p decays by itself (decoupled) and moves by m̂ / (√v̂ + ε). */
function adamwSegment(r: Adamw, segment: usize): void {
  const offset = load<usize>(segment) << 2;
  const group = r.groups + (load<usize>(segment, 8) << 3);
  const scalars = r.scalars;
  const clipFactor = splat(load<f32>(r.clipFactor));
  const beta1 = splat(slot(scalars, Slot.beta1)), oneMinusBeta1 = splat(slot(scalars, Slot.oneMinusBeta1));
  const beta2 = splat(slot(scalars, Slot.beta2)), oneMinusBeta2 = splat(slot(scalars, Slot.oneMinusBeta2));
  const correction2 = splat(slot(scalars, Slot.correction2)), epsilon = splat(slot(scalars, Slot.epsilon));
  const rate: f32 = slot(scalars, Slot.learningRate) * load<f32>(group);
  const minusDecay = splat(-(rate * load<f32>(group, 4)));
  const minusRate = splat(-(rate * slot(scalars, Slot.correction1)));
  let parameter = r.parameters + offset, gradient = r.gradients + offset;
  let firstMoment = r.firstMoment + offset, secondMoment = r.secondMoment + offset;
  for (let left = load<i32>(segment, 4); left > 0; left -= 4) {
    const g = f32x4.mul(clipFactor, loadLanes(gradient, left));
    const m = fma(oneMinusBeta1, g, f32x4.mul(beta1, loadLanes(firstMoment, left)));
    const v = fma(f32x4.mul(oneMinusBeta2, g), g, f32x4.mul(beta2, loadLanes(secondMoment, left)));
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(v, correction2)), epsilon);
    const p = loadLanes(parameter, left);
    const decayed = fma(minusDecay, p, p);
    storeLanes(firstMoment, m, left);
    storeLanes(secondMoment, v, left);
    storeLanes(parameter, fma(minusRate, f32x4.div(m, root), decayed), left);
    parameter += 16, gradient += 16, firstMoment += 16, secondMoment += 16;
  }
}
