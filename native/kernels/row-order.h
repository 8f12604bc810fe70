// Rows of a batch in the order of their lengths, the longest first: those that have a step t are then the first ones,
// and a step works on nothing else.
#pragma once
#include <cstdint>

#include "../simd/inline.h"

namespace seqgrad {

/// Some places of an order: rows[i] is the row of the batch at place i.
struct Rows {
  const int32_t* rows;
  int64_t count;
};

/// The rows of a tile; row i of the tile is row b[i] of the batch.
template <int count>
struct TileRows {
  int64_t b[count];
  SEQGRAD_INLINE explicit TileRows(const int32_t* rows) {
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) b[i] = rows[i];
  }
};

class RowOrder {
 public:
  /// The order of B rows for T ≥ 1 steps, in `workspace` [elements(T, B)]. Rows of one length keep their order.
  RowOrder(const int32_t* lengths, int64_t T, int64_t B, float* workspace)
      : lengths_(lengths), T_(T), B_(B), rows_(reinterpret_cast<int32_t*>(workspace)), live_(rows_ + B) {
    for (int64_t t = 0; t <= T; t++) live_[t] = 0;
    for (int64_t b = 0; b < B; b++) live_[lengthOf(b)]++;
    for (int64_t t = T - 1; t >= 0; t--) live_[t] += live_[t + 1];
    // live_[n] counts the rows of n steps or more; as each of n takes its place, those of more than n are left.
    for (int64_t b = B - 1; b >= 0; b--) rows_[--live_[lengthOf(b)]] = static_cast<int32_t>(b);
  }

  /// Elements of the workspace: whole cache lines.
  static SEQGRAD_INLINE int64_t elements(int64_t T, int64_t B) { return (B + T + 1 + 15) / 16 * 16; }

  /// How many steps row b has: its length, but never below 0 or beyond T.
  SEQGRAD_INLINE int64_t lengthOf(int64_t b) const {
    return lengths_ == nullptr || lengths_[b] > T_ ? T_ : lengths_[b] < 0 ? 0 : lengths_[b];
  }

  /// The rows that have step t, and those that lack the last step.
  SEQGRAD_INLINE Rows having(int64_t t) const { return {rows_, live_[t]}; }
  SEQGRAD_INLINE Rows ended() const { return {rows_ + live_[T_ - 1], B_ - live_[T_ - 1]}; }

 private:
  const int32_t* lengths_;
  int64_t T_, B_;
  int32_t* rows_;  // [B]
  int32_t* live_;  // [T + 1]: how many rows have step t
};

}  // namespace seqgrad
