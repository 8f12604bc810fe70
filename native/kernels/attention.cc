// Attention: the way of queries along the keys.
#include "attention-blocks.h"
#include "kernel.h"

namespace seqgrad {

constexpr float LOWEST = -3.4028234663852886e38f;

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
  Upcoming upcoming;

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
void meet(const Head<Attention>& head, Queries& its, const Pairs& pairs, ForwardMemory& memory) {
  multiplyPairs<S>(memory.keys, pairs, head.HS, its.across, memory.pairs, memory.upcoming);
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
  multiplyBlock<S>(weighted, columnsAt(memory.pairs, BLOCK), memory.upcoming);
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
void inspect(const Head<Attention>& head, const Queries& its, ForwardMemory& memory) {
  const Attention& r = head.r;
  const int64_t start = head.number * head.T * head.T;
  for (int64_t key = 0; key < head.T; key += BLOCK) {
    const Pairs pairs(head, its.first, key, least(head.T - key, BLOCK));
    pack<S>(head.k + key * head.step, head.step, pairs.keys, head.HS, 1.0f, memory.keys);  // masked ones too
    multiplyPairs<S>(memory.keys, pairs, head.HS, its.across, memory.pairs, memory.upcoming);
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

/// Some blocks of queries of a head.
struct Group {
  Head<Attention> head;
  int64_t firstBlock, blocks;
  SEQGRAD_INLINE int64_t first() const { return firstBlock * BLOCK; }
  SEQGRAD_INLINE int64_t queries() const { return least(head.T - first(), blocks * BLOCK); }
};

/// What will be met after the block of keys that begins there, `end` being where the last has begun.
SEQGRAD_INLINE void comeAfter(const Group& group, int64_t key, int64_t end, const Group* next, Upcoming& upcoming) {
  const Head<Attention>& head = group.head;
  upcoming.clear();
  if (key + BLOCK < end) return upcoming.readKeys(head, key + BLOCK);
  upcoming.write(head.r.y + head.inOutput(group.first()), head.width, group.queries(), head.HS);
  if (next == nullptr) return;
  upcoming.read(next->head.q + next->first() * head.step, head.step, next->queries(), head.HS);
  upcoming.readKeys(next->head, 0);
}

/// A group meets all keys that it sees; `next` comes after it, or is null.
template <class S>
void attend(const Group& group, const Group* next, ForwardMemory& memory) {
  const Head<Attention>& head = group.head;
  const int64_t blocks = group.blocks;
  for (int64_t i = 0; i < blocks; i++) {
    memory.group[i].first = group.first() + i * BLOCK;
    begin<S>(head, memory.group[i], memory);
  }
  const int64_t end = head.r.causal != 0 ? memory.group[blocks - 1].first + 1 : head.T;
  for (int64_t key = 0; key < end; key += BLOCK) {
    const int64_t keys = head.keysFrom(key);
    if (keys == 0) continue;
    comeAfter(group, key, end, next, memory.upcoming);
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
    const auto groupOf = [&](int64_t it) {
      const int64_t first = it % groups * size;
      return Group{Head<Attention>(r, it / groups), first, least(blocks - first, size)};
    };
    ForwardMemory memory(start, r.HS);
    const int64_t after = item + context.team.lanes(), last = heads * groups - 1;  // most likely this comes next
    const Group next = groupOf(least(after, last));
    attend<S>(groupOf(item), after > last ? nullptr : &next, memory);
  });
}

SEQGRAD_KERNEL(attention, Attention);

}  // namespace seqgrad
