// Sums over rows and over whole tensors.
#include "../simd/lanes.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

/// y = Σ over R rows of x, R > 0, from column `begin` to `end` of C. Four rows meet each element of y at a time.
template <class S>
SEQGRAD_INLINE void sumOfRows(const float* x, float* y, int64_t R, int64_t C, int64_t begin, int64_t end) {
  for (int64_t row = 0; row < R; x += 4 * C) {
    const bool isFirst = row == 0;
    const int64_t left = R - row;
    row += 4;
    forVectors<S>(begin, end, [&](auto at) {
      auto sum = (isFirst ? S::zero() : at.load(y)) + at.load(x);
      if (left > 1) sum = sum + at.load(x + C);
      if (left > 2) sum = sum + at.load(x + 2 * C);
      if (left > 3) sum = sum + at.load(x + 3 * C);
      at.store(y, sum);
    });
  }
}

/// x [R, C], y [C]: sums of 64 rows each, then a fold over them. Rows are read as they lie in memory.
template <class S, bool adds>
void sumColumns(const float* x, float* y, int64_t R, int64_t C, Context& context) {
  constexpr int64_t ROWS = 64, COLUMNS = 512;
  const int64_t blocks = pieces(R, ROWS), parts = pieces(C, COLUMNS);
  float* partial = context.workspace;  // [blocks][C]
  share(context, Cut(blocks * parts, rowsOf(STREAMED, ROWS * least(C, COLUMNS))), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t block = i / parts, column = i % parts * COLUMNS;
      const float* rows = x + block * ROWS * C;
      sumOfRows<S>(rows, partial + block * C, least(R - block * ROWS, ROWS), C, column, least(column + COLUMNS, C));
    }
  });
  share(context, Cut(C, rowsOf(STREAMED, blocks), 16), [&](int64_t begin, int64_t end) {
    forVectors<S>(begin, end, [&](auto at) {
      auto total = blocks == 0 ? S::zero() : at.load(partial);
      for (int64_t block = 1; block < blocks; block++) total = total + at.load(partial + block * C);
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
  share(context, Cut(blocks, STREAMED / BLOCK), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
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
    }
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

SEQGRAD_KERNEL(columnSum, ColumnSum);
SEQGRAD_KERNEL(columnSumAdd, ColumnSumAdd);
SEQGRAD_KERNEL(sum, Sum);
SEQGRAD_KERNEL(squaredNorm, SquaredNorm);

}  // namespace seqgrad
