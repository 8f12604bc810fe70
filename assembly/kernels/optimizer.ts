/** Gradient clipping and the updates: one pass over the parameter arena, segment by segment. */
import { Adamw, ClipByNorm, Sgd, Slot } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import { parallel, Work } from '../team';
import { ceilDiv, COMPUTED } from '../tickets';

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

/** The part of an active segment among elements `first` … `end` − 1 of the arena; empty where the first does not come before the end. */
@inline function firstIn(segment: usize, first: i32): i32 { return max(first, load<i32>(segment)); }
@inline function endIn(segment: usize, end: i32): i32 { return min(end, load<i32>(segment) + load<i32>(segment, 4)); }

/** The arena is shared out, not the table: of each segment a ticket takes the part that lies among its elements. */
@inline function share<Record>(r: Record, work: Work): void {
  if (load<f32>(r.finite) != 0) parallel(ceilDiv(r.P, COMPUTED), work, changetype<usize>(r));
}

export function sgd(r: Sgd): void { share(r, sgdTicket); }

function sgdTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Sgd>(record);
  const S = r.S, P = r.P, G = r.G;
  const first = ticket * COMPUTED, end = min(P, first + COMPUTED);
  let segment = r.segments;
  for (let s = 0; s < S; s++, segment += 16) {
    if (isActive(segment, P, G)) sgdPart(r, segment, firstIn(segment, first), endIn(segment, end));
  }
}

/** g = clipFactor·gradient + decay·p; v = momentum·v + g; p −= rate·v, for elements `first` … `end` − 1 of the arena. */
function sgdPart(r: Sgd, segment: usize, first: i32, end: i32): void {
  if (first >= end) return;
  const offset = <usize>first << 2;
  const group = r.groups + (load<usize>(segment, 8) << 3);
  const scalars = r.scalars;
  const clipFactor = splat(load<f32>(r.clipFactor));
  const momentum = splat(slot(scalars, Slot.momentum));
  const minusRate = splat(-(slot(scalars, Slot.learningRate) * load<f32>(group)));
  const decay = splat(load<f32>(group, 4));
  let parameter = r.parameters + offset, gradient = r.gradients + offset, velocity = r.velocity + offset;
  for (let left = end - first; left > 0; left -= 4, parameter += 16, gradient += 16, velocity += 16) {
    const p = loadLanes(parameter, left);
    const g = fma(decay, p, f32x4.mul(clipFactor, loadLanes(gradient, left)));
    const v = fma(momentum, loadLanes(velocity, left), g);
    storeLanes(velocity, v, left);
    storeLanes(parameter, fma(minusRate, v, p), left);
  }
}

export function adamw(r: Adamw): void { share(r, adamwTicket); }

function adamwTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Adamw>(record);
  const S = r.S, P = r.P, G = r.G;
  const first = ticket * COMPUTED, end = min(P, first + COMPUTED);
  let segment = r.segments;
  for (let s = 0; s < S; s++, segment += 16) {
    if (isActive(segment, P, G)) adamwPart(r, segment, firstIn(segment, first), endIn(segment, end));
  }
}

/** m and v are moving averages of g and g²; p decays by itself (decoupled) and moves by m̂ / (√v̂ + ε). */
function adamwPart(r: Adamw, segment: usize, first: i32, end: i32): void {
  if (first >= end) return;
  const offset = <usize>first << 2;
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
  for (let left = end - first; left > 0; left -= 4) {
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
