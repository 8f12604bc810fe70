// What recurrent layers have in common: how a step is cut into tickets, and states to begin with.
#pragma once
#include "copy.h"
#include "tickets.h"

namespace seqgrad {

/// to [n] = from, or zero where there is none
template <class S>
void copyOrZero(const float* from, float* to, int64_t n, Context& context) {
  forElements<S>(context, n, STREAMED, [&](auto at) { at.store(to, from == nullptr ? S::zero() : at.load(from)); });
}

/// One step of B rows, cut into tickets. A tile is a few rows of one panel of units.
///
/// A lane that keeps its rows from step to step finds their states in its own cache. A lane that keeps its units finds
/// their part of the weight there, which matters more when the whole weight is too large for a core's cache.
template <class S>
struct StepCut {
  int64_t B, panels, tiles, unitParts, rowParts;
  bool rowsFirst;

  /// `leastPanels` is what a ticket takes at least, `weight` the elements of the recurrent weight.
  SEQGRAD_INLINE StepCut(int64_t rows, int64_t panelCount, int64_t leastPanels, int64_t weight)
      : B(rows), panels(panelCount), tiles(pieces<int64_t>(rows, S::recurrentRows)), rowsFirst(weight <= CACHED) {
    // Gate maths comes on top of the product, so half of what a product's ticket has is enough; a large step has more
    // tickets, so that no lane waits long for the last one.
    const int64_t product = rows * weight;
    const int64_t worth = product / (LEAST_PRODUCT / 2), large = product / (8 * LEAST_PRODUCT);
    const int64_t most = worth < 1 ? 1 : large > FEW ? least(large, MANY) : least(worth, FEW);
    if (rowsFirst) {
      rowParts = least(most, tiles);
      unitParts = least(most / rowParts, pieces(panels, leastPanels));
    } else {
      unitParts = least(most, pieces(panels, leastPanels));
      rowParts = least(most / unitParts, tiles);
    }
  }

  /// Calls `work(panel, first row, rows)` for every tile; `rows` is a compile-time constant.
  template <class Work>
  SEQGRAD_INLINE void share(Context& context, const Work& work) const {
    context.team.parallel(unitParts * rowParts, [&](int64_t ticket) {
      const int64_t unitPart = rowsFirst ? ticket % unitParts : ticket / rowParts;
      const int64_t rowPart = rowsFirst ? ticket / unitParts : ticket % rowParts;
      // All units of a few rows before the next rows: their gates lie side by side, and memory is read ahead.
      for (int64_t tile = tiles * rowPart / rowParts; tile < tiles * (rowPart + 1) / rowParts; tile++) {
        const int64_t first = B * tile / tiles;
        withConstant<S::recurrentRows>(static_cast<int>(B * (tile + 1) / tiles - first), [&](auto rows) {
          const int64_t end = panels * (unitPart + 1) / unitParts;
          for (int64_t panel = panels * unitPart / unitParts; panel < end; panel++) work(panel, first, rows);
        });
      }
    });
  }

 private:
  static constexpr int64_t FEW = 16, MANY = 64;
  static constexpr int64_t CACHED = 1 << 17;
};

/// Calls `work(panel)` for all panels, of so many elements each.
template <class Work>
SEQGRAD_INLINE void sharePanels(Context& context, int64_t panels, int64_t elements, const Work& work) {
  share(context, Cut(panels, rowsOf(STREAMED, elements)), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; panel++) work(panel);
  });
}

}  // namespace seqgrad
