// What will be met soon, fetched while products are made of what is there.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../simd/fetch.h"

namespace seqgrad {

/// Rows of tensors, fetched one by one: the rows of a head lie scattered, and a core waits for few of them at a time.
class Upcoming {
 public:
  SEQGRAD_INLINE void clear() { first_ = end_ = 0; }
  /// So many rows of `width` elements, `step` apart.
  SEQGRAD_INLINE void read(const float* from, ptrdiff_t step, int64_t rows, int64_t width) {
    add({from, step, rows, width, false});
  }
  SEQGRAD_INLINE void write(const float* to, ptrdiff_t step, int64_t rows, int64_t width) {
    add({to, step, rows, width, true});
  }
  SEQGRAD_INLINE bool isEmpty() const { return first_ == end_; }
  SEQGRAD_INLINE void fetchRow() {
    if (isEmpty()) return;
    Rows& its = rows_[first_];
    for (int64_t i = 0; i < its.width; i += LINE) its.areWritten ? fetchToWrite(its.at + i) : fetch(its.at + i);
    its.at += its.step;
    if (--its.count == 0) first_++;
  }

 private:
  struct Rows {
    const float* at;
    ptrdiff_t step;
    int64_t count, width;
    bool areWritten;
  };
  static constexpr int MOST = 8;

  SEQGRAD_INLINE void add(const Rows& rows) {
    if (rows.count > 0 && end_ < MOST) rows_[end_++] = rows;
  }

  Rows rows_[MOST];
  int first_ = 0, end_ = 0;
};

}  // namespace seqgrad
