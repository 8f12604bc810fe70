// Sums over rows and over whole tensors.
#pragma once
#include "../generated/instructions.h"
#include "../simd/lanes.h"
#include "../team.h"

namespace seqgrad {

/// x [R, C], y [C]. Each ticket takes all rows of 64 columns, 64 rows at a time.
template <class S, bool adds>
void sumColumns(const float* x, float* y, int64_t R, int64_t C, Context& context) {
  constexpr int64_t BLOCK = 64;
  context.team.parallel(pieces<int64_t>(C, 64), [&](int64_t ticket) {
    forVectors<S>(ticket * 64, least<int64_t>(ticket * 64 + 64, C), [&](auto at) {
      auto total = S::zero();
      for (int64_t block = 0; block < R; block += BLOCK) {
        const int64_t end = least(block + BLOCK, R);
        auto sum = S::zero();
        for (int64_t row = block; row < end; row++) sum = sum + at.load(x + row * C);
        total = block == 0 ? sum : total + sum;
      }
      if constexpr (adds) {
        at.store(y, at.load(y) + total);
      } else {
        at.store(y, total);
      }
    });
  });
}

template <class S>
void columnSum(const ColumnSum& r, Context& context) {
  sumColumns<S, false>(r.x, r.y, r.R, r.C, context);
}

template <class S>
void columnSumAdd(const ColumnSumAdd& r, Context& context) {
  if (r.R == 0) return;
  sumColumns<S, true>(r.x, r.y, r.R, r.C, context);
}

/// y = Σ of x, or of x², over n elements: sixteen lanes within blocks of 4096, fold over the blocks.
template <class S, bool squares>
void sumBlocks(const float* x, float* y, int64_t n, Context& context) {
  constexpr int64_t BLOCK = 4096;
  const int64_t blocks = pieces(n, BLOCK);
  float* partial = context.workspace;  // [blocks]
  context.team.parallel(blocks, [&](int64_t block) {
    const float* from = x + block * BLOCK;
    Lanes<S> lanes;
    lanes.take(least(n - block * BLOCK, BLOCK), [&](auto& lane, auto at) {
      const auto value = at.load(from);
      if constexpr (squares) {
        lane = S::fma(value, value, lane);
      } else {
        lane = lane + value;
      }
    });
    partial[block] = lanes.total();
  });
  float total = blocks == 0 ? 0 : partial[0];
  for (int64_t block = 1; block < blocks; block++) total += partial[block];
  *y = total;
}

template <class S>
void sum(const Sum& r, Context& context) {
  sumBlocks<S, false>(r.x, r.y, r.n, context);
}

template <class S>
void squaredNorm(const SquaredNorm& r, Context& context) {
  sumBlocks<S, true>(r.x, r.y, r.n, context);
}

}  // namespace seqgrad
