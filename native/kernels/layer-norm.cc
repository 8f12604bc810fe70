// Layer normalisation of rows, forward and backward. A row is read from memory once: it stays in the core's cache for
// what follows.
#include "../simd/lanes.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

/// Where the sums of dGain and dBias are cut.
constexpr int64_t ROWS = 64;

/// One row: x [C], y [C], which may be the same memory.
template <class S>
SEQGRAD_INLINE void normalise(const LayerNorm& r, int64_t row) {
  const int64_t C = r.C;
  const float* x = r.x + row * C;
  float* y = r.y + row * C;
  Lanes<S> sum;
  sum.take(C, [&](auto& lane, auto at) { lane = lane + at.load(x); });
  const float mean = sum.total() / static_cast<float>(C);
  const auto m = S::broadcast(mean);
  Lanes<S> squares;
  squares.take(C, [&](auto& lane, auto at) {
    const auto d = S::keepFirst(at.load(x) - m, at.count());
    lane = S::fma(d, d, lane);
  });
  const float variance = squares.total() / static_cast<float>(C);
  const auto inverse = S::broadcast(1.0f) / S::sqrt(S::broadcast(variance + r.epsilon));
  forVectors<S>(0, C, [&](auto at) {
    const auto normal = (at.load(x) - m) * inverse;
    if (r.gain == nullptr) {
      at.store(y, r.bias == nullptr ? normal : normal + at.load(r.bias));
    } else {
      at.store(y, r.bias == nullptr ? normal * at.load(r.gain) : S::fma(normal, at.load(r.gain), at.load(r.bias)));
    }
  });
  r.mean[row] = mean;
  r.inverseDeviation[row] = S::firstLane(inverse);
}

/// x, y [R, C], gain, bias [C], mean, inverseDeviation [R]
template <class S>
void layerNorm(const LayerNorm& r, Context& context) {
  share(context, Cut(r.R, rowsOf(STREAMED, r.C)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) normalise<S>(r, row);
  });
}

/// One row of dx, which may be the memory of dy; adds to dGain and dBias [C] where these are wanted.
template <class S>
SEQGRAD_INLINE void normaliseBackward(const LayerNormBackward& r, int64_t row, float* dGain, float* dBias) {
  const int64_t C = r.C;
  const float *x = r.x + row * C, *dy = r.dy + row * C;
  float* dx = r.dx + row * C;
  const auto mean = S::broadcast(r.mean[row]), inverse = S::broadcast(r.inverseDeviation[row]);
  const auto normalAt = [&](auto at) { return (at.load(x) - mean) * inverse; };
  const auto gradientAt = [&](auto at) { return r.gain == nullptr ? at.load(dy) : at.load(dy) * at.load(r.gain); };
  Lanes<S> sums, products;
  sums.take(C, [&](auto& lane, auto at) { lane = lane + gradientAt(at); });
  products.take(
      C, [&](auto& lane, auto at) { lane = S::fma(gradientAt(at), S::keepFirst(normalAt(at), at.count()), lane); });
  const auto a = S::broadcast(sums.total() / static_cast<float>(C));
  const auto b = S::broadcast(products.total() / static_cast<float>(C));
  forVectors<S>(0, C, [&](auto at) {
    const auto normal = normalAt(at), upstream = at.load(dy), g = gradientAt(at);
    if (dGain != nullptr) at.store(dGain, S::fma(upstream, normal, at.load(dGain)));
    if (dBias != nullptr) at.store(dBias, at.load(dBias) + upstream);
    at.store(dx, inverse * S::fma(-normal, b, g - a));
  });
}

/// y [C] = the first of some rows [blocks, C] + the second + …, or zero.
template <class S>
void foldRows(const float* partial, float* y, int64_t blocks, int64_t C, Context& context) {
  if (y == nullptr) return;
  share(context, Cut(C, rowsOf(STREAMED, blocks), 16), [&](int64_t begin, int64_t end) {
    forVectors<S>(begin, end, [&](auto at) {
      auto total = blocks == 0 ? S::zero() : at.load(partial);
      for (int64_t block = 1; block < blocks; block++) total = total + at.load(partial + block * C);
      at.store(y, total);
    });
  });
}

/// x, dy, dx [R, C], gain, dGain, dBias [C], mean, inverseDeviation [R]
template <class S>
void layerNormBackward(const LayerNormBackward& r, Context& context) {
  const int64_t R = r.R, C = r.C, blocks = pieces(R, ROWS);
  float *gains = context.workspace, *biases = gains + blocks * C;  // [blocks][C] each
  share(context, Cut(blocks, rowsOf(STREAMED, ROWS * C)), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
      float* dGain = r.dGain == nullptr ? nullptr : gains + block * C;
      float* dBias = r.dBias == nullptr ? nullptr : biases + block * C;
      forVectors<S>(0, C, [&](auto at) {
        if (dGain != nullptr) at.store(dGain, S::zero());
        if (dBias != nullptr) at.store(dBias, S::zero());
      });
      const int64_t last = least((block + 1) * ROWS, R);
      for (int64_t row = block * ROWS; row < last; row++) normaliseBackward<S>(r, row, dGain, dBias);
    }
  });
  foldRows<S>(gains, r.dGain, blocks, C, context);
  foldRows<S>(biases, r.dBias, blocks, C, context);
}

SEQGRAD_KERNEL(layerNorm, LayerNorm);
SEQGRAD_KERNEL(layerNormBackward, LayerNormBackward);

}  // namespace seqgrad
