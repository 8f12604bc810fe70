// Matrix products of a batch. K is taken in blocks of 256; of each block the right factor is packed into panels and the
// left factor, where its rows are not contiguous, into tiles; then the tiles are multiplied.
#include <algorithm>

#include "../simd/tile.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

/// K block of the contract: where sums are cut.
constexpr int64_t K_BLOCK = 256;
/// Tiles of rows that are multiplied by a panel before the next one.
constexpr int64_t RUN_TILES = 16;
/// Elements that a left factor may be read as, once for each group of panels.
constexpr int64_t READ_AGAIN = 1 << 19;

/// One tile of c.
struct Tile {
  const float* a;
  int64_t aRow;  // meaningless when packed
  const float* panel;
  int64_t panelRow, K;
  float* c;
  int64_t cRow, columns;
  const float* bias;  // null, or the columns' bias
  bool adds;
};

/// c = Σ, Σ + bias or c + Σ for `rows` rows and `tile.columns` columns, which touch `vectors` vectors.
template <class S, int rows, int vectors, class Left>
void finishedTile(const Tile& tile, Left a) {
  typename S::Floats sum[rows][vectors];
  multiplyTile<S>(a, tile.panel, tile.panelRow, tile.K, sum, [&](int r) {
    for (int v = 0; v < vectors; v++) fetch(tile.c + r * tile.cRow + v * S::lanes);
  });
  const auto finish = [&](auto at, const auto& column) {
    const auto bias = tile.bias == nullptr ? S::zero() : at.load(tile.bias);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      float* c = tile.c + r * tile.cRow;
      if (tile.adds) {
        at.store(c, at.load(c) + column(r));
      } else {
        at.store(c, tile.bias == nullptr ? column(r) : column(r) + bias);
      }
    }
  };
#pragma GCC unroll 8
  for (int v = 0; v < vectors; v++) {
    const auto column = [&](int r) { return sum[r][v]; };
    const int64_t left = tile.columns - v * S::lanes;
    if (left >= S::lanes) {
      finish(Whole<S>{v * S::lanes}, column);
    } else {
      finish(Rest<S>{v * S::lanes, static_cast<int>(left)}, column);
    }
  }
}

template <class S>
void finishTile(const Tile& tile, int rows, bool packed) {
  withConstant<S::tileRows>(rows, [&](auto R) {
    withConstant<S::tileVectors>(static_cast<int>(pieces<int64_t>(tile.columns, S::lanes)), [&](auto V) {
      if (packed) {
        finishedTile<S, R.value, V.value>(tile, Interleaved{tile.a});
      } else {
        finishedTile<S, R.value, V.value>(tile, RowMajor{tile.a, tile.aRow});
      }
    });
  });
}

/// The rows that each tile takes: nearly equal runs, so that no tile is left with a single row.
struct Tiling {
  int64_t rows, tiles;
  SEQGRAD_INLINE int64_t start(int64_t tile) const { return rows * tile / tiles; }
  SEQGRAD_INLINE int size(int64_t tile) const { return static_cast<int>(start(tile + 1) - start(tile)); }
};

/// Packs the tiles first … end − 1 of a left factor as multiplyTile wants them, tile t to packed + start(t) · K.
template <class S>
void packTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, Tiling tiling, int64_t first, int64_t end,
               float* packed) {
  // A few k of all tiles before the next few: where columns are contiguous, neighbouring tiles share cache lines.
  constexpr int64_t FEW = 16;
  for (int64_t begin = 0; begin < K; begin += FEW) {
    const int64_t last = least(begin + FEW, K);
    for (int64_t tile = first; tile < end; tile++) {
      const int64_t row = tiling.start(tile);
      const int size = tiling.size(tile);
      float* to = packed + row * K + begin * size;
      const float* from = a + row * aRow + begin * aColumn;
      for (int64_t k = begin; k < last; k++, from += aColumn, to += size) {
        if (aRow == 1 && size <= S::lanes) {
          fetch(from + FEW * aColumn);
          S::storeFirst(to, S::loadFirst(from, size), size);
        } else {
          for (int r = 0; r < size; r++) to[r] = from[r * aRow];
        }
      }
    }
  }
}

template <class S, bool adds, class Record>
void multiply(const Record& r, const float* a, const float* b, const float* bias, float* c, Context& context) {
  constexpr int64_t WIDTH = S::tileVectors * S::lanes;
  const int64_t M = r.M, N = r.N, K = r.K;
  const int64_t panels = pieces(N, WIDTH), tiles = pieces<int64_t>(M, S::tileRows);
  const Tiling tiling{M, tiles};
  const int64_t runs = pieces(tiles, RUN_TILES);
  const auto startOfRun = [&](int64_t run) { return tiles * run / runs; };
  const bool packsA = r.aColumn != 1;
  // Packing a panel pays when enough tiles use it.
  const bool packsB = r.bColumn != 1 || tiles > 2;
  const auto isPacked = [&](int64_t panel) { return packsB || (panel + 1) * WIDTH > N; };
  float* panelsPacked = context.workspace;                       // [panels][k][WIDTH]
  float* tilesPacked = panelsPacked + panels * WIDTH * K_BLOCK;  // [tiles][k][rows]

  int64_t begin = 0;
  do {
    const int64_t k = least(K - begin, K_BLOCK);
    const int64_t toPack = panels + (packsA ? runs : 0);
    share(context, Cut(toPack, rowsOf(STREAMED, WIDTH * k)), [&](int64_t first, int64_t end) {
      for (int64_t panel = first; panel < least(end, panels); panel++) {
        if (!isPacked(panel)) continue;
        packPanel<S>(b + begin * r.bRow + panel * WIDTH * r.bColumn, r.bRow, r.bColumn, k, N - panel * WIDTH,
                     panelsPacked + panel * WIDTH * k, WIDTH, WIDTH);
      }
      for (int64_t i = first < panels ? panels : first; i < end; i++) {
        packTiles<S>(a + begin * r.aColumn, r.aRow, r.aColumn, k, tiling, startOfRun(i - panels),
                     startOfRun(i - panels + 1), tilesPacked);
      }
    });

    // A group of panels after the other, so that a lane uses those that it has packed itself; within it the panels of a
    // run of tiles, which stays in the core's cache. A large left factor is not to be read again for many groups.
    const int64_t group = pieces(panels, std::clamp(READ_AGAIN / (M * k + 1), int64_t{1}, panels));
    const int64_t runProduct = pieces(tiles, runs) * S::tileRows * WIDTH * k;
    share(context, Cut(runs * panels, rowsOf(LEAST_PRODUCT, runProduct)), [&](int64_t first, int64_t end) {
      for (int64_t item = first; item < end; item++) {
        const int64_t before = item / (runs * group) * group, within = item % (runs * group);
        const int64_t width = least(panels - before, group);
        const int64_t run = within / width, panel = before + within % width, column = panel * WIDTH;
        Tile tile{};
        tile.panel = isPacked(panel) ? panelsPacked + column * k : b + begin * r.bRow + column;
        tile.panelRow = isPacked(panel) ? WIDTH : r.bRow;
        tile.K = k;
        tile.cRow = r.cRow;
        tile.columns = least(N - column, WIDTH);
        tile.bias = bias == nullptr || begin > 0 ? nullptr : bias + column;
        tile.adds = adds || begin > 0;
        for (int64_t i = startOfRun(run); i < startOfRun(run + 1); i++) {
          const int64_t row = tiling.start(i);
          tile.a = packsA ? tilesPacked + row * k : a + row * r.aRow + begin;
          tile.aRow = r.aRow;
          tile.c = c + row * r.cRow + column;
          finishTile<S>(tile, tiling.size(i), packsA);
        }
      }
    });
    begin += K_BLOCK;
  } while (begin < K);
}

template <class S, bool adds, class Record>
void multiplyBatch(const Record& r, const float* bias, Context& context) {
  if (r.M == 0 || r.N == 0) return;
  for (int64_t i = 0; i < r.batch; i++) {
    multiply<S, adds>(r, r.a + i * r.aBatch, r.b + i * r.bBatch, bias, r.c + i * r.cBatch, context);
  }
}

template <class S>
void matmul(const Matmul& r, Context& context) {
  multiplyBatch<S, false>(r, r.bias, context);
}

template <class S>
void matmulAdd(const MatmulAdd& r, Context& context) {
  if (r.K > 0) multiplyBatch<S, true>(r, nullptr, context);
}

SEQGRAD_KERNEL(matmul, Matmul);
SEQGRAD_KERNEL(matmulAdd, MatmulAdd);

}  // namespace seqgrad
