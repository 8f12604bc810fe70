// The matrix product in registers, and the layout it wants its right factor in.
//
// A panel holds some columns of the right factor, a whole number of vectors wide: panel[k][column], columns beyond the
// last one zero. A tile multiplies a few rows of the left factor by a panel. Every element is one sum over ascending k,
// whatever the tile's shape, so ISAs with tiles of other shapes give the same bits in strict numerics.
#pragma once
#include "fetch.h"
#include "vectors.h"

namespace seqgrad {

/// Rows of the left factor as they lie in memory: a(r, k) = rows[r · step + k].
struct RowMajor {
  const float* rows;
  ptrdiff_t step;
};

/// Rows of the left factor that lie anywhere: a(r, k) = rows[r][k].
template <int count>
struct Scattered {
  const float* rows[count];
};

/// Rows of the left factor packed for one tile: a(r, k) = packed[k · rows + r].
struct Interleaved {
  const float* packed;
};

/// Rows of the left factor that lie across: a(r, k) = columns[k · step + r].
struct ColumnMajor {
  const float* columns;
  ptrdiff_t step;
};

template <int rows>
SEQGRAD_INLINE float elementOf(RowMajor a, int r, int64_t k) {
  return a.rows[r * a.step + k];
}
template <int rows>
SEQGRAD_INLINE float elementOf(const Scattered<rows>& a, int r, int64_t k) {
  return a.rows[r][k];
}
template <int rows>
SEQGRAD_INLINE float elementOf(Interleaved a, int r, int64_t k) {
  return a.packed[k * rows + r];
}
template <int rows>
SEQGRAD_INLINE float elementOf(ColumnMajor a, int r, int64_t k) {
  return a.columns[k * a.step + r];
}

/// The rows that each tile takes: nearly equal runs, so that no tile is left with a single row.
struct Tiling {
  int64_t tiles, shorter, longer;  // rows of the shorter tiles, which come after so many longer ones
  SEQGRAD_INLINE Tiling(int64_t rows, int64_t most)
      : tiles(pieces(rows, most)), shorter(tiles == 0 ? 0 : rows / tiles), longer(rows - shorter * tiles) {}
  SEQGRAD_INLINE int64_t start(int64_t tile) const { return tile * shorter + least(tile, longer); }
  SEQGRAD_INLINE int size(int64_t tile) const { return static_cast<int>(shorter + (tile < longer)); }
};

/// What is fetched while a tile is multiplied: `row(r)` asks for what the result's row r will meet, if that is wanted.
template <class Row>
struct Ahead {
  bool wanted;
  Row row;
};
template <class Row>
SEQGRAD_INLINE Ahead<Row> aheadIf(bool wanted, const Row& row) {
  return {wanted, row};
}

/// For a product whose result is in the cache: there is nothing to fetch ahead.
struct NothingAhead {
  static constexpr bool wanted = false;
  SEQGRAD_INLINE void row(int) const {}
};

/// sum[r][v] = Σ over k of a(r, k) · panel[k][v]
///
/// What is fetched ahead is asked for row by row, spread over the product: all at once would leave no room for the
/// panel's own loads.
template <class S, int rows, int vectors, class Left, class Fetched>
SEQGRAD_INLINE void multiplyTile(Left a, const float* panel, ptrdiff_t panelRow, int64_t K,
                                 typename S::Floats (&sum)[rows][vectors], const Fetched& ahead) {
  // A copy that is only indexed by constants, so that it stays in registers whatever the caller does with the sums.
  typename S::Floats c[rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) c[r][v] = S::zero();
  }
  const int parts = ahead.wanted ? rows : 1;
  const int64_t some = K / (2 * rows) * 2;  // even, as two are done at a time
  int64_t k = 0;
  for (int part = 0; part < parts; part++) {
    if (ahead.wanted) ahead.row(part);
    const int64_t end = part + 1 < parts ? k + some : K;
#pragma GCC unroll 2
    for (; k < end; k++, panel += panelRow) {
      // The fewer of the two factors wait in registers, the others pass by one at a time.
      if constexpr (rows < vectors) {
        typename S::Floats x[rows];
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) x[r] = S::broadcast(elementOf<rows>(a, r, k));
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
          const auto b = S::load(panel + v * S::lanes);
#pragma GCC unroll 16
          for (int r = 0; r < rows; r++) c[r][v] = S::fma(x[r], b, c[r][v]);
        }
      } else {
        typename S::Floats b[vectors];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) b[v] = S::load(panel + v * S::lanes);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
          const auto x = S::broadcast(elementOf<rows>(a, r, k));
#pragma GCC unroll 8
          for (int v = 0; v < vectors; v++) c[r][v] = S::fma(x, b[v], c[r][v]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[r][v] = c[r][v];
  }
}

/// Packs `columns` columns of the right factor, b(k, j) = source[k · rowStep + j · columnStep], to target[k · targetRow
/// + j], filled with zeros up to `width`, a multiple of the lanes.
template <class S>
void packPanel(const float* source, ptrdiff_t rowStep, ptrdiff_t columnStep, int64_t K, int64_t columns, float* target,
               ptrdiff_t targetRow, int width) {
  if (columnStep == 1) {
    for (int64_t k = 0; k < K; k++, source += rowStep, target += targetRow) {
      int j = 0;
      for (; j + S::lanes <= columns && j < width; j += S::lanes) S::store(target + j, S::load(source + j));
      if (j < columns && j < width) {
        S::store(target + j, S::loadFirst(source + j, static_cast<int>(columns - j)));
        j += S::lanes;
      }
      for (; j < width; j += S::lanes) S::store(target + j, S::zero());
    }
    return;
  }
  for (int j = 0; j < width; j += S::lanes) {
    const int here = static_cast<int>(columns <= j ? 0 : least<int64_t>(columns - j, S::lanes));
    const float* from = source + (here == 0 ? 0 : j * columnStep);
    float* to = target + j;
    int64_t k = 0;
    if (rowStep == 1 && here == S::lanes) {
      for (; k + S::lanes <= K; k += S::lanes) S::transpose(from + k, columnStep, to + k * targetRow, targetRow);
    }
    for (; k < K; k++) {
      for (int l = 0; l < S::lanes; l++) to[k * targetRow + l] = l < here ? from[k * rowStep + l * columnStep] : 0.0f;
    }
  }
}

}  // namespace seqgrad
