// Attention of several heads without a matrix of all pairs: blocks of 64 queries meet blocks of 64 keys one after the
// other (Dao et al. 2022, "FlashAttention"). Names follow the reference.
//
// Pairs are held key by key, a row of queries for each key: what happens to the softmax of a query happens to a lane,
// so that maxima and sums need nothing across lanes. Some blocks of queries go together, so that keys, values and their
// gradients, which lie scattered over the memory, are fetched once for all of them.
#pragma once
#include <atomic>
#include <cstring>

#include "../simd/lanes.h"
#include "../simd/math.h"
#include "../simd/tile.h"
#include "philox.h"
#include "tickets.h"

namespace seqgrad {

/// Queries and keys of a block: where sums are cut.
constexpr int64_t BLOCK = 64;
/// Blocks of queries that go together at most.
constexpr int64_t GROUP = 4;
/// How many lanes have memory of their own at most.
constexpr int64_t WORKERS = 32;

/// Calls `work(item, memory)` for all items; whoever works has so many elements of memory to himself.
template <class Work>
SEQGRAD_INLINE void shareWithMemory(Context& context, int64_t items, int64_t grain, int64_t elements,
                                    const Work& work) {
  if (items == 0) return;
  const int64_t most = least<int64_t>(least<int64_t>(context.team.lanes(), WORKERS), items / grain);
  std::atomic<int64_t> next{0};
  context.team.parallel(most < 1 ? 1 : most, [&](int64_t worker) {
    float* memory = context.workspace + worker * elements;
    for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items && !context.team.isCancelled();) {
      work(item, memory);
    }
  });
}

/// n elements with room for the last vector.
SEQGRAD_INLINE int64_t padded(int64_t n) { return n + 16; }
template <class S>
constexpr SEQGRAD_INLINE int64_t wholeVectors(int64_t n) {
  return pieces<int64_t>(n, S::lanes) * S::lanes;
}

/// One head of one row of the batch. Rows of Q, K and V are `step` elements apart, those of y and dy `width`.
template <class Record>
struct Head {
  const Record& r;
  int64_t number, T, HS, step, width;
  float scale;
  const float *q, *k, *v;
  const int32_t* mask;  // null, or one of each key

  SEQGRAD_INLINE Head(const Record& record, int64_t head)
      : r(record), number(head), T(r.T), HS(r.HS), step(int64_t{3} * r.NH * r.HS), width(int64_t{r.NH} * r.HS) {
    scale = 1.0f / __builtin_sqrtf(static_cast<float>(HS));
    const int64_t b = head / r.NH, h = head % r.NH;
    q = r.qkv + b * T * step + h * HS;
    k = q + width;
    v = k + width;
    mask = r.mask == nullptr ? nullptr : r.mask + b * T;
  }
  /// Where row t of the head begins in y or dy.
  SEQGRAD_INLINE int64_t inOutput(int64_t t) const { return (number / r.NH * T + t) * width + number % r.NH * HS; }
  SEQGRAD_INLINE bool isMasked(int64_t key) const { return mask != nullptr && mask[key] == 0; }
  /// Keys of the block that begins there, up to the last one that is not masked.
  SEQGRAD_INLINE int64_t keysFrom(int64_t key) const {
    int64_t keys = least(T - key, BLOCK);
    while (keys > 0 && isMasked(key + keys - 1)) keys--;
    return keys;
  }
};

/// A block of queries and a block of keys. All pairs are computed; `hides` tells whether some must not be seen.
struct Pairs {
  int64_t query, queries, key, keys;
  bool hides;

  template <class Record>
  SEQGRAD_INLINE Pairs(const Head<Record>& head, int64_t firstQuery, int64_t firstKey, int64_t keyCount)
      : query(firstQuery), queries(least(head.T - firstQuery, BLOCK)), key(firstKey), keys(keyCount), hides(false) {
    for (int64_t j = 0; j < keys && !hides; j++) hides = head.isMasked(key + j);
    hides = hides || (head.r.causal != 0 && key + keys > query + 1);
  }
};

/// value where key j is seen by the queries from `query` on, else `hidden`.
template <class S, class Record>
SEQGRAD_INLINE typename S::Floats whereSeen(const Head<Record>& head, int64_t query, int64_t j,
                                            typename S::Floats value, typename S::Floats hidden) {
  if (head.isMasked(j)) return hidden;
  if (head.r.causal == 0) return value;
  const auto distance = S::toFloats(S::iota()) + S::broadcast(static_cast<float>(query - j));
  return S::select(distance >= S::zero(), value, hidden);
}

/// Rows of tensors that will be met soon, fetched one by one while products are made of what is there: the rows of a
/// head lie scattered, and a core waits for few of them at a time.
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
  template <class Record>
  void readKeys(const Head<Record>& head, int64_t key) {
    const int64_t keys = least(head.T - key, BLOCK);
    read(head.k + key * head.step, head.step, keys, head.HS);
    read(head.v + key * head.step, head.step, keys, head.HS);
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
  static constexpr int64_t LINE = 16;

  SEQGRAD_INLINE void add(const Rows& rows) {
    if (rows.count > 0 && end_ < MOST) rows_[end_++] = rows;
  }

  Rows rows_[MOST];
  int first_ = 0, end_ = 0;
};

/// c [rows][columns] = Σ over K of a left factor and a panel [K][columns], both in the core's cache. Rows of c and of
/// the panel have room for whole vectors.
struct BlockProduct {
  int64_t rows, columns, K;
  const float* panel;
  int64_t panelRow;
  float* c;
  int64_t cRow;
  bool adds = false;               // to what c holds
  const float* factors = nullptr;  // what each row of c is multiplied by before it is added to
};

template <class S, int rows, int vectors, class Left>
void blockTile(const BlockProduct& product, Left a, int64_t row, int64_t column, Upcoming& upcoming) {
  typename S::Floats sum[rows][vectors];
  multiplyTile<S>(a, product.panel + column, product.panelRow, product.K, sum,
                  aheadIf(!upcoming.isEmpty(), [&](int) { upcoming.fetchRow(); }));
  // Apart from the product, which stores might change for all that is known.
  float* first = product.c + row * product.cRow + column;
  const int64_t cRow = product.cRow;
  const auto finish = [&](const auto& finished) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      float* c = first + r * cRow;
#pragma GCC unroll 8
      for (int v = 0; v < vectors; v++) S::store(c + v * S::lanes, finished(c + v * S::lanes, sum[r][v], r));
    }
  };
  using Floats = typename S::Floats;
  if (product.factors != nullptr) {
    const float* factors = product.factors + row;
    finish([&](const float* c, Floats value, int r) { return S::broadcast(factors[r]) * S::load(c) + value; });
  } else if (product.adds) {
    finish([](const float* c, Floats value, int) { return S::load(c) + value; });
  } else {
    finish([](const float*, Floats value, int) { return value; });
  }
}

/// `left(row)` gives the left factor from that row on.
template <class S, class Left>
void multiplyBlock(const BlockProduct& product, const Left& left, Upcoming& upcoming) {
  constexpr int64_t WIDTH = S::tileVectors * S::lanes;
  const Tiling tiling(product.rows, S::tileRows);
  for (int64_t column = 0; column < product.columns; column += WIDTH) {
    const int64_t columns = least(product.columns - column, WIDTH);
    for (int64_t tile = 0; tile < tiling.tiles; tile++) {
      const int64_t row = tiling.start(tile);
      withConstant<S::tileRows>(tiling.size(tile), [&](auto rows) {
        withConstant<S::tileVectors>(static_cast<int>(pieces<int64_t>(columns, S::lanes)), [&](auto vectors) {
          blockTile<S, rows.value, vectors.value>(product, left(row), row, column, upcoming);
        });
      });
    }
  }
}

/// Rows of a left factor that lie `step` apart in memory, and such that lie across.
SEQGRAD_INLINE auto rowsAt(const float* rows, int64_t step) {
  return [=](int64_t row) { return RowMajor{rows + row * step, step}; };
}
SEQGRAD_INLINE auto columnsAt(const float* columns, int64_t step) {
  return [=](int64_t row) { return ColumnMajor{columns + row, step}; };
}

/// to [rows][wide] = factor · from, with zeros up to whole vectors.
template <class S>
void pack(const float* from, int64_t step, int64_t rows, int64_t HS, float factor, float* to) {
  const int64_t wide = wholeVectors<S>(HS);
  for (int64_t row = 0; row < rows; row++, from += step, to += wide) {
    forVectors<S>(0, HS, [&](auto at) { S::store(to + at.index, S::broadcast(factor) * at.load(from)); });
  }
}

/// to [HS][BLOCK] = from [rows][wide], its rows as columns; columns behind the last one are 0 up to whole vectors.
template <class S>
void packAcross(const float* from, int64_t rows, int64_t HS, float* to) {
  packPanel<S>(from, 1, wholeVectors<S>(HS), HS, rows, to, BLOCK, static_cast<int>(wholeVectors<S>(rows)));
}

/// to [keys][wide] = rows of K or V; those of masked keys are 0, whatever they hold.
template <class S, class Record>
void packKeys(const Head<Record>& head, int64_t key, int64_t keys, const float* rows, float* to) {
  pack<S>(rows + key * head.step, head.step, keys, head.HS, 1.0f, to);
  const int64_t wide = wholeVectors<S>(head.HS);
  for (int64_t j = 0; j < keys; j++) {
    if (!head.isMasked(key + j)) continue;
    for (int64_t i = 0; i < wide; i += S::lanes) S::store(to + j * wide + i, S::zero());
  }
}

/// to, rows `step` apart = factors · from [rows][wide]
template <class S>
void unpack(const float* from, int64_t rows, int64_t HS, const float* factors, float* to, int64_t step) {
  const int64_t wide = wholeVectors<S>(HS);
  for (int64_t row = 0; row < rows; row++, from += wide, to += step) {
    const auto factor = S::broadcast(factors == nullptr ? 1.0f : factors[row]);
    forVectors<S>(0, HS, [&](auto at) { at.store(to, at.load(from) * factor); });
  }
}

/// pairs [keys][BLOCK] = k · scale·q, or v · dy: rows [keys][wide] by queries that were packed across.
template <class S>
SEQGRAD_INLINE void multiplyPairs(const float* rows, const Pairs& pairs, int64_t HS, const float* across, float* to,
                                  Upcoming& upcoming) {
  multiplyBlock<S>(BlockProduct{pairs.keys, wholeVectors<S>(pairs.queries), HS, across, BLOCK, to, BLOCK},
                   rowsAt(rows, wholeVectors<S>(HS)), upcoming);
}

/// Calls `work(j, keep)` for a vector of queries and keys[begin … end), begin a multiple of 4: `keep` is what dropout
/// makes of a probability of 1, keepScale or 0.
template <class S, class Record, class Work>
SEQGRAD_INLINE void forKept(const Record& r, const float* counters, int64_t begin, int64_t end, const Work& work) {
  constexpr int AT_ONCE = 2;
  const auto first = S::bitsOf(S::load(counters));
  for (int64_t j = begin; j < end; j += 4 * AT_ONCE) {
    typename S::Ints counter[AT_ONCE], word[AT_ONCE][4];
    for (int i = 0; i < AT_ONCE; i++) counter[i] = first + S::broadcast(static_cast<int32_t>(j / 4 + i));
    philox<S>(counter, r.stream, r.random, word);
    for (int i = 0; i < 4 * AT_ONCE && j + i < end; i++) {
      work(j + i,
           S::select(uniform<S>(word[i / 4][i % 4]) >= S::broadcast(r.rate), S::broadcast(r.keepScale), S::zero()));
    }
  }
}

/// The counters of dropout of a block of queries at key 0, one word each.
template <class Record>
void countersOf(const Head<Record>& head, int64_t query, float* to) {
  if (head.r.random == nullptr) return;
  const int64_t ofRow = pieces<int64_t>(head.T, 4);
  for (int64_t i = 0; i < BLOCK; i++) {
    const auto counter = static_cast<uint32_t>((head.number * head.T + query + i) * ofRow);
    std::memcpy(to + i, &counter, sizeof counter);
  }
}

/// Calls `write(query, key, value)` for all pairs.
template <class Write>
void forPairs(const Pairs& pairs, const float* values, const Write& write) {
  for (int64_t i = 0; i < pairs.queries; i++) {
    for (int64_t j = 0; j < pairs.keys; j++) write(pairs.query + i, pairs.key + j, values[j * BLOCK + i]);
  }
}

/// Hands out the memory of a worker.
struct Supply {
  float* next;
  SEQGRAD_INLINE float* take(int64_t elements) {
    float* taken = next;
    next += elements;
    return taken;
  }
};

}  // namespace seqgrad
