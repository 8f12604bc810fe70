// Matrix products of a batch. The result is cut into parts of rows and panels of columns. Whoever makes one packs the
// block of the right factor that it needs, small enough for the core's own cache, and multiplies all tiles of the part
// by it: a large right factor is read once for each part, and its packed form never leaves the core. Where there are
// many parts, the first packs for all; where packing costs more than it saves, the block is read as it lies. A left
// factor whose rows are not contiguous is packed into tiles beforehand, unless few panels read it; one whose rows
// collide in caches is copied. Of bfloat16 numbers both factors are packed, and a panel or a tile has a row of words
// for every two k.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "../simd/bfloat16.h"
#include "../simd/math.h"
#include "../simd/tile.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

/// K block of the contract: where sums are cut.
constexpr int64_t K_BLOCK = 256;
/// Rows of a part: at most, and as few as that packing for them alone costs little.
constexpr int64_t MOST_ROWS = 512, LEAST_ROWS = 96;
/// Tickets that several lanes share evenly enough, for each lane.
constexpr int64_t TICKETS = 4;
/// Elements of a part of the left factor that are used again and again for all panels: they fit the core's own cache.
constexpr int64_t USED_AGAIN = 1 << 17;
/// Tiles whose sums wait in L1 for what follows them: so many that it gets going.
constexpr int64_t FOLLOWED_TILES = 2;
/// A left factor whose columns are contiguous is read where it lies for so few panels, if these columns are so short.
constexpr int64_t FEW_PANELS = 4, SHORT_ROW = 256;
/// Elements of a packed panel that the first cache holds; of rows so near to each other that many tiles can read them
/// where they lie; and of rows whose multiples share few sets of that cache.
constexpr int64_t NEAR_PANEL = 1 << 13, NEAR_ROW = 256, COLLIDING_ROW = 1024;
/// So few rows of a left factor that packing the right one for them costs more than reading it as it lies.
constexpr int64_t FEW_ROWS = 128;
/// Parts that use the panels of a right factor which one of them has packed: less for them than to pack their own.
constexpr int64_t MANY_PARTS = 3;
/// Tiles of a left factor that are packed together.
constexpr int64_t RUN_TILES = 16;
/// Elements of a result that is surely in the core's caches, and of one of which little would be left there when it is
/// read.
constexpr int64_t NEAR_RESULT = 1 << 16, STREAMED_RESULT = 3 << 17;

/// How the rows of a tile's left factor lie: along or across, or copied so that they lie along one after the other, or
/// packed for the tile.
enum class Lie { along, across, copied, packed };

/// One tile of c.
struct Tile {
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

/// Whether factors are words of two bfloat16 numbers, by what multiplies them: Pairs of the vector trait, or itself.
template <class S, class Factors>
constexpr bool arePairs = !std::is_same_v<S, Factors>;

/// sums = Σ, Σ + bias or c + Σ for `rows` rows and `tile.columns` columns, which touch `vectors` vectors. What a tile
/// becomes is asked once, not for each of its rows: a short product feels it.
template <class S, class Factors, int rows, int vectors, bool fetches, class Left>
void finishedTile(const Tile& tile, Left a) {
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

template <class S, class Factors>
void finishTile(const Tile& tile, int rows, Lie lie) {
  withConstant<S::tileRows>(rows, [&](auto R) {
    withConstant<S::tileVectors>(static_cast<int>(pieces<int64_t>(tile.columns, S::lanes)), [&](auto V) {
      const auto finish = [&](auto a) {
        if constexpr (V.value == S::tileVectors) {
          if (tile.fetches) return finishedTile<S, Factors, R.value, V.value, true>(tile, a);
        }
        finishedTile<S, Factors, R.value, V.value, false>(tile, a);
      };
      if (arePairs<S, Factors> || lie == Lie::packed) return finish(Interleaved{tile.a});
      if constexpr (!arePairs<S, Factors>) {
        if (lie == Lie::across) return finish(ColumnMajor{tile.a, tile.aStep});
        finish(RowMajor{tile.a, tile.aStep});
      }
    });
  });
}

/// c = f(sums + residual) from element `at` on, for some rows of so many columns; what f was given goes to
/// preActivation.
template <class S, class F>
void followRows(const Matmul& r, const float* sums, int64_t sumsRow, ptrdiff_t at, int64_t rows, int64_t columns,
                const F& f) {
  const float* residual = r.residual == nullptr ? nullptr : r.residual + at;
  float* preActivation = r.preActivation == nullptr ? nullptr : r.preActivation + at;
  float* c = r.c + at;
  for (int64_t row = 0; row < rows; row++, sums += sumsRow) {
    const int64_t down = row * r.cRow;
    forVectors<S>(0, columns, [&](auto here) {
      auto sum = here.load(sums);
      if (residual != nullptr) sum = sum + here.load(residual + down);
      if (preActivation != nullptr) here.store(preActivation + down, sum);
      here.store(c + down, f(sum));
    });
  }
}

/// What follows the sums of some tiles. Not part of what is made for every size of tile.
template <class S>
SEQGRAD_NOINLINE void follow(const Matmul& r, const float* sums, int64_t sumsRow, ptrdiff_t at, int64_t rows,
                             int64_t columns) {
  using Floats = typename S::Floats;
  switch (r.activation) {
    case 1:
      return followRows<S>(r, sums, sumsRow, at, rows, columns, [](Floats x) { return math::relu<S>(x); });
    case 2:
      return followRows<S>(r, sums, sumsRow, at, rows, columns, [](Floats x) { return math::gelu<S>(x); });
    case 3:
      return followRows<S>(r, sums, sumsRow, at, rows, columns, [](Floats x) { return math::geluTanh<S>(x); });
    default:
      return followRows<S>(r, sums, sumsRow, at, rows, columns, [](Floats x) { return x; });
  }
}

SEQGRAD_INLINE bool isFollowed(const Matmul& r) {
  return r.residual != nullptr || r.preActivation != nullptr || r.activation != 0;
}
SEQGRAD_INLINE bool isFollowed(const MatmulAdd&) { return false; }

/// Copies the rows of the tiles first … end − 1 of a left factor, K of each, one after the other.
template <class S>
void copyTiles(const float* a, int64_t aRow, int64_t, int64_t K, Tiling tiling, int64_t first, int64_t end, float* to) {
  for (int64_t row = tiling.start(first); row < tiling.start(end); row++, to += K) {
    forVectors<S>(0, K, [&](auto at) { at.store(to, at.load(a + row * aRow)); });
  }
}

/// Some rows.
struct RowRange {
  int64_t start, rows;
};

/// Packs tiles of so many rows each as multiplyTile wants them, one after the other.
template <int rows>
void packEqualTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, int64_t tiles, float* packed) {
  // A few k of all tiles before the next few: where columns are contiguous, neighbouring tiles share cache lines.
  constexpr int64_t FEW = 16, LINE = 16;
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
      packEqualTiles<rows.value>(a + row * aRow, aRow, aColumn, K, next - first, packed + (row - start) * K);
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

/// Whether every row starts at a whole vector.
template <class S>
SEQGRAD_INLINE bool isAligned(const float* rows, int64_t step) {
  return reinterpret_cast<uintptr_t>(rows) % (S::lanes * sizeof *rows) == 0 && step % S::lanes == 0;
}

/// Whether panels of a right factor are packed for so many rows of the left one. They are read where they lie if its
/// rows are as short as a panel's, or few rows read them, or many but the first cache would not hold a packed panel
/// either; yet not if cache lines split its rows, or if these lie so that they share few sets of the first cache.
template <class S>
bool isWorthPacking(const float* b, int64_t bRow, int64_t K, int64_t rows) {
  constexpr int64_t WIDTH = S::tileVectors * S::lanes;
  if (bRow <= WIDTH || rows <= 2 * S::tileRows) return false;
  if (!isAligned<S>(b, bRow)) return true;
  if (rows <= FEW_ROWS) return bRow % COLLIDING_ROW == 0;
  return bRow > NEAR_ROW || least(K, K_BLOCK) * WIDTH <= NEAR_PANEL;
}

/// One product of a batch.
template <class S, class Factors, bool adds, class Record>
class Product {
 public:
  Product(const Record& r, const float* a, const float* b, const float* bias, float* c, Context& context)
      : r_(r),
        a_(a),
        b_(b),
        bias_(bias),
        c_(c),
        context_(context),
        M_(r.M),
        N_(r.N),
        K_(r.K),
        tiling_(M_, S::tileRows),
        panels_(pieces(N_, WIDTH)) {
    // No sum depends on where the result is cut, so this may depend on the lanes.
    const int64_t lanes = context.team.lanes(), fewest = pieces(M_, MOST_ROWS),
                  enough = pieces(TICKETS * lanes, panels_);
    parts_ = lanes == 1 ? fewest : std::clamp(enough, fewest, pieces(M_, LEAST_ROWS));
    together_ = lanes == 1 ? 1 : least(enough, parts_);
    lie_ = lieOf(r, panels_);
    packs_ = IN_PAIRS || r.bColumn != 1 || isWorthPacking<S>(b, r.bRow, K_, M_);
    keeps_ = packs_ && parts_ >= MANY_PARTS && together_ == 1;
    streams_ = !adds && K_ <= K_BLOCK && M_ * N_ > STREAMED_RESULT && !isFollowed(r) && isAligned<S>(c, r.cRow);
    fetches_ = !streams_ && M_ * N_ > NEAR_RESULT;
  }

  /// Also of no terms, K = 0: c is then what a sum of none becomes.
  void make() const {
    if (keeps_) {
      int64_t begin = 0;
      do {
        for (int64_t part = 0; part < parts_; part++) makeParts(part, 1, begin, least(begin + K_BLOCK, K_));
        begin += K_BLOCK;
      } while (begin < K_);
      return;
    }
    // Some parts at a time, enough for all lanes, over some blocks of K: what is packed of them stays in the cores'
    // caches, and fits the workspace.
    const int64_t blocksUsedAgain = USED_AGAIN / (pieces(M_, parts_) * K_BLOCK);
    for (int64_t part = 0; part < parts_; part += together_) {
      const int64_t count = least(together_, parts_ - part), fitting = (M_ + N_ + K_BLOCK) / rowsOf(part, count).rows;
      const int64_t span = std::clamp(blocksUsedAgain, int64_t{1}, fitting) * K_BLOCK;
      int64_t begin = 0;
      do {
        makeParts(part, count, begin, least(begin + span, K_));
        begin += span;
      } while (begin < K_);
    }
  }

 private:
  static constexpr bool IN_PAIRS = arePairs<S, Factors>;
  static constexpr int64_t WIDTH = S::tileVectors * S::lanes, PANEL = K_BLOCK * WIDTH / (IN_PAIRS ? 2 : 1);

  const Record& r_;
  const float *a_, *b_, *bias_;
  float* c_;
  Context& context_;
  int64_t M_, N_, K_;
  Tiling tiling_;
  int64_t panels_, parts_, together_;
  Lie lie_;
  bool packs_;  // panels of the right factor
  bool keeps_;  // them, for all parts
  bool streams_, fetches_;

  // The workspace, K_BLOCK · (M + N + K_BLOCK): tiles [blocks of a span][tiles of some parts][k][rows], or kept panels
  // [panels][K_BLOCK][WIDTH] behind those of one block.
  float* packedTiles() const { return context_.workspace; }
  float* keptPanel(int64_t panel) const { return context_.workspace + K_BLOCK * M_ + panel * PANEL; }

  static Lie lieOf(const Record& r, int64_t panels) {
    if (IN_PAIRS) return Lie::packed;
    if (r.aColumn == 1) {
      const bool collides = r.aRow % COLLIDING_ROW == 0 && r.M > FEW_ROWS && panels > FEW_PANELS;
      return collides ? Lie::copied : Lie::along;
    }
    return r.aRow == 1 && r.aColumn <= SHORT_ROW && panels <= FEW_PANELS ? Lie::across : Lie::packed;
  }
  static int64_t depthOf(int64_t k) { return IN_PAIRS ? pieces<int64_t>(k, 2) : k; }

  int64_t firstTile(int64_t part) const { return tiling_.tiles * part / parts_; }
  RowRange rowsOf(int64_t part, int64_t count) const {
    const int64_t start = tiling_.start(firstTile(part));
    return {start, tiling_.start(firstTile(part + count)) - start};
  }

  /// Some parts of the result, over K from begin to end.
  void makeParts(int64_t part, int64_t count, int64_t begin, int64_t end) const {
    const RowRange its = rowsOf(part, count);
    if (lie_ == Lie::packed || lie_ == Lie::copied) packRows(firstTile(part), firstTile(part + count), begin, end, its);
    // Part by part, so that its rows stay in the core's cache.
    share(context_, Cut(count * panels_, seqgrad::rowsOf(LEAST_PRODUCT, its.rows / count * WIDTH * (end - begin))),
          [&](int64_t i, int64_t stop) {
            for (; i < stop; i++) makePanel(part + i / panels_, i % panels_, begin, end, its);
          });
  }

  /// Packs these tiles of the left factor, K from begin to end; `its` are their rows.
  void packRows(int64_t first, int64_t last, int64_t begin, int64_t end, RowRange its) const {
    const int64_t runs = pieces(last - first, RUN_TILES), blocks = pieces(end - begin, K_BLOCK);
    const auto firstOf = [&](int64_t run) { return first + (last - first) * run / runs; };
    const auto pack = IN_PAIRS ? packTilesInPairs<S> : lie_ == Lie::copied ? copyTiles<S> : packTiles<S>;
    share(context_, Cut(blocks * runs, seqgrad::rowsOf(STREAMED, RUN_TILES * S::tileRows * K_BLOCK)),
          [&](int64_t i, int64_t stop) {
            for (; i < stop; i++) {
              const int64_t from = firstOf(i % runs), at = begin + i / runs * K_BLOCK, k = least(end - at, K_BLOCK);
              pack(a_ + at * r_.aColumn, r_.aRow, r_.aColumn, k, tiling_, from, firstOf(i % runs + 1),
                   packedTiles() + (at - begin) * its.rows + (tiling_.start(from) - its.start) * depthOf(k));
            }
          });
  }

  /// One part by one panel, over K from begin to end. `its` are the rows that are packed.
  void makePanel(int64_t part, int64_t panel, int64_t begin, int64_t end, RowRange its) const {
    alignas(64) float own[PANEL];
    alignas(64) float waiting[FOLLOWED_TILES * S::tileRows * WIDTH];  // [rows][WIDTH]
    const int64_t column = panel * WIDTH;
    const int width = IN_PAIRS ? WIDTH : pieces<int>(least(N_ - column, WIDTH), S::lanes) * S::lanes;
    const bool isPacked = packs_ || column + WIDTH > N_;
    float* packed = keeps_ ? keptPanel(panel) : own;
    int64_t at = begin;
    do {
      const int64_t k = least(end - at, K_BLOCK);
      const float* source = b_ + at * r_.bRow + column * r_.bColumn;
      if (isPacked && !(keeps_ && part > 0)) packColumns(source, k, N_ - column, packed, width);
      Tile tile{};
      tile.panel = isPacked ? packed : source;
      tile.panelRow = isPacked ? width : r_.bRow;
      tile.K = depthOf(k);
      tile.cRow = r_.cRow;
      tile.columns = least(N_ - column, WIDTH);
      tile.bias = bias_ == nullptr || at > 0 ? nullptr : bias_ + column;
      tile.adds = adds || at > 0;
      tile.streams = streams_;
      tile.fetches = fetches_;
      const bool isPrepared = lie_ == Lie::packed || lie_ == Lie::copied;
      tile.aStep = lie_ == Lie::across ? r_.aColumn : lie_ == Lie::copied ? k : r_.aRow;
      const bool follows = isFollowed(r_) && at + k == K_;
      tile.sumsRow = follows ? WIDTH : r_.cRow;
      const int64_t endOfTiles = firstTile(part + 1);
      int64_t followed = firstTile(part);
      for (int64_t i = followed; i < endOfTiles; i++) {
        const int64_t row = tiling_.start(i);
        float* place = c_ + row * r_.cRow + column;
        tile.a = isPrepared ? packedTiles() + (at - begin) * its.rows + (row - its.start) * depthOf(k)
                            : a_ + row * r_.aRow + at * r_.aColumn;
        tile.c = place;
        tile.sums = follows ? waiting + (row - tiling_.start(followed)) * WIDTH : place;
        finishTile<S, Factors>(tile, tiling_.size(i), lie_);
        if constexpr (!adds) {
          if (!follows || (i + 1 < followed + FOLLOWED_TILES && i + 1 < endOfTiles)) continue;
          const int64_t first = tiling_.start(followed);
          follow<S>(r_, waiting, WIDTH, c_ - r_.c + first * r_.cRow + column, tiling_.start(i + 1) - first,
                    tile.columns);
          followed = i + 1;
        }
      }
      at += K_BLOCK;
    } while (at < end);
    if (streams_) S::fence();
  }

  void packColumns(const float* source, int64_t k, int64_t columns, float* packed, int width) const {
    if constexpr (IN_PAIRS) {
      packPairs<S, WIDTH>(source, r_.bRow, r_.bColumn, k, columns, [&](int64_t word, const float* row) {
        for (int64_t j = 0; j < WIDTH; j += S::lanes) S::store(packed + word * WIDTH + j, S::load(row + j));
      });
    } else {
      packPanel<S>(source, r_.bRow, r_.bColumn, k, columns, packed, width, width);
    }
  }
};

template <class S, class Factors, bool adds, class Record>
void multiplyAll(const Record& r, const float* bias, Context& context) {
  if (r.M == 0 || r.N == 0) return;
  for (int64_t i = 0; i < r.batch; i++) {
    const auto* a = r.a + i * r.aBatch;
    Product<S, Factors, adds, Record>(r, a, r.b + i * r.bBatch, bias, r.c + i * r.cBatch, context).make();
  }
}

template <class S, bool adds, class Record>
void multiplyBatch(const Record& r, const float* bias, Context& context) {
  if (r.bfloat16 == 0) return multiplyAll<S, S, adds>(r, bias, context);
  if constexpr (S::dotsPairs) {
    if (context.dotsPairs) return multiplyAll<S, Pairs<S, true>, adds>(r, bias, context);
  }
  multiplyAll<S, Pairs<S, false>, adds>(r, bias, context);
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
