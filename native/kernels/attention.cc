// Attention: the way of queries along the keys.
#include "attention-blocks.h"
#include "kernel.h"

namespace seqgrad {

constexpr float LOWEST = -3.4028234663852886e38f;

/// A block of queries on its way along the keys.
template <class Blocks>
struct Queries {
  int64_t first;
  bool hasMet;                    // some keys
  typename Blocks::Right across;  // [HS][queries] scale · q
  float* room;                    // of it
  float* y;                       // [HS][BLOCK]
  float* most;                    // [BLOCK] the largest score or, by the slack, less; at last logSumExp
  float* sum;                     // [BLOCK] of exponentials
  float* factor;                  // [BLOCK] exp of what the largest score has grown, at last 1 / sum
  float* counters;                // [BLOCK] of dropout
};

/// The memory of whoever works on a group of queries.
template <class Blocks>
struct ForwardMemory {
  Queries<Blocks> group[Course<Blocks>::GROUP];
  float *keys, *values;          // [BLOCK][wide]
  float *keysRoom, *valuesRoom;  // of them as factors
  float *pairs, *pairsRoom;      // [BLOCK][BLOCK] scores, then probabilities
  Upcoming upcoming;
  using Unit = typename Blocks::Unit;

  ForwardMemory(Supply& supply, int64_t HS) {
    keys = supply.take(BLOCK * padded(HS));
    values = supply.take(BLOCK * padded(HS));
    keysRoom = supply.take(Blocks::elements(BLOCK, HS));
    valuesRoom = supply.take(Blocks::elements(HS, BLOCK));
    pairs = supply.take(BLOCK * BLOCK);
    pairsRoom = supply.take(Blocks::elements(BLOCK, BLOCK));
    for (Queries<Blocks>& its : group) {
      its.room = supply.take(Blocks::elements(BLOCK, HS));
      its.y = supply.take(HS * BLOCK);
      for (float** each : {&its.most, &its.sum, &its.factor, &its.counters}) *each = supply.take(BLOCK);
    }
  }
};

/// Keys and values that queries meet.
template <class Blocks>
struct Keys {
  typename Blocks::Left k;            // [keys][HS]
  typename Blocks::LeftTransposed v;  // [HS][keys]
};

/// The softmax of a vector of queries goes on by a block of keys: scores become exponentials, kept or dropped.
template <class S, bool hides, class Blocks>
void exponentials(const Head<Attention>& head, const Pairs& pairs, const Queries<Blocks>& its, int64_t column,
                  float* scores) {
  const auto at = [&](int64_t j) { return S::load(scores + j * BLOCK); };
  const auto seen = [&](int64_t j, auto value, auto hidden) {
    if constexpr (hides) {
      return whereSeen<S>(head, pairs.query + column, pairs.key + j, value, hidden);
    } else {
      return value;
    }
  };
  constexpr float SLACK = Course<Blocks>::SLACK;
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
  auto largest = S::maxOrSecond(S::maxOrSecond(maxima[0], maxima[1]), S::maxOrSecond(maxima[2], maxima[3]));
  if constexpr (SLACK > 0) largest = S::select(largest >= before + S::broadcast(SLACK), largest, before);

  auto total = S::zero();
  const auto exponential = [&](int64_t key) {
    // Of the slack at most: expNonPositive is as exact there.
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

template <class S, class Blocks>
void begin(const Head<Attention>& head, Queries<Blocks>& its, const ForwardMemory<Blocks>& memory) {
  const int64_t queries = least(head.T - its.first, BLOCK);
  its.hasMet = false;
  pack<S>(head.q + its.first * head.step, head.step, queries, head.HS, head.scale, memory.keys);
  its.across = Blocks::rightTransposed(packedRows<S>(memory.keys, queries, head.HS), its.room);
  for (int64_t i = 0; i < BLOCK; i += S::lanes) {
    S::store(its.most + i, S::broadcast(LOWEST));
    S::store(its.sum + i, S::zero());
  }
  countersOf(head, its.first, its.counters);
}

template <class S, class Blocks>
void meet(const Head<Attention>& head, Queries<Blocks>& its, const Keys<Blocks>& keys, const Pairs& pairs,
          ForwardMemory<Blocks>& memory) {
  Blocks::multiply(keys.k, its.across, {memory.pairs, BLOCK}, memory.upcoming);
  for (int64_t column = 0; column < wholeVectors<S>(pairs.queries); column += S::lanes) {
    if (pairs.hides) {
      exponentials<S, true>(head, pairs, its, column, memory.pairs + column);
    } else {
      exponentials<S, false>(head, pairs, its, column, memory.pairs + column);
    }
  }
  const auto probabilities = Blocks::right(blockOf(pairs, memory.pairs), memory.pairsRoom);
  Blocks::multiply(keys.v, probabilities, {its.y, BLOCK, false, its.hasMet ? its.factor : nullptr}, memory.upcoming);
  its.hasMet = true;
}

template <class S, class Blocks>
void finish(const Head<Attention>& head, const Queries<Blocks>& its, const ForwardMemory<Blocks>& memory) {
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
    for (int64_t i = 0; i < HS * BLOCK; i += S::lanes) S::store(its.y + i, S::zero());
  }
  unpackAcross<S>(its.y, queries, HS, its.factor, memory.keys, r.y + head.inOutput(its.first), head.width);
}

/// Scores and probabilities of a block of queries, computed once more for whoever wants to see them.
template <class S, class Blocks>
void inspect(const Head<Attention>& head, const Queries<Blocks>& its, ForwardMemory<Blocks>& memory) {
  const Attention& r = head.r;
  const int64_t start = head.number * head.T * head.T;
  for (int64_t key = 0; key < head.T; key += BLOCK) {
    const Pairs pairs(head, its.first, key, least(head.T - key, BLOCK));
    pack<S>(head.k + key * head.step, head.step, pairs.keys, head.HS, 1.0f, memory.keys);  // masked ones too
    const auto keys = Blocks::left(packedRows<S>(memory.keys, pairs.keys, head.HS), memory.keysRoom);
    Blocks::multiply(keys, its.across, {memory.pairs, BLOCK}, memory.upcoming);
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
  if (key + BLOCK < end) return readKeys(head, key + BLOCK, upcoming);
  upcoming.write(head.r.y + head.inOutput(group.first()), head.width, group.queries(), head.HS);
  if (next == nullptr) return;
  upcoming.read(next->head.q + next->first() * head.step, head.step, next->queries(), head.HS);
  readKeys(next->head, 0, upcoming);
}

/// A group meets all keys that it sees; `next` comes after it, or is null.
template <class S, class Blocks>
void attend(const Group& group, const Group* next, ForwardMemory<Blocks>& memory) {
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
    const Keys<Blocks> factors{
        Blocks::left(packedRows<S>(memory.keys, keys, head.HS), memory.keysRoom),
        Blocks::leftTransposed(packedRows<S>(memory.values, keys, head.HS), memory.valuesRoom),
    };
    for (int64_t i = 0; i < blocks; i++) {
      Queries<Blocks>& its = memory.group[i];
      if (head.r.causal == 0 || key <= its.first)
        meet<S>(head, its, factors, Pairs(head, its.first, key, keys), memory);
    }
  }
  for (int64_t i = 0; i < blocks; i++) {
    finish<S>(head, memory.group[i], memory);
    if (head.r.scores != nullptr || head.r.probabilities != nullptr) inspect<S>(head, memory.group[i], memory);
  }
}

template <class S, class Blocks>
void attendAll(const Attention& r, Context& context) {
  const int64_t T = r.T, blocks = pieces(T, BLOCK), heads = int64_t{r.B} * r.NH;
  const int64_t fair = heads * blocks / (2 * context.team.lanes());
  const int64_t size = least(Course<Blocks>::GROUP, fair < 1 ? 1 : fair), groups = pieces(blocks, size);
  const int64_t grain = rowsOf(LEAST_PRODUCT, 2 * size * BLOCK * T * r.HS);
  shareWithMemory<ForwardMemory<Blocks>>(context, heads * groups, grain, r.HS, [&](int64_t item, auto& memory) {
    const auto groupOf = [&](int64_t it) {
      const int64_t first = it % groups * size;
      return Group{Head<Attention>(r, it / groups), first, least(blocks - first, size)};
    };
    const int64_t after = item + context.team.lanes(), last = heads * groups - 1;  // most likely this comes next
    const Group next = groupOf(least(after, last));
    attend<S>(groupOf(item), after > last ? nullptr : &next, memory);
  });
}

/// qkv [B, T, 3·NH·HS], y [B, T, NH·HS], logSumExp [B, NH, T]
template <class S>
void attention(const Attention& r, Context& context) {
  withBlocks<S>(r, context, [&](auto blocks) { attendAll<S, decltype(blocks)>(r, context); });
}

SEQGRAD_KERNEL(attention, Attention);

}  // namespace seqgrad
