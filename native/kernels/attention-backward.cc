// Attention: what comes back to queries, keys and values.
#include "attention-blocks.h"
#include "kernel.h"

namespace seqgrad {

/// Blocks that go together where a head is split.
constexpr int64_t SPLIT = 4;

/// A block of queries with what comes back to it.
template <class Blocks>
struct Returning {
  int64_t first;
  bool hasMet;                                                 // some keys
  typename Blocks::Right q, dy, qTransposed, dyTransposed;     // scale · q, dy
  float *qRoom, *dyRoom, *qTransposedRoom, *dyTransposedRoom;  // of them
  float* dq;                                                   // [HS][BLOCK]
  float* logSumExp;                                            // [BLOCK]
  float* D;                                                    // [BLOCK]
  float* counters;                                             // [BLOCK] of dropout
};

/// The memory of whoever works on a head.
template <class Blocks>
struct BackwardMemory {
  Returning<Blocks> group[Course<Blocks>::GROUP];
  float *keys, *values, *dk, *dv;  // [BLOCK][wide]
  float *keysRoom, *valuesRoom, *keysTransposedRoom;
  float* p;   // [BLOCK][BLOCK] scores, then what dropout leaves of the probabilities
  float* ds;  // [BLOCK][BLOCK] dr, then ds
  float* pairsRoom;
  Upcoming upcoming;
  using Unit = typename Blocks::Unit;

  BackwardMemory(Supply& supply, int64_t HS) {
    for (float** each : {&keys, &values, &dk, &dv}) *each = supply.take(BLOCK * padded(HS));
    keysRoom = supply.take(Blocks::elements(BLOCK, HS));
    valuesRoom = supply.take(Blocks::elements(BLOCK, HS));
    keysTransposedRoom = supply.take(Blocks::elements(HS, BLOCK));
    p = supply.take(BLOCK * BLOCK);
    ds = supply.take(BLOCK * BLOCK);
    pairsRoom = supply.take(Blocks::elements(BLOCK, BLOCK));
    for (Returning<Blocks>& its : group) {
      its.qRoom = supply.take(Blocks::elements(HS, BLOCK));
      its.dyRoom = supply.take(Blocks::elements(HS, BLOCK));
      its.qTransposedRoom = supply.take(Blocks::elements(BLOCK, HS));
      its.dyTransposedRoom = supply.take(Blocks::elements(BLOCK, HS));
      its.dq = supply.take(HS * BLOCK);
      for (float** each : {&its.logSumExp, &its.D, &its.counters}) *each = supply.take(BLOCK);
    }
  }
};

/// Keys and values that queries meet.
template <class Blocks>
struct Keys {
  typename Blocks::Left k, v;                   // [keys][HS]
  typename Blocks::LeftTransposed kTransposed;  // [HS][keys]
};

/// A vector of queries: from scores and dr in memory.p and memory.ds to r and ds. Who inspects gets dp in place of r.
template <class S, bool hides, bool inspects, class Blocks>
void scoreGradients(const Head<AttentionBackward>& head, const Pairs& pairs, const Returning<Blocks>& its,
                    int64_t column, const BackwardMemory<Blocks>& memory) {
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

template <class S, bool hides, bool inspects = false, class Blocks>
void pairGradients(const Head<AttentionBackward>& head, const Pairs& pairs, const Returning<Blocks>& its,
                   const Keys<Blocks>& keys, BackwardMemory<Blocks>& memory) {
  Blocks::multiply(keys.k, its.qTransposed, {memory.p, BLOCK}, memory.upcoming);
  Blocks::multiply(keys.v, its.dyTransposed, {memory.ds, BLOCK}, memory.upcoming);
  for (int64_t column = 0; column < wholeVectors<S>(pairs.queries); column += S::lanes) {
    scoreGradients<S, hides, inspects>(head, pairs, its, column, memory);
  }
}

/// Keys that were packed.
template <class S, class Blocks>
Keys<Blocks> keysOf(const Head<AttentionBackward>& head, int64_t keys, const BackwardMemory<Blocks>& memory) {
  const Block k = packedRows<S>(memory.keys, keys, head.HS), v = packedRows<S>(memory.values, keys, head.HS);
  return {Blocks::left(k, memory.keysRoom), Blocks::left(v, memory.valuesRoom),
          Blocks::leftTransposed(k, memory.keysTransposedRoom)};
}

/// The gradients of a block of queries' probabilities and scores, for whoever wants to see them.
template <class S, class Blocks>
void inspectBackward(const Head<AttentionBackward>& head, const Returning<Blocks>& its,
                     BackwardMemory<Blocks>& memory) {
  const AttentionBackward& r = head.r;
  const int64_t start = head.number * head.T * head.T;
  for (int64_t key = 0; key < head.T; key += BLOCK) {
    const Pairs pairs(head, its.first, key, least(head.T - key, BLOCK));
    pack<S>(head.k + key * head.step, head.step, pairs.keys, head.HS, 1.0f, memory.keys);  // masked ones too
    pack<S>(head.v + key * head.step, head.step, pairs.keys, head.HS, 1.0f, memory.values);
    pairGradients<S, true, true>(head, pairs, its, keysOf<S>(head, pairs.keys, memory), memory);
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
void dotRows(const float* a, const float* b, int64_t bStep, int64_t rows, int64_t HS, float* along, float* across,
             float* products) {
  constexpr int64_t LANES = 16;  // along [BLOCK][LANES], across [LANES][BLOCK]
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

template <class S, class Blocks>
void begin(const Head<AttentionBackward>& head, Returning<Blocks>& its, const BackwardMemory<Blocks>& memory) {
  const AttentionBackward& r = head.r;
  const int64_t HS = head.HS, queries = least(head.T - its.first, BLOCK), output = head.inOutput(its.first);
  its.hasMet = false;
  float* qRows = Blocks::PACKS ? memory.keys : its.qRoom;
  float* dyRows = Blocks::PACKS ? memory.values : its.dyRoom;
  pack<S>(head.q + its.first * head.step, head.step, queries, HS, head.scale, qRows);
  pack<S>(r.dy + output, head.width, queries, HS, 1.0f, dyRows);
  const Block q = packedRows<S>(qRows, queries, HS), dy = packedRows<S>(dyRows, queries, HS);
  its.q = Blocks::right(q, its.qRoom);
  its.dy = Blocks::right(dy, its.dyRoom);
  its.qTransposed = Blocks::rightTransposed(q, its.qTransposedRoom);
  its.dyTransposed = Blocks::rightTransposed(dy, its.dyTransposedRoom);
  const float* logSumExp = r.logSumExp + head.number * head.T + its.first;
  for (int64_t i = 0; i < BLOCK; i++) its.logSumExp[i] = i < queries ? logSumExp[i] : 0;
  dotRows<S>(dyRows, r.y + output, head.width, queries, HS, memory.p, memory.ds, its.D);
  countersOf(head, its.first, its.counters);
}

/// Adds to dk and dv of the keys or, if these are the first queries that they meet, gives them; adds to dq of the
/// queries.
template <class S, bool forKeys, bool forQueries, class Blocks>
void meet(const Head<AttentionBackward>& head, Returning<Blocks>& its, const Keys<Blocks>& keys, const Pairs& pairs,
          bool areFirst, BackwardMemory<Blocks>& memory) {
  if (pairs.hides) {
    pairGradients<S, true>(head, pairs, its, keys, memory);
  } else {
    pairGradients<S, false>(head, pairs, its, keys, memory);
  }
  const int64_t wide = wholeVectors<S>(head.HS);
  const Block p = blockOf(pairs, memory.p), ds = blockOf(pairs, memory.ds);
  if constexpr (forKeys) {
    Blocks::multiply(Blocks::left(p, memory.pairsRoom), its.dy, {memory.dv, wide, !areFirst}, memory.upcoming);
    Blocks::multiply(Blocks::left(ds, memory.pairsRoom), its.q, {memory.dk, wide, !areFirst}, memory.upcoming);
  }
  if constexpr (forQueries) {
    Blocks::multiply(keys.kTransposed, Blocks::right(ds, memory.pairsRoom), {its.dq, BLOCK, its.hasMet},
                     memory.upcoming);
    its.hasMet = true;
  }
}

template <class S, class Blocks>
void finish(const Head<AttentionBackward>& head, const Returning<Blocks>& its, const BackwardMemory<Blocks>& memory) {
  const int64_t queries = least(head.T - its.first, BLOCK);
  if (!its.hasMet) {
    for (int64_t i = 0; i < head.HS * BLOCK; i += S::lanes) S::store(its.dq + i, S::zero());
  }
  float factors[BLOCK];
  for (float& factor : factors) factor = head.scale;
  unpackAcross<S>(its.dq, queries, head.HS, factors, memory.keys,
                  head.r.dqkv + (head.q - head.r.qkv) + its.first * head.step, head.step);
}

/// A run of blocks.
struct Run {
  int64_t first, end;
};

/// Some blocks of queries of a head, and the blocks of keys that they meet.
struct Meeting {
  Head<AttentionBackward> head;
  Run queries, keys;
  SEQGRAD_INLINE int64_t first() const { return queries.first * BLOCK; }
  SEQGRAD_INLINE int64_t count() const { return least(head.T, queries.end * BLOCK) - first(); }
};

/// A block of keys will be met, and what comes back to it.
template <class S, bool forKeys>
void comeKeys(const Head<AttentionBackward>& head, int64_t block, Upcoming& upcoming) {
  const int64_t key = block * BLOCK, keys = least(head.T - key, BLOCK);
  readKeys(head, key, upcoming);
  if (!forKeys) return;
  float* dk = head.r.dqkv + (head.k - head.r.qkv) + key * head.step;
  upcoming.write(dk, head.step, keys, head.HS);
  upcoming.write(dk + head.width, head.step, keys, head.HS);
}

/// What will be met after a block of keys, the last of which comes before block `end`.
template <class S, bool forKeys, bool forQueries>
void comeAfter(const Meeting& meeting, int64_t block, int64_t end, const Meeting* next, Upcoming& upcoming) {
  upcoming.clear();
  if (block + 1 < end) return comeKeys<S, forKeys>(meeting.head, block + 1, upcoming);
  if (forQueries) {
    const Head<AttentionBackward>& head = meeting.head;
    float* dq = head.r.dqkv + (head.q - head.r.qkv) + meeting.first() * head.step;
    upcoming.write(dq, head.step, meeting.count(), head.HS);
  }
  if (next == nullptr) return;
  const Head<AttentionBackward>& head = next->head;
  const int64_t output = head.inOutput(next->first());
  upcoming.read(head.q + next->first() * head.step, head.step, next->count(), head.HS);
  upcoming.read(head.r.dy + output, head.width, next->count(), head.HS);
  upcoming.read(head.r.y + output, head.width, next->count(), head.HS);
  comeKeys<S, forKeys>(next->head, next->keys.first, upcoming);
}

/// Queries meet the keys that they see; `next` comes after it, or is null.
template <class S, bool forKeys, bool forQueries, class Blocks>
void attendBackward(const Meeting& meeting, const Meeting* next, BackwardMemory<Blocks>& memory) {
  const Head<AttentionBackward>& head = meeting.head;
  const Run queries = meeting.queries, keyBlocks = meeting.keys;
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
    comeAfter<S, forKeys, forQueries>(meeting, block, end, next, memory.upcoming);
    packKeys<S>(head, key, keys, head.k, memory.keys);
    packKeys<S>(head, key, keys, head.v, memory.values);
    const Keys<Blocks> factors = keysOf<S>(head, keys, memory);
    float *dk = r.dqkv + (head.k - r.qkv) + key * step, *dv = dk + head.width;
    bool areFirst = r.causal != 0 ? first <= key : first == 0;
    if (forKeys && !areFirst) {
      pack<S>(dk, step, keys, HS, 1.0f, memory.dk);
      pack<S>(dv, step, keys, HS, 1.0f, memory.dv);
    }
    for (int64_t i = 0; i < blocks; i++) {
      Returning<Blocks>& its = memory.group[i];
      if (r.causal != 0 && key > its.first) continue;
      meet<S, forKeys, forQueries>(head, its, factors, Pairs(head, its.first, key, keys), areFirst, memory);
      areFirst = false;
    }
    if (!forKeys) continue;
    unpack<S>(memory.dk, keys, HS, nullptr, dk, step);
    unpack<S>(memory.dv, keys, HS, nullptr, dv, step);
  }
  if (!forQueries) return;
  for (int64_t i = 0; i < blocks; i++) {
    finish<S>(head, memory.group[i], memory);
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

template <class S, class Blocks>
void attendAllBackward(const AttentionBackward& r, Context& context) {
  const int64_t T = r.T, blocks = pieces(T, BLOCK), heads = int64_t{r.B} * r.NH;
  // A head at a time. Where there are more lanes than heads, dk and dv by groups of keys and dq by groups of queries,
  // at the price of two products more for the five.
  const bool splits = 7 * heads < 5 * context.team.lanes() && blocks > SPLIT;
  const int64_t size = splits ? SPLIT : Course<Blocks>::GROUP, groups = pieces(blocks, size);
  const auto groupOf = [&](int64_t group) { return Run{group * size, least((group + 1) * size, blocks)}; };
  const auto forItems = [&](int64_t items, int64_t product, const auto& work) {
    shareWithMemory<BackwardMemory<Blocks>>(context, items, rowsOf(LEAST_PRODUCT, product), r.HS, work);
  };
  if (splits) {
    forItems(2 * heads * groups, 4 * size * BLOCK * T * r.HS, [&](int64_t item, auto& memory) {
      const Head<AttentionBackward> head(r, item / groups / 2);
      const Run group = groupOf(item % groups);
      if (item / groups % 2 == 0) {
        attendBackward<S, false, true>({head, group, {0, blocks}}, nullptr, memory);
        return;
      }
      for (int64_t i = r.causal != 0 ? item % groups : 0; i < groups; i++) {
        attendBackward<S, true, false>({head, groupOf(i), group}, nullptr, memory);
      }
    });
  } else {
    forItems(heads, 5 * T * T * r.HS, [&](int64_t item, auto& memory) {
      const auto meetingOf = [&](int64_t head, int64_t group) {
        return Meeting{Head<AttentionBackward>(r, head), groupOf(group), {0, blocks}};
      };
      for (int64_t i = 0; i < groups; i++) {
        const bool isLast = i + 1 == groups;
        const int64_t head = isLast ? item + context.team.lanes() : item;  // most likely
        const Meeting next = meetingOf(least(head, heads - 1), isLast ? 0 : i + 1);
        attendBackward<S, true, true>(meetingOf(item, i), head < heads ? &next : nullptr, memory);
      }
    });
  }
  if (r.mask == nullptr) return;
  for (int64_t i = 0; i < heads; i++) clearMasked<S>(Head<AttentionBackward>(r, i));
}

/// qkv, dqkv [B, T, 3·NH·HS], y, dy [B, T, NH·HS], logSumExp [B, NH, T]
template <class S>
void attentionBackward(const AttentionBackward& r, Context& context) {
  withBlocks<S>(r, context, [&](auto blocks) { attendAllBackward<S, decltype(blocks)>(r, context); });
}

SEQGRAD_KERNEL(attentionBackward, AttentionBackward);

}  // namespace seqgrad