// One tile of a matrix product: what the product knows of it and who multiplies needs to know.
#pragma once
#include <cstdint>

namespace seqgrad {

/// How the rows of a tile's left factor lie: along or across, or copied so that they lie along one after the other, or
/// packed for the tile.
enum class Lie { along, across, copied, packed };

/// One tile of c. The steps of packed factors are those of who packed them.
struct ProductTile {
  const float* a;
  int64_t aStep;  // from row to row, or of rows that lie across, from one k to the next
  const float* panel;
  int64_t panelRow, K;  // rows of the panel
  const float* c;
  int64_t cRow, columns;
  const float* bias;  // null, or the columns' bias
  bool adds;
  float* sums;  // c itself, or where they wait
  int64_t sumsRow;
  bool streams;  // past the caches
  bool fetches;  // c, which is not near
};

}  // namespace seqgrad
