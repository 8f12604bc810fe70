// Tiles of a product in vectors: of floats, or of words of two bfloat16 numbers.
#pragma once
#include <cstring>

#include "../simd/bfloat16.h"
#include "../simd/tile.h"
#include "product-tile.h"
#include "tickets.h"

namespace seqgrad {

/// K block of the contract: where sums are cut.
constexpr int64_t K_BLOCK = 256;
/// Tiles of a left factor that are packed together.
constexpr int64_t RUN_TILES = 16;

/// sums = Σ, Σ + bias or c + Σ for `rows` rows and `tile.columns` columns, which touch `vectors` vectors. What a tile
/// becomes is asked once, not for each of its rows: a short product feels it.
template <class S, class Factors, int rows, int vectors, bool fetches, class Left>
void finishedTile(const ProductTile& tile, Left a) {
  using Floats = typename S::Floats;
  // Apart from the tile, which stores might change for all that is known.
  const float* c = tile.c;
  float* sums = tile.sums;
  const int64_t cRow = tile.cRow, sumsRow = tile.sumsRow, columns = tile.columns;
  Floats sum[rows][vectors];
  if constexpr (fetches) {
    const auto ahead = aheadIf(true, [&](int r) {
      for (int v = 0; v < vectors; v++) fetchToWrite(c + r * cRow + v * S::lanes);
    });
    multiplyTile<Factors>(a, tile.panel, tile.panelRow, tile.K, sum, ahead);
  } else {
    multiplyTile<Factors>(a, tile.panel, tile.panelRow, tile.K, sum, NothingAhead{});
  }
  // `finished(at)` makes of a row and its sum at a cursor what is stored there. Only the last vector can be a rest.
  const auto put = [&](auto whole, const auto& finished) {
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
      const ptrdiff_t index = v * S::lanes;
      const int64_t left = columns - index;
      const auto column = [&](auto at) {
        const auto value = finished(at);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) at.store(sums + r * sumsRow, value(r, sum[r][v]));
      };
      if (v + 1 < vectors || left >= S::lanes) {
        column(decltype(whole){index});
      } else {
        column(Rest<S>{index, static_cast<int>(left)});
      }
    }
  };
  const auto biased = [&](auto at) { return [bias = at.load(tile.bias)](int, Floats x) { return x + bias; }; };
  const auto plain = [](auto) { return [](int, Floats x) { return x; }; };
  if (tile.adds) {
    put(Whole<S>{}, [&](auto at) { return [&, at](int r, Floats x) { return at.load(c + r * cRow) + x; }; });
  } else if (tile.streams) {
    tile.bias == nullptr ? put(Streamed<S>{}, plain) : put(Streamed<S>{}, biased);
  } else {
    tile.bias == nullptr ? put(Whole<S>{}, plain) : put(Whole<S>{}, biased);
  }
}

/// A tile of so many rows and columns, its left factor as `left` of constants makes it of the tile.
template <class S, class Factors, class Left>
SEQGRAD_INLINE void finishTile(const ProductTile& tile, int rows, const Left& left) {
  withConstant<S::tileRows>(rows, [&](auto R) {
    withConstant<S::tileVectors>(static_cast<int>(pieces<int64_t>(tile.columns, S::lanes)), [&](auto V) {
      left([&](auto a) {
        if constexpr (V.value == S::tileVectors) {
          if (tile.fetches) return finishedTile<S, Factors, R.value, V.value, true>(tile, a);
        }
        finishedTile<S, Factors, R.value, V.value, false>(tile, a);
      });
    });
  });
}

/// Copies the rows of the tiles first … end − 1 of a left factor, K of each, one after the other.
template <class S>
void copyTiles(const float* a, int64_t aRow, int64_t, int64_t K, Tiling tiling, int64_t first, int64_t end, float* to) {
  for (int64_t row = tiling.start(first); row < tiling.start(end); row++, to += K) {
    forVectors<S>(0, K, [&](auto at) { at.store(to, at.load(a + row * aRow)); });
  }
}

/// Packs tiles of so many rows each as multiplyTile wants them, one after the other.
template <class S, int rows>
void packEqualTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, int64_t tiles, float* packed) {
  // A few k of all tiles before the next few: where columns are contiguous, neighbouring tiles share cache lines.
  constexpr int64_t FEW = 16;
  for (int64_t begin = 0; begin < K; begin += FEW) {
    const int64_t end = least(begin + FEW, K);
    if (aRow == 1) {
      for (int64_t k = end; k < end + FEW; k++) {
        for (int64_t row = 0; row < tiles * rows; row += LINE) fetch(a + k * aColumn + row);
      }
    }
    for (int64_t tile = 0; tile < tiles; tile++) {
      const float* from = a + tile * rows * aRow + begin * aColumn;
      float* to = packed + (tile * K + begin) * rows;
      for (int64_t k = begin; k < end; k++, from += aColumn, to += rows) {
        if (aRow == 1) {
          std::memcpy(to, from, rows * sizeof *to);
        } else {
          for (int r = 0; r < rows; r++) to[r] = from[r * aRow];
        }
      }
    }
  }
}

/// Packs the tiles first … end − 1 of a left factor.
template <class S>
void packTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, Tiling tiling, int64_t first, int64_t end,
               float* packed) {
  const int64_t start = tiling.start(first);
  while (first < end) {
    const int64_t next = first < tiling.longer ? least(end, tiling.longer) : end, row = tiling.start(first);
    withConstant<S::tileRows>(tiling.size(first), [&](auto rows) {
      packEqualTiles<S, rows.value>(a + row * aRow, aRow, aColumn, K, next - first, packed + (row - start) * K);
    });
    first = next;
  }
}

/// The same in words of two k.
template <class S>
void packTilesInPairs(const float* a, int64_t aRow, int64_t aColumn, int64_t K, Tiling tiling, int64_t first,
                      int64_t end, float* packed) {
  constexpr int WIDTH = pieces<int>(RUN_TILES * S::tileRows + S::lanes, S::lanes) * S::lanes;
  const int64_t start = tiling.start(first), words = pieces<int64_t>(K, 2);
  packPairs<S, WIDTH>(a + start * aRow, aColumn, aRow, K, tiling.start(end) - start,
                      [&](int64_t word, const float* column) {
                        for (int64_t tile = first; tile < end; tile++) {
                          const int64_t row = tiling.start(tile) - start;
                          const int size = tiling.size(tile);
                          float* to = packed + row * words + word * size;
                          for (int r = 0; r < size; r += S::lanes) {
                            S::storeFirst(to + r, S::load(column + row + r), least(size - r, S::lanes));
                          }
                        }
                      });
}

/// What a product is made of where factors are floats: the most rows of a tile, the columns of a panel, where K is cut,
/// the floats of a packed panel, and the multiply-adds that a ticket has at least.
template <class S>
struct FloatTiles {
  static constexpr int ROWS = S::tileRows;
  static constexpr int64_t WIDTH = S::tileVectors * S::lanes, BLOCK = K_BLOCK, PANEL = BLOCK * WIDTH;
  static constexpr int64_t LEAST_TERMS = LEAST_PRODUCT;
  /// Whether both factors are packed always, results may go past the caches, and sums of a panel are kept beside it
  /// from one block of K to the next, as tiles are done so soon that they would wait for c.
  static constexpr bool PACKS_ALL = false, STREAMS = true, KEEPS_SUMS = false;
  /// Elements of a result so large that sums are kept.
  static constexpr int64_t FAR_RESULT = 0;
  /// So few rows of a part that packing for them alone costs little, and tickets of parts by panels that several lanes
  /// share evenly enough, for each lane.
  static constexpr int64_t LEAST_ROWS = 96, TICKETS = 4;
  /// Rows of a part at most, and elements of it, over some blocks of K, that are used again and again for all panels:
  /// they fit the core's own cache. Where sums are kept there may be more.
  static constexpr int64_t MOST_ROWS = 512, USED_AGAIN = 1 << 17, USED_WITH_KEPT = 0;
  /// What a thread needs while it makes tiles.
  struct Unit {
    Unit() {}
  };

  /// Floats of a packed row or column.
  static int64_t depthOf(int64_t k) { return k; }
  /// How many rows are packed before a tile's.
  static int64_t packedRow(Tiling tiling, int64_t tile) { return tiling.start(tile); }

  static void packTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, Tiling tiling, int64_t first,
                        int64_t end, float* packed) {
    seqgrad::packTiles<S>(a, aRow, aColumn, K, tiling, first, end, packed);
  }
  static void packPanel(const float* b, int64_t bRow, int64_t bColumn, int64_t K, int64_t columns, float* packed,
                        int width) {
    seqgrad::packPanel<S>(b, bRow, bColumn, K, columns, packed, width, width);
  }
  static void finish(const ProductTile& tile, int rows, Lie lie) {
    finishTile<S, S>(tile, rows, [&](const auto& finish) {
      if (lie == Lie::packed) return finish(Interleaved{tile.a});
      if (lie == Lie::across) return finish(ColumnMajor{tile.a, tile.aStep});
      finish(RowMajor{tile.a, tile.aStep});
    });
  }
};

/// The same of words of two bfloat16 numbers; `byInstruction` as in Pairs.
template <class S, bool byInstruction>
struct PairTiles : FloatTiles<S> {
  using FloatTiles<S>::WIDTH;
  static constexpr int64_t PANEL = FloatTiles<S>::PANEL / 2;
  static constexpr bool PACKS_ALL = true;

  static int64_t depthOf(int64_t k) { return pieces<int64_t>(k, 2); }
  static void packTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, Tiling tiling, int64_t first,
                        int64_t end, float* packed) {
    packTilesInPairs<S>(a, aRow, aColumn, K, tiling, first, end, packed);
  }
  static void packPanel(const float* b, int64_t bRow, int64_t bColumn, int64_t K, int64_t columns, float* packed, int) {
    packPairs<S, WIDTH>(b, bRow, bColumn, K, columns, [&](int64_t word, const float* row) {
      for (int64_t j = 0; j < WIDTH; j += S::lanes) S::store(packed + word * WIDTH + j, S::load(row + j));
    });
  }
  static void finish(const ProductTile& tile, int rows, Lie) {
    finishTile<S, OfPairs<S, byInstruction>>(tile, rows, [&](const auto& finish) { finish(Interleaved{tile.a}); });
  }
};

}  // namespace seqgrad
