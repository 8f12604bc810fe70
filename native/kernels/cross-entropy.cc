// Softmax and cross-entropy in one pass over the logits.
#include "../simd/lanes.h"
#include "../simd/math.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

constexpr int32_t IGNORED_LABEL = -100;

/// The maximum of n elements, any but the NaN among them.
template <class S>
SEQGRAD_INLINE float maximum(const float* x, int64_t n) {
  // Each comparison waits for the one before it.
  constexpr int CHAINS = 4, STEP = CHAINS * S::lanes;
  const float lowest = -__builtin_inff();
  const auto larger = [](float a, float b) { return a > b ? a : b; };
  if (n < S::lanes) {
    float result = lowest;
    for (int64_t i = 0; i < n; i++) result = larger(x[i], result);
    return result;
  }
  typename S::Floats most[CHAINS];
  for (auto& chain : most) chain = S::broadcast(lowest);
  int64_t i = 0;
  for (; i + STEP <= n; i += STEP) {
    for (int c = 0; c < CHAINS; c++) most[c] = S::maxOrSecond(S::load(x + i + c * S::lanes), most[c]);
  }
  for (int c = 0; i < n; i += S::lanes, c++) {  // the last vector may meet some again
    most[c] = S::maxOrSecond(S::load(x + least<int64_t>(i, n - S::lanes)), most[c]);
  }
  for (int c = 1; c < CHAINS; c++) most[0] = S::maxOrSecond(most[c], most[0]);
  float lane[S::lanes];
  S::store(lane, most[0]);
  for (int half = S::lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; l++) lane[l] = larger(lane[l + half], lane[l]);
  }
  return lane[0];
}

/// Writes `value` to n elements, if there are any to write.
template <class S>
SEQGRAD_INLINE void fillRow(float* row, int64_t n, float value) {
  if (row == nullptr) return;
  forVectors<S>(0, n, [&](auto at) { at.store(row, S::broadcast(value)); });
}

/// (1 − smoothing) · labelled + smoothing · the mean of x − m
template <class S>
SEQGRAD_INLINE float smoothed(const float* x, int64_t V, float m, float labelled, float smoothing) {
  Lanes<S> lanes;
  lanes.take(V, [&](auto& lane, auto at) { lane = lane + S::keepFirst(at.load(x) - S::broadcast(m), at.count()); });
  const float mean = lanes.total() / static_cast<float>(V);
  return S::firstLane(S::fma(S::broadcast(smoothing), S::broadcast(mean - labelled), S::broadcast(labelled)));
}

/// One row: x [V] and, if wanted, dx [V], which may be the same memory. Returns its loss.
template <class S>
SEQGRAD_INLINE float crossEntropyRow(const float* x, float* dx, int32_t label, int64_t V, float w, float smoothing) {
  // Subtracting the maximum changes nothing but keeps exp from overflowing. A NaN is met by the sum of what follows.
  const float m = maximum<S>(x, V);
  float labelled = x[label] - m;
  if (smoothing != 0.0f) labelled = smoothed<S>(x, V, m, labelled, smoothing);
  Lanes<S> lanes;
  lanes.take(V, [&](auto& lane, auto at) {
    fetch(x + V + at.index);  // the next row, or nothing
    const auto e = math::expNonPositive<S>(at.load(x) - S::broadcast(m));
    if (dx != nullptr) at.store(dx, e);
    lane = lane + S::keepFirst(e, at.count());
  });
  const float s = lanes.total();
  if (dx != nullptr) {
    const float inverse = 1.0f / s, share = smoothing / static_cast<float>(V);
    const float atLabel = (dx[label] * inverse - share - (1.0f - smoothing)) * w;
    forVectors<S>(0, V, [&](auto at) {
      at.store(dx, (at.load(dx) * S::broadcast(inverse) - S::broadcast(share)) * S::broadcast(w));
    });
    dx[label] = atLabel;
  }
  return (S::firstLane(math::log<S>(S::broadcast(s))) - labelled) * w;
}

/// logits, dLogits [N, V], labels, rowLoss [N]
template <class S>
void softmaxCrossEntropy(const SoftmaxCrossEntropy& r, Context& context) {
  const int64_t N = r.N, V = r.V;
  share(context, Cut(N, rowsOf(COMPUTED, V)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int32_t label = r.labels[i];
      float* dx = r.dLogits == nullptr ? nullptr : r.dLogits + i * V;
      if (label >= 0 && label < V) {
        r.rowLoss[i] = crossEntropyRow<S>(r.logits + i * V, dx, label, V, 1.0f / *r.denominator, r.smoothing);
      } else {
        const float value = label == IGNORED_LABEL ? 0.0f : __builtin_nanf("");
        r.rowLoss[i] = value;
        fillRow<S>(dx, V, value);
      }
    }
  });
}

SEQGRAD_KERNEL(softmaxCrossEntropy, SoftmaxCrossEntropy);

}  // namespace seqgrad
