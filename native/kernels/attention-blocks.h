// Attention of several heads without a matrix of all pairs: blocks of 64 queries meet blocks of 64 keys one after the
// other (Dao et al. 2022, "FlashAttention"). Names follow the reference. How their products are made, and by whom:
// block-products.h; what differs else is in Course.
//
// Pairs are held key by key, a row of queries for each key: what happens to the softmax of a query happens to a lane,
// so that maxima and sums need nothing across lanes. Some blocks of queries go together, so that keys, values and their
// gradients, which lie scattered over the memory, are fetched once for all of them.
#pragma once
#include <atomic>
#include <cstring>

#include "../simd/lanes.h"
#include "../simd/math.h"
#include "block-products.h"
#include "philox.h"
#include "tickets.h"

namespace seqgrad {

/// Queries and keys of a block: where sums are cut.
constexpr int64_t BLOCK = 64;

/// What differs with who multiplies.
template <class Blocks>
struct Course;
template <class S>
struct Course<FloatBlocks<S>> {
  /// Blocks of queries that go together at most.
  static constexpr int64_t GROUP = 4;
  /// What exponentials are relative to is a score that others exceed by no more than this.
  static constexpr float SLACK = 0;
};
/// Keys are packed for a group, so it is large. Where the largest score grows all sums are scaled, apart from products,
/// so it is kept for long.
template <class S>
struct Course<UnitBlocks<S>> {
  static constexpr int64_t GROUP = 8;
  static constexpr float SLACK = 8;
};

/// Hands out elements, or only counts them where there are none.
struct Supply {
  float* start = nullptr;
  int64_t taken = 0;
  SEQGRAD_INLINE float* take(int64_t elements) {
    float* its = start == nullptr ? nullptr : start + taken;
    taken += elements;
    return its;
  }
};

/// Calls `work(item, memory)` for all items; whoever works has a Memory(supply, HS) to himself.
template <class Memory, class Work>
SEQGRAD_INLINE void shareWithMemory(Context& context, int64_t items, int64_t grain, int64_t HS, const Work& work) {
  if (items == 0) return;
  const int64_t most = least<int64_t>(context.team.lanes(), items / grain);
  Supply counted;
  const Memory none(counted, HS);
  std::atomic<int64_t> next{0};
  context.team.parallel(most < 1 ? 1 : most, [&](int64_t worker) {
    Supply supply{context.workspace + worker * counted.taken};
    Memory memory(supply, HS);
    [[maybe_unused]] const typename Memory::Unit unit;
    for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items && !context.team.isCancelled();) {
      work(item, memory);
    }
  });
}

/// n elements with room for the last vector.
SEQGRAD_INLINE int64_t padded(int64_t n) { return n + 16; }

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

/// A block of keys and values will be met.
template <class Record>
SEQGRAD_INLINE void readKeys(const Head<Record>& head, int64_t key, Upcoming& upcoming) {
  const int64_t keys = least(head.T - key, BLOCK);
  upcoming.read(head.k + key * head.step, head.step, keys, head.HS);
  upcoming.read(head.v + key * head.step, head.step, keys, head.HS);
}

/// to [rows][wide] = factor · from, with zeros up to whole vectors.
template <class S>
void pack(const float* from, int64_t step, int64_t rows, int64_t HS, float factor, float* to) {
  const int64_t wide = wholeVectors<S>(HS);
  for (int64_t row = 0; row < rows; row++, from += step, to += wide) {
    forVectors<S>(0, HS, [&](auto at) { S::store(to + at.index, S::broadcast(factor) * at.load(from)); });
  }
}

/// Rows that were packed.
template <class S>
SEQGRAD_INLINE Block packedRows(const float* packed, int64_t rows, int64_t HS) {
  return {packed, rows, HS, wholeVectors<S>(HS)};
}
/// Keys by queries.
SEQGRAD_INLINE Block blockOf(const Pairs& pairs, const float* values) {
  return {values, pairs.keys, pairs.queries, BLOCK};
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

/// The same of from [HS][BLOCK], by way of rows [rows][wide].
template <class S>
void unpackAcross(const float* from, int64_t rows, int64_t HS, const float* factors, float* way, float* to,
                  int64_t step) {
  const int64_t wide = wholeVectors<S>(HS);
  packPanel<S>(from, 1, BLOCK, rows, HS, way, wide, static_cast<int>(wide));
  unpack<S>(way, rows, HS, factors, to, step);
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

/// Calls `body` with who multiplies: the unit where it is sooner done, with all that is packed for it.
template <class S, class Record, class Body>
void withBlocks(const Record& r, const Context& context, const Body& body) {
  if constexpr (S::hasBfloat16) {
    constexpr int64_t WIDE = 32, LONG = 96;
    if (context.bfloat16 == Bfloat16::amx && r.HS >= WIDE && r.T >= LONG) return body(UnitBlocks<S>{});
  }
  body(FloatBlocks<S>{});
}

}  // namespace seqgrad
