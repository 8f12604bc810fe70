// Products of blocks, matrices of so few rows and columns that a core's cache holds some of them: by multiply-adds,
// FloatBlocks, or by the matrix unit, UnitBlocks. Either gets its factors ready once for all products that they are
// part of. Multiply-adds read most of them where they lie; the unit has them packed.
#pragma once
#include "unit-tiles.h"
#include "upcoming.h"

namespace seqgrad {

/// A matrix, its rows `step` apart.
struct Block {
  const float* at;
  int64_t rows, columns, step;
};

/// Where a product goes: rows that are `step` apart and have room for whole vectors.
struct BlockSums {
  float* at;
  int64_t step;
  bool adds = false;               // to what is there
  const float* factors = nullptr;  // null, or what each of its columns is multiplied by before
};

template <class S>
constexpr SEQGRAD_INLINE int64_t wholeVectors(int64_t n) {
  return pieces<int64_t>(n, S::lanes) * S::lanes;
}

/// By multiply-adds: each sum of a product begins with 0.
template <class S>
class FloatBlocks {
 public:
  /// What there must be while products are made.
  struct Unit {};
  /// Whether factors no longer need the rows that they were made of; else a right one may be read where it lies.
  static constexpr bool PACKS = false;

  struct Left {
    const float* at;
    int64_t rows, step;
    SEQGRAD_INLINE RowMajor from(int64_t row) const { return {at + row * step, step}; }
  };
  struct LeftTransposed {
    const float* at;
    int64_t rows, step;
    SEQGRAD_INLINE ColumnMajor from(int64_t row) const { return {at + row, step}; }
  };
  struct Right {
    const float* at;
    int64_t terms, columns, step;
  };

  /// Elements of the room that a factor of so many lines and terms is made ready in.
  static SEQGRAD_INLINE int64_t elements(int64_t lines, int64_t terms) { return wholeVectors<S>(lines) * terms; }

  static SEQGRAD_INLINE Left left(const Block& its, float*) { return {its.at, its.rows, its.step}; }
  static SEQGRAD_INLINE LeftTransposed leftTransposed(const Block& its, float*) {
    return {its.at, its.columns, its.step};
  }
  static SEQGRAD_INLINE Right right(const Block& its, float*) { return {its.at, its.rows, its.columns, its.step}; }
  static Right rightTransposed(const Block& its, float* room) {
    const int64_t step = wholeVectors<S>(its.rows);
    packPanel<S>(its.at, 1, its.step, its.columns, its.rows, room, step, static_cast<int>(step));
    return {room, its.columns, its.rows, step};
  }

  template <class Factor>
  static void multiply(const Factor& left, const Right& right, const BlockSums& c, Upcoming& upcoming) {
    constexpr int64_t WIDTH = S::tileVectors * S::lanes;
    const Tiling tiling(left.rows, S::tileRows);
    for (int64_t column = 0; column < right.columns; column += WIDTH) {
      const int64_t columns = least(right.columns - column, WIDTH);
      for (int64_t i = 0; i < tiling.tiles; i++) {
        const int64_t row = tiling.start(i);
        withConstant<S::tileRows>(tiling.size(i), [&](auto rows) {
          withConstant<S::tileVectors>(static_cast<int>(pieces<int64_t>(columns, S::lanes)), [&](auto vectors) {
            tile<rows.value, vectors.value>(left.from(row), right, c, row, column, upcoming);
          });
        });
      }
    }
  }

 private:
  template <int rows, int vectors, class Rows>
  static void tile(Rows left, const Right& right, const BlockSums& product, int64_t row, int64_t column,
                   Upcoming& upcoming) {
    using Floats = typename S::Floats;
    Floats sum[rows][vectors];
    multiplyTile<S>(left, right.at + column, right.step, right.terms, sum,
                    aheadIf(!upcoming.isEmpty(), [&](int) { upcoming.fetchRow(); }));
    // Apart from the product, which stores might change for all that is known.
    float* first = product.at + row * product.step + column;
    const int64_t step = product.step;
    const auto finish = [&](const auto& finished) {
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++) {
        float* c = first + r * step;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) S::store(c + v * S::lanes, finished(c + v * S::lanes, sum[r][v], v));
      }
    };
    if (product.factors != nullptr) {
      Floats factors[vectors];
      for (int v = 0; v < vectors; v++) factors[v] = S::load(product.factors + column + v * S::lanes);
      finish([&](const float* c, Floats value, int v) { return factors[v] * S::load(c) + value; });
    } else if (product.adds) {
      finish([](const float* c, Floats value, int) { return S::load(c) + value; });
    } else {
      finish([](const float*, Floats value, int) { return value; });
    }
  }
};

/// By the matrix unit: each sum of a product begins with what it is added to.
template <class S>
class UnitBlocks {
  using Tiles = UnitTiles<S, 3>;

 public:
  using Unit = typename Tiles::Unit;
  static constexpr bool PACKS = true;

  struct Factor {
    const float* packed;
    int64_t lines, terms;  // rows of a left factor, or columns of a right one, of so many terms
  };
  using Left = Factor;
  using LeftTransposed = Factor;
  using Right = Factor;

  static SEQGRAD_INLINE int64_t elements(int64_t lines, int64_t terms) {
    return pieces<int64_t>(lines, Tiles::ROWS) * Tiles::ROWS * Tiles::depthOf(terms);
  }

  static Factor left(const Block& its, float* room) {
    return packLeft(its.at, its.step, 1, its.rows, its.columns, room);
  }
  static Factor leftTransposed(const Block& its, float* room) {
    return packLeft(its.at, 1, its.step, its.columns, its.rows, room);
  }
  static Factor right(const Block& its, float* room) {
    return packRight(its.at, its.step, 1, its.columns, its.rows, room);
  }
  static Factor rightTransposed(const Block& its, float* room) {
    return packRight(its.at, 1, its.step, its.rows, its.columns, room);
  }

  static void multiply(const Factor& left, const Factor& right, const BlockSums& c, Upcoming& upcoming) {
    const Tiling tiling(left.lines, Tiles::ROWS);
    const int64_t depth = Tiles::depthOf(left.terms), columns = wholeVectors<S>(right.lines);
    if (c.factors != nullptr) scale(c, left.lines, columns);
    for (int64_t column = 0; column < columns; column += Tiles::WIDTH) {
      for (int64_t i = 0; i < tiling.tiles; i++) {
        ProductTile tile{};
        tile.a = left.packed + i * Tiles::ROWS * depth;
        tile.panel = right.packed + column * depth;
        tile.K = depth;
        tile.columns = least(columns - column, Tiles::WIDTH);
        tile.adds = c.adds || c.factors != nullptr;
        tile.c = tile.sums = c.at + tiling.start(i) * c.step + column;
        tile.cRow = tile.sumsRow = c.step;
        Tiles::finish(tile, tiling.size(i), Lie::packed);
        for (int row = 0; row < FETCHED; row++) upcoming.fetchRow();
      }
    }
  }

 private:
  static constexpr int FETCHED = 8;  // rows with a tile

  static void scale(const BlockSums& c, int64_t rows, int64_t columns) {
    for (int64_t column = 0; column < columns; column += S::lanes) {
      const float* factors = c.factors + column;
      if (std::all_of(factors, factors + S::lanes, [](float factor) { return factor == 1.0f; })) continue;
      for (int64_t row = 0; row < rows; row++) {
        float* its = c.at + row * c.step + column;
        S::store(its, S::load(factors) * S::load(its));
      }
    }
  }

  static Factor packLeft(const float* at, ptrdiff_t rowStep, ptrdiff_t termStep, int64_t rows, int64_t terms,
                         float* room) {
    const Tiling tiling(rows, Tiles::ROWS);
    Tiles::packTiles(at, rowStep, termStep, terms, tiling, 0, tiling.tiles, room);
    return {room, rows, terms};
  }
  static Factor packRight(const float* at, ptrdiff_t termStep, ptrdiff_t columnStep, int64_t columns, int64_t terms,
                          float* room) {
    for (int64_t column = 0; column < columns; column += Tiles::WIDTH) {
      Tiles::packPanel(at + column * columnStep, termStep, columnStep, terms, columns - column,
                       room + column * Tiles::depthOf(terms), 0);
    }
    return {room, columns, terms};
  }
};

}  // namespace seqgrad
