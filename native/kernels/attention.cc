// Attention of several heads without a matrix of all pairs: blocks of 64 queries meet blocks of 64 keys one after the
// other (Dao et al. 2022, "FlashAttention"). Names follow the reference.
//
// Pairs are held key by key, a row of queries for each key: what happens to the softmax of a query happens to a lane,
// so that maxima and sums need nothing across lanes. Some blocks of queries go together, so that keys, values and their
// gradients, which lie scattered over the memory, are fetched once for all of them.
#include <atomic>
#include <cstring>

#include "../simd/lanes.h"
#include "../simd/math.h"
#include "../simd/tile.h"
#include "kernel.h"
#include "philox.h"
#include "tickets.h"

namespace seqgrad {

/// Queries and keys of a block: where sums are cut.
constexpr int64_t BLOCK = 64;
/// Blocks of queries that go together at most.
constexpr int64_t GROUP = 4;
/// How many lanes have memory of their own at most.
constexpr int64_t WORKERS = 32;
constexpr float LOWEST = -3.4028234663852886e38f;

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
void blockTile(const BlockProduct& product, Left a, int64_t row, int64_t column) {
  typename S::Floats sum[rows][vectors];
  multiplyTile<S>(a, product.panel + column, product.panelRow, product.K, sum, NothingAhead{});
  const auto finish = [&](const auto& finished) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      float* c = product.c + (row + r) * product.cRow + column;
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
void multiplyBlock(const BlockProduct& product, const Left& left) {
  constexpr int64_t WIDTH = S::tileVectors * S::lanes;
  const int64_t tiles = pieces<int64_t>(product.rows, S::tileRows);
  for (int64_t column = 0; column < product.columns; column += WIDTH) {
    const int64_t columns = least(product.columns - column, WIDTH);
    for (int64_t tile = 0; tile < tiles; tile++) {
      const int64_t row = product.rows * tile / tiles, end = product.rows * (tile + 1) / tiles;
      withConstant<S::tileRows>(static_cast<int>(end - row), [&](auto rows) {
        withConstant<S::tileVectors>(static_cast<int>(pieces<int64_t>(columns, S::lanes)), [&](auto vectors) {
          blockTile<S, rows.value, vectors.value>(product, left(row), row, column);
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
SEQGRAD_INLINE void multiplyPairs(const float* rows, const Pairs& pairs, int64_t HS, const float* across, float* to) {
  multiplyBlock<S>(BlockProduct{pairs.keys, wholeVectors<S>(pairs.queries), HS, across, BLOCK, to, BLOCK},
                   rowsAt(rows, wholeVectors<S>(HS)));
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

/// A block of queries on its way along the keys.
struct Queries {
  int64_t first;
  bool hasMet;      // some keys
  float* across;    // [HS][BLOCK] scale · q
  float* y;         // [BLOCK][wide]
  float* most;      // [BLOCK] the largest score, at last logSumExp
  float* sum;       // [BLOCK] of exponentials
  float* factor;    // [BLOCK] exp of what the largest score has grown, at last 1 / sum
  float* counters;  // [BLOCK] of dropout
};

/// The memory of whoever works on a group of queries.
struct ForwardMemory {
  Queries group[GROUP];
  float *keys, *values;  // [BLOCK][wide]
  float* pairs;          // [BLOCK][BLOCK] scores, then probabilities

  SEQGRAD_INLINE static int64_t elements(int64_t HS) {
    return BLOCK * (GROUP * (2 * padded(HS) + 4) + 2 * padded(HS) + BLOCK);
  }
  SEQGRAD_INLINE ForwardMemory(float* memory, int64_t HS) {
    Supply supply{memory};
    const int64_t size = BLOCK * padded(HS);
    keys = supply.take(size);
    values = supply.take(size);
    pairs = supply.take(BLOCK * BLOCK);
    for (Queries& its : group) {
      its.across = supply.take(size);
      its.y = supply.take(size);
      its.most = supply.take(BLOCK);
      its.sum = supply.take(BLOCK);
      its.factor = supply.take(BLOCK);
      its.counters = supply.take(BLOCK);
    }
  }
};

/// The softmax of a vector of queries goes on by a block of keys: scores become exponentials, kept or dropped.
template <class S, bool hides>
void exponentials(const Head<Attention>& head, const Pairs& pairs, const Queries& its, int64_t column, float* scores) {
  const auto at = [&](int64_t j) { return S::load(scores + j * BLOCK); };
  const auto seen = [&](int64_t j, auto value, auto hidden) {
    if constexpr (hides) {
      return whereSeen<S>(head, pairs.query + column, pairs.key + j, value, hidden);
    } else {
      return value;
    }
  };
  // Some maxima at a time: one alone would wait for each comparison.
  constexpr int64_t AT_ONCE = 4;
  const auto before = S::load(its.most + column);
  typename S::Floats maxima[AT_ONCE] = {before, before, before, before};
  int64_t j = 0;
  for (; j + AT_ONCE <= pairs.keys; j += AT_ONCE) {
    for (int64_t i = 0; i < AT_ONCE; i++) {
      maxima[i] = S::maxOrSecond(seen(j + i, at(j + i), S::broadcast(LOWEST)), maxima[i]);
    }
  }
  for (; j < pairs.keys; j++) maxima[0] = S::maxOrSecond(seen(j, at(j), S::broadcast(LOWEST)), maxima[0]);
  const auto largest = S::maxOrSecond(S::maxOrSecond(maxima[0], maxima[1]), S::maxOrSecond(maxima[2], maxima[3]));

  auto total = S::zero();
  const auto exponential = [&](int64_t key) {
    const auto p = seen(key, math::expNonPositive<S>(at(key) - largest), S::zero());
    total = total + p;
    return p;
  };
  if (head.r.random == nullptr) {
    for (j = 0; j < pairs.keys; j++) S::store(scores + j * BLOCK, exponential(j));
  } else {
    forKept<S>(head.r, its.counters + column, pairs.key, pairs.key + pairs.keys, [&](int64_t key, auto keep) {
      S::store(scores + (key - pairs.key) * BLOCK, exponential(key - pairs.key) * keep);
    });
  }
  const auto factor = math::expNonPositive<S>(before - largest);
  S::store(its.factor + column, factor);
  S::store(its.sum + column, factor * S::load(its.sum + column) + total);
  S::store(its.most + column, largest);
}

template <class S>
void begin(const Head<Attention>& head, Queries& its, const ForwardMemory& memory) {
  const int64_t queries = least(head.T - its.first, BLOCK);
  its.hasMet = false;
  pack<S>(head.q + its.first * head.step, head.step, queries, head.HS, head.scale, memory.keys);
  packAcross<S>(memory.keys, queries, head.HS, its.across);
  for (int64_t i = 0; i < BLOCK; i += S::lanes) {
    S::store(its.most + i, S::broadcast(LOWEST));
    S::store(its.sum + i, S::zero());
  }
  countersOf(head, its.first, its.counters);
}

template <class S>
void meet(const Head<Attention>& head, Queries& its, const Pairs& pairs, const ForwardMemory& memory) {
  multiplyPairs<S>(memory.keys, pairs, head.HS, its.across, memory.pairs);
  for (int64_t column = 0; column < wholeVectors<S>(pairs.queries); column += S::lanes) {
    if (pairs.hides) {
      exponentials<S, true>(head, pairs, its, column, memory.pairs + column);
    } else {
      exponentials<S, false>(head, pairs, its, column, memory.pairs + column);
    }
  }
  const int64_t wide = wholeVectors<S>(head.HS);
  BlockProduct weighted{pairs.queries, wide, pairs.keys, memory.values, wide, its.y, wide};
  if (its.hasMet) weighted.factors = its.factor;
  multiplyBlock<S>(weighted, columnsAt(memory.pairs, BLOCK));
  its.hasMet = true;
}

template <class S>
void finish(const Head<Attention>& head, const Queries& its) {
  const Attention& r = head.r;
  const int64_t HS = head.HS, queries = least(head.T - its.first, BLOCK);
  for (int64_t i = 0; i < BLOCK; i += S::lanes) {
    const auto sum = S::load(its.sum + i);
    const auto isEmpty = S::zero() >= sum;
    const auto logSumExp = S::load(its.most + i) + math::log<S>(sum);
    S::store(its.factor + i, S::select(isEmpty, S::zero(), S::broadcast(1.0f) / sum));
    S::store(its.most + i, S::select(isEmpty, S::broadcast(__builtin_inff()), logSumExp));
  }
  float* logSumExp = r.logSumExp + head.number * head.T + its.first;
  forVectors<S>(0, queries, [&](auto at) { at.store(logSumExp, at.load(its.most)); });
  if (!its.hasMet) {
    for (int64_t i = 0; i < BLOCK * wholeVectors<S>(HS); i += S::lanes) S::store(its.y + i, S::zero());
  }
  unpack<S>(its.y, queries, HS, its.factor, r.y + head.inOutput(its.first), head.width);
}

/// Scores and probabilities of a block of queries, computed once more for whoever wants to see them.
template <class S>
void inspect(const Head<Attention>& head, const Queries& its, const ForwardMemory& memory) {
  const Attention& r = head.r;
  const int64_t start = head.number * head.T * head.T;
  for (int64_t key = 0; key < head.T; key += BLOCK) {
    const Pairs pairs(head, its.first, key, least(head.T - key, BLOCK));
    pack<S>(head.k + key * head.step, head.step, pairs.keys, head.HS, 1.0f, memory.keys);  // masked ones too
    multiplyPairs<S>(memory.keys, pairs, head.HS, its.across, memory.pairs);
    if (r.scores != nullptr) {
      forPairs(pairs, memory.pairs, [&](int64_t t, int64_t j, float s) { r.scores[start + t * head.T + j] = s; });
    }
    if (r.probabilities == nullptr) continue;
    for (int64_t column = 0; column < wholeVectors<S>(pairs.queries); column += S::lanes) {
      const auto logSumExp = S::load(its.most + column);
      for (int64_t j = 0; j < pairs.keys; j++) {
        float* s = memory.pairs + j * BLOCK + column;
        const auto p = math::expNonPositive<S>(S::load(s) - logSumExp);
        S::store(s, whereSeen<S>(head, its.first + column, key + j, p, S::zero()));
      }
    }
    forPairs(pairs, memory.pairs, [&](int64_t t, int64_t j, float p) { r.probabilities[start + t * head.T + j] = p; });
  }
}

/// Some blocks of queries of a head meet all keys that they see.
template <class S>
void attend(const Head<Attention>& head, int64_t firstBlock, int64_t blocks, ForwardMemory& memory) {
  for (int64_t i = 0; i < blocks; i++) {
    memory.group[i].first = (firstBlock + i) * BLOCK;
    begin<S>(head, memory.group[i], memory);
  }
  const int64_t end = head.r.causal != 0 ? memory.group[blocks - 1].first + 1 : head.T;
  for (int64_t key = 0; key < end; key += BLOCK) {
    const int64_t keys = head.keysFrom(key);
    if (keys == 0) continue;
    packKeys<S>(head, key, keys, head.k, memory.keys);
    packKeys<S>(head, key, keys, head.v, memory.values);
    for (int64_t i = 0; i < blocks; i++) {
      Queries& its = memory.group[i];
      if (head.r.causal == 0 || key <= its.first) meet<S>(head, its, Pairs(head, its.first, key, keys), memory);
    }
  }
  for (int64_t i = 0; i < blocks; i++) {
    finish<S>(head, memory.group[i]);
    if (head.r.scores != nullptr || head.r.probabilities != nullptr) inspect<S>(head, memory.group[i], memory);
  }
}

/// qkv [B, T, 3·NH·HS], y [B, T, NH·HS], logSumExp [B, NH, T]
template <class S>
void attention(const Attention& r, Context& context) {
  const int64_t T = r.T, blocks = pieces(T, BLOCK), heads = int64_t{r.B} * r.NH;
  const int64_t fair = heads * blocks / (2 * context.team.lanes());
  const int64_t size = least(GROUP, fair < 1 ? 1 : fair), groups = pieces(blocks, size);
  const int64_t grain = rowsOf(LEAST_PRODUCT, 2 * size * BLOCK * T * r.HS);
  shareWithMemory(context, heads * groups, grain, ForwardMemory::elements(r.HS), [&](int64_t item, float* start) {
    const int64_t first = item % groups * size;
    ForwardMemory memory(start, r.HS);
    attend<S>(Head<Attention>(r, item / groups), first, least(blocks - first, size), memory);
  });
}

/// A block of queries with what comes back to it.
struct Returning {
  int64_t first;
  bool hasMet;            // some keys
  float* across;          // [HS][BLOCK] scale · q
  float* along;           // [BLOCK][wide] scale · q
  float* upstreamAcross;  // [HS][BLOCK] dy
  float* upstream;        // [BLOCK][wide] dy
  float* dq;              // [BLOCK][wide]
  float* logSumExp;       // [BLOCK]
  float* D;               // [BLOCK]
  float* counters;        // [BLOCK] of dropout
};

/// The memory of whoever works on a head.
struct BackwardMemory {
  Returning group[GROUP];
  float *keys, *values, *dk, *dv;  // [BLOCK][wide]
  float* p;                        // [BLOCK][BLOCK] scores, then what dropout leaves of the probabilities
  float* ds;                       // [BLOCK][BLOCK] dr, then ds

  SEQGRAD_INLINE static int64_t elements(int64_t HS) {
    return BLOCK * (GROUP * (5 * padded(HS) + 3) + 4 * padded(HS) + 2 * BLOCK);
  }
  SEQGRAD_INLINE BackwardMemory(float* memory, int64_t HS) {
    Supply supply{memory};
    const int64_t size = BLOCK * padded(HS);
    keys = supply.take(size);
    values = supply.take(size);
    dk = supply.take(size);
    dv = supply.take(size);
    p = supply.take(BLOCK * BLOCK);
    ds = supply.take(BLOCK * BLOCK);
    for (Returning& its : group) {
      its.across = supply.take(size);
      its.along = supply.take(size);
      its.upstreamAcross = supply.take(size);
      its.upstream = supply.take(size);
      its.dq = supply.take(size);
      its.logSumExp = supply.take(BLOCK);
      its.D = supply.take(BLOCK);
      its.counters = supply.take(BLOCK);
    }
  }
};

/// A vector of queries: from scores and dr in memory.p and memory.ds to r and ds. Who inspects gets dp in place of r.
template <class S, bool hides, bool inspects>
void scoreGradients(const Head<AttentionBackward>& head, const Pairs& pairs, const Returning& its, int64_t column,
                    const BackwardMemory& memory) {
  const auto logSumExp = S::load(its.logSumExp + column), D = S::load(its.D + column);
  const auto seen = [&](int64_t j, auto value) {
    if constexpr (hides) {
      return whereSeen<S>(head, pairs.query + column, pairs.key + j, value, S::zero());
    } else {
      return value;
    }
  };
  const auto step = [&](int64_t j, const auto& kept) {
    float *p = memory.p + j * BLOCK + column, *ds = memory.ds + j * BLOCK + column;
    const auto probability = seen(j, math::expNonPositive<S>(S::load(p) - logSumExp));
    const auto dp = kept(S::load(ds));
    S::store(ds, seen(j, probability * (dp - D)));
    if constexpr (inspects) {
      S::store(p, S::select(logSumExp >= S::broadcast(__builtin_inff()), S::zero(), dp));
    } else {
      S::store(p, kept(probability));
    }
  };
  if (head.r.random == nullptr) {
    for (int64_t j = 0; j < pairs.keys; j++) step(j, [](auto value) { return value; });
    return;
  }
  forKept<S>(head.r, its.counters + column, pairs.key, pairs.key + pairs.keys,
             [&](int64_t key, auto keep) { step(key - pairs.key, [&](auto value) { return value * keep; }); });
}

template <class S, bool hides, bool inspects = false>
void pairGradients(const Head<AttentionBackward>& head, const Pairs& pairs, const Returning& its,
                   const BackwardMemory& memory) {
  multiplyPairs<S>(memory.keys, pairs, head.HS, its.across, memory.p);
  multiplyPairs<S>(memory.values, pairs, head.HS, its.upstreamAcross, memory.ds);
  for (int64_t column = 0; column < wholeVectors<S>(pairs.queries); column += S::lanes) {
    scoreGradients<S, hides, inspects>(head, pairs, its, column, memory);
  }
}

/// The gradients of a block of queries' probabilities and scores, for whoever wants to see them.
template <class S>
void inspectBackward(const Head<AttentionBackward>& head, const Returning& its, const BackwardMemory& memory) {
  const AttentionBackward& r = head.r;
  const int64_t start = head.number * head.T * head.T;
  for (int64_t key = 0; key < head.T; key += BLOCK) {
    const Pairs pairs(head, its.first, key, least(head.T - key, BLOCK));
    pack<S>(head.k + key * head.step, head.step, pairs.keys, head.HS, 1.0f, memory.keys);  // masked ones too
    pack<S>(head.v + key * head.step, head.step, pairs.keys, head.HS, 1.0f, memory.values);
    pairGradients<S, true, true>(head, pairs, its, memory);
    const auto write = [&](float* to, const float* values) {
      if (to == nullptr) return;
      forPairs(pairs, values, [&](int64_t t, int64_t j, float value) { to[start + t * head.T + j] = value; });
    };
    write(r.dProbabilities, memory.p);
    write(r.dScores, memory.ds);
  }
}

/// products [BLOCK] = Σ over HS elements of a row of a and of b. The sixteen sums of all rows are added up side by
/// side.
template <class S>
void dotRows(const float* a, const float* b, int64_t bStep, int64_t rows, int64_t HS, const BackwardMemory& memory,
             float* products) {
  constexpr int64_t LANES = 16;
  float *along = memory.p, *across = memory.ds;  // [BLOCK][LANES], [LANES][BLOCK]
  for (int64_t i = 0; i < BLOCK; i++) {
    Lanes<S> lanes;
    if (i < rows) {
      const float *left = a + i * wholeVectors<S>(HS), *right = b + i * bStep;
      lanes.take(HS, [&](auto& lane, auto at) { lane = S::fma(at.load(left), at.load(right), lane); });
    }
    for (int v = 0; v < Lanes<S>::vectors; v++) S::store(along + i * LANES + v * S::lanes, lanes.lane[v]);
  }
  for (int64_t i = 0; i < BLOCK; i += S::lanes) {
    for (int64_t l = 0; l < LANES; l += S::lanes) {
      S::transpose(along + i * LANES + l, LANES, across + l * BLOCK + i, BLOCK);
    }
    typename S::Floats part[LANES];
    for (int l = 0; l < LANES; l++) part[l] = S::load(across + l * BLOCK + i);
    for (int half = LANES / 2; half > 0; half /= 2) {
      for (int l = 0; l < half; l++) part[l] = part[l] + part[l + half];
    }
    S::store(products + i, part[0]);
  }
}

template <class S>
void begin(const Head<AttentionBackward>& head, Returning& its, const BackwardMemory& memory) {
  const AttentionBackward& r = head.r;
  const int64_t HS = head.HS, queries = least(head.T - its.first, BLOCK), output = head.inOutput(its.first);
  its.hasMet = false;
  pack<S>(head.q + its.first * head.step, head.step, queries, HS, head.scale, its.along);
  packAcross<S>(its.along, queries, HS, its.across);
  pack<S>(r.dy + output, head.width, queries, HS, 1.0f, its.upstream);
  packAcross<S>(its.upstream, queries, HS, its.upstreamAcross);
  const float* logSumExp = r.logSumExp + head.number * head.T + its.first;
  for (int64_t i = 0; i < BLOCK; i++) its.logSumExp[i] = i < queries ? logSumExp[i] : 0;
  dotRows<S>(its.upstream, r.y + output, head.width, queries, HS, memory, its.D);
  countersOf(head, its.first, its.counters);
}

/// Adds to dk and dv of the keys or, if these are the first queries that they meet, gives them; adds to dq of the
/// queries.
template <class S, bool forKeys, bool forQueries>
void meet(const Head<AttentionBackward>& head, Returning& its, const Pairs& pairs, bool areFirst,
          const BackwardMemory& memory) {
  if (pairs.hides) {
    pairGradients<S, true>(head, pairs, its, memory);
  } else {
    pairGradients<S, false>(head, pairs, its, memory);
  }
  const int64_t wide = wholeVectors<S>(head.HS), keys = pairs.keys, queries = pairs.queries;
  if constexpr (forKeys) {
    multiplyBlock<S>(BlockProduct{keys, wide, queries, its.upstream, wide, memory.dv, wide, !areFirst},
                     rowsAt(memory.p, BLOCK));
    multiplyBlock<S>(BlockProduct{keys, wide, queries, its.along, wide, memory.dk, wide, !areFirst},
                     rowsAt(memory.ds, BLOCK));
  }
  if constexpr (forQueries) {
    multiplyBlock<S>(BlockProduct{queries, wide, keys, memory.keys, wide, its.dq, wide, its.hasMet},
                     columnsAt(memory.ds, BLOCK));
    its.hasMet = true;
  }
}

template <class S>
void finish(const Head<AttentionBackward>& head, const Returning& its) {
  const int64_t queries = least(head.T - its.first, BLOCK);
  if (!its.hasMet) {
    for (int64_t i = 0; i < BLOCK * wholeVectors<S>(head.HS); i += S::lanes) S::store(its.dq + i, S::zero());
  }
  float factors[BLOCK];
  for (float& factor : factors) factor = head.scale;
  unpack<S>(its.dq, queries, head.HS, factors, head.r.dqkv + (head.q - head.r.qkv) + its.first * head.step, head.step);
}

/// A run of blocks.
struct Run {
  int64_t first, end;
};

/// Some blocks of queries of a head meet those of some blocks of keys that they see.
template <class S, bool forKeys, bool forQueries>
void attendBackward(const Head<AttentionBackward>& head, Run queries, Run keyBlocks, BackwardMemory& memory) {
  const AttentionBackward& r = head.r;
  const int64_t HS = head.HS, step = head.step, first = queries.first * BLOCK, blocks = queries.end - queries.first;
  for (int64_t i = 0; i < blocks; i++) {
    memory.group[i].first = first + i * BLOCK;
    begin<S>(head, memory.group[i], memory);
  }
  const int64_t end = r.causal != 0 ? least(keyBlocks.end, queries.end) : keyBlocks.end;
  for (int64_t block = keyBlocks.first; block < end; block++) {
    const int64_t key = block * BLOCK, keys = head.keysFrom(key);
    if (keys == 0) continue;
    packKeys<S>(head, key, keys, head.k, memory.keys);
    packKeys<S>(head, key, keys, head.v, memory.values);
    float *dk = r.dqkv + (head.k - r.qkv) + key * step, *dv = dk + head.width;
    bool areFirst = r.causal != 0 ? first <= key : first == 0;
    if (forKeys && !areFirst) {
      pack<S>(dk, step, keys, HS, 1.0f, memory.dk);
      pack<S>(dv, step, keys, HS, 1.0f, memory.dv);
    }
    for (int64_t i = 0; i < blocks; i++) {
      Returning& its = memory.group[i];
      if (r.causal != 0 && key > its.first) continue;
      meet<S, forKeys, forQueries>(head, its, Pairs(head, its.first, key, keys), areFirst, memory);
      areFirst = false;
    }
    if (!forKeys) continue;
    unpack<S>(memory.dk, keys, HS, nullptr, dk, step);
    unpack<S>(memory.dv, keys, HS, nullptr, dv, step);
  }
  if (!forQueries) return;
  for (int64_t i = 0; i < blocks; i++) {
    finish<S>(head, memory.group[i]);
    if (r.dProbabilities != nullptr || r.dScores != nullptr) inspectBackward<S>(head, memory.group[i], memory);
  }
}

/// dk and dv of masked keys are 0: they were left out, or met as 0 times a query, which may be NaN.
template <class S>
void clearMasked(const Head<AttentionBackward>& head) {
  float* dk = head.r.dqkv + (head.k - head.r.qkv);
  for (int64_t key = 0; key < head.T; key++, dk += head.step) {
    if (!head.isMasked(key)) continue;
    forVectors<S>(0, head.HS, [&](auto at) {
      at.store(dk, S::zero());
      at.store(dk + head.width, S::zero());
    });
  }
}

/// qkv, dqkv [B, T, 3·NH·HS], y, dy [B, T, NH·HS], logSumExp [B, NH, T]
template <class S>
void attentionBackward(const AttentionBackward& r, Context& context) {
  const int64_t T = r.T, blocks = pieces(T, BLOCK), heads = int64_t{r.B} * r.NH, groups = pieces(blocks, GROUP);
  const auto groupOf = [&](int64_t group) { return Run{group * GROUP, least((group + 1) * GROUP, blocks)}; };
  const auto forItems = [&](int64_t items, int64_t product, const auto& work) {
    shareWithMemory(context, items, rowsOf(LEAST_PRODUCT, product), BackwardMemory::elements(r.HS), work);
  };
  // A head at a time. Where there are more lanes than heads, dk and dv by groups of keys and dq by groups of queries,
  // at the price of two products more for the five.
  if (7 * heads < 5 * context.team.lanes() && groups > 1) {
    forItems(2 * heads * groups, 4 * GROUP * BLOCK * T * r.HS, [&](int64_t item, float* start) {
      const Head<AttentionBackward> head(r, item / groups / 2);
      BackwardMemory memory(start, r.HS);
      const Run group = groupOf(item % groups);
      if (item / groups % 2 == 0) {
        attendBackward<S, false, true>(head, group, {0, blocks}, memory);
        return;
      }
      for (int64_t i = r.causal != 0 ? item % groups : 0; i < groups; i++) {
        attendBackward<S, true, false>(head, groupOf(i), group, memory);
      }
    });
  } else {
    forItems(heads, 5 * T * T * r.HS, [&](int64_t item, float* start) {
      const Head<AttentionBackward> head(r, item);
      BackwardMemory memory(start, r.HS);
      for (int64_t i = 0; i < groups; i++) attendBackward<S, true, true>(head, groupOf(i), {0, blocks}, memory);
    });
  }
  if (r.mask == nullptr) return;
  for (int64_t i = 0; i < heads; i++) clearMasked<S>(Head<AttentionBackward>(r, i));
}

SEQGRAD_KERNEL(attention, Attention);
SEQGRAD_KERNEL(attentionBackward, AttentionBackward);

}  // namespace seqgrad
