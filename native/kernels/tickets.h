// How work is cut into tickets: by shape, and where no sum is cut by the lanes too. A ticket takes a microsecond or
// several, some times what a fork costs (which is why what makes less than two tickets is not forked), so that a few
// lanes share even small tensors evenly.
#pragma once
#include "../simd/inline.h"
#include "../simd/vectors.h"
#include "../team.h"

namespace seqgrad {

/// Elements of a ticket that are read and written with little done to them, and of one with a function in between.
constexpr int64_t STREAMED = 8192, COMPUTED = 4096;
/// Multiply-adds of a ticket, at least.
constexpr int64_t LEAST_PRODUCT = 1 << 17;

/// n things in nearly equal runs of `grain` or more, each run starting at a multiple of `unit`.
struct Cut {
  int64_t n, tickets, unit;
  SEQGRAD_INLINE Cut(int64_t count, int64_t grain, int64_t unitOfStarts = 1)
      : n(count), tickets(count < 2 * grain ? 1 : count / grain), unit(unitOfStarts) {}
  SEQGRAD_INLINE int64_t start(int64_t ticket) const {
    return ticket == tickets ? n : n * ticket / tickets / unit * unit;
  }
};

/// Calls `work(begin, end)` for runs of n things that take `grain` or more each.
template <class Work>
SEQGRAD_INLINE void share(Context& context, const Cut& cut, const Work& work) {
  if (cut.n == 0) return;
  context.team.parallel(cut.tickets, [&](int64_t ticket) { work(cut.start(ticket), cut.start(ticket + 1)); });
}

/// Runs `body` over n elements with a cursor of vectors, in tickets of `grain` elements or more.
template <class S, class Body>
SEQGRAD_INLINE void forElements(Context& context, int64_t n, int64_t grain, const Body& body) {
  // Tickets meet where cache lines do.
  share(context, Cut(n, grain, LINE), [&](int64_t begin, int64_t end) { forManyVectors<S>(begin, end, body); });
}

/// As many rows of so many elements as make a ticket.
SEQGRAD_INLINE int64_t rowsOf(int64_t elements, int64_t rowElements) {
  return rowElements >= elements ? 1 : elements / (rowElements == 0 ? 1 : rowElements);
}

}  // namespace seqgrad
