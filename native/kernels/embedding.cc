// Rows of a table, and their gradient.
#include "../simd/vectors.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

/// table [V, C], ids [N], y [N, C]
template <class S>
void embedding(const Embedding& r, Context& context) {
  const int64_t C = r.C;
  share(context, Cut(r.N, rowsOf(STREAMED, C)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int32_t id = r.ids[i];
      float* y = r.y + i * C;
      if (id >= 0 && id < r.V) {
        const float* row = r.table + id * C;
        forVectors<S>(0, C, [&](auto at) { at.store(y, at.load(row)); });
      } else {
        const auto nan = S::broadcast(__builtin_nanf(""));
        forVectors<S>(0, C, [&](auto at) { at.store(y, nan); });
      }
    }
  });
}

/// ids [N], dy [N, C], dTable [V, C]. A row may occur often, so tickets are cut by columns, four cache lines or more:
/// each ticket reads all ids.
template <class S>
void embeddingBackward(const EmbeddingBackward& r, Context& context) {
  constexpr int64_t LEAST_COLUMNS = 64;
  const int64_t C = r.C, columns = rowsOf(STREAMED, r.N);
  share(context, Cut(C, columns < LEAST_COLUMNS ? LEAST_COLUMNS : columns, 16), [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < r.N; i++) {
      const int32_t id = r.ids[i];
      if (id < 0 || id >= r.V) continue;
      const float* dy = r.dy + i * C;
      float* dRow = r.dTable + id * C;
      forVectors<S>(begin, end, [&](auto at) { at.store(dRow, at.load(dRow) + at.load(dy)); });
    }
  });
}

SEQGRAD_KERNEL(embedding, Embedding);
SEQGRAD_KERNEL(embeddingBackward, EmbeddingBackward);

}  // namespace seqgrad
