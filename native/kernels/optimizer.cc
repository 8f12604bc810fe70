// Clipping and the optimizers: one pass over the parameter arena.
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

template <class S>
void clipByNorm(const ClipByNorm& r, Context&) {
  const float squared = *r.squaredNorm;
  const float norm = S::firstLane(S::sqrt(S::broadcast(squared)));
  const bool finite = squared - squared == 0;
  const float ratio = *r.maxNorm / (norm + 1e-6f);
  *r.norm = norm;
  *r.factor = finite ? (ratio > 1.0f ? 1.0f : ratio) : 0.0f;
  *r.finite = finite ? 1.0f : 0.0f;
}

/// Calls `body(rateFactor, decay, update)` for the part of each live segment that lies in a ticket's part of the arena;
/// `update(element)` then runs over the elements of that part.
template <class S, class Record, class Body>
SEQGRAD_INLINE void forSegments(const Record& r, Context& context, const Body& body) {
  if (*r.finite == 0) return;
  share(context, Cut(r.P, STREAMED, 16), [&](int64_t begin, int64_t end) {
    for (int64_t s = 0; s < r.S; s++) {
      const int32_t* row = r.segments + 4 * s;
      const int64_t offset = row[0], length = row[1], group = row[2];
      const bool frozen = row[3] != 0;
      const bool inside = offset >= 0 && length >= 0 && offset + length <= r.P && group >= 0 && group < r.G;
      if (frozen || !inside) continue;
      const int64_t from = offset < begin ? begin : offset, to = least(offset + length, end);
      if (from >= to) continue;
      const float* its = r.groups + 2 * group;
      body(its[0], its[1], [&](const auto& update) { forVectors<S>(from, to, update); });
    }
  });
}

/// parameters, gradients, velocity [P]
template <class S>
void sgd(const Sgd& r, Context& context) {
  const auto clipFactor = S::broadcast(*r.clipFactor);
  const auto momentum = S::broadcast(r.scalars[SLOT_momentum]);
  forSegments<S>(r, context, [&](float rateFactor, float groupDecay, const auto& forSegment) {
    const auto decay = S::broadcast(groupDecay);
    const auto step = S::broadcast(-(r.scalars[SLOT_learningRate] * rateFactor));
    forSegment([&](auto at) {
      const auto p = at.load(r.parameters);
      const auto g = S::fma(decay, p, clipFactor * at.load(r.gradients));
      const auto v = S::fma(momentum, at.load(r.velocity), g);
      at.store(r.velocity, v);
      at.store(r.parameters, S::fma(step, v, p));
    });
  });
}

/// parameters, gradients, firstMoment, secondMoment [P]
template <class S>
void adamw(const Adamw& r, Context& context) {
  const float* scalars = r.scalars;
  const auto clipFactor = S::broadcast(*r.clipFactor), epsilon = S::broadcast(scalars[SLOT_epsilon]);
  const auto beta1 = S::broadcast(scalars[SLOT_beta1]), beta2 = S::broadcast(scalars[SLOT_beta2]);
  const auto oneMinusBeta1 = S::broadcast(scalars[SLOT_oneMinusBeta1]);
  const auto oneMinusBeta2 = S::broadcast(scalars[SLOT_oneMinusBeta2]);
  const auto correction2 = S::broadcast(scalars[SLOT_correction2]);
  forSegments<S>(r, context, [&](float rateFactor, float groupDecay, const auto& forSegment) {
    const float rate = scalars[SLOT_learningRate] * rateFactor;
    const auto decay = S::broadcast(-(rate * groupDecay));
    const auto step = S::broadcast(-(rate * scalars[SLOT_correction1]));
    forSegment([&](auto at) {
      const auto g = clipFactor * at.load(r.gradients);
      const auto m = S::fma(oneMinusBeta1, g, beta1 * at.load(r.firstMoment));
      const auto v = S::fma(oneMinusBeta2 * g, g, beta2 * at.load(r.secondMoment));
      auto p = at.load(r.parameters);
      p = S::fma(decay, p, p);
      p = S::fma(step, m / (S::sqrt(v * correction2) + epsilon), p);
      at.store(r.firstMoment, m);
      at.store(r.secondMoment, v);
      at.store(r.parameters, p);
    });
  });
}

SEQGRAD_KERNEL(clipByNorm, ClipByNorm);
SEQGRAD_KERNEL(sgd, Sgd);
SEQGRAD_KERNEL(adamw, Adamw);

}  // namespace seqgrad
