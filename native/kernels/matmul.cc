// Matrix products of a batch. The result is cut into parts of rows and panels of columns. Whoever makes one packs the
// block of the right factor that it needs, small enough for the core's own cache, and multiplies all tiles of the part
// by it: a large right factor is read once for each part, and its packed form never leaves the core. Where there are
// many parts, the first packs for all; where packing costs more than it saves, the block is read as it lies. A left
// factor whose rows are not contiguous is packed into tiles beforehand, unless few panels read it, and so is one that
// many read; one whose rows collide in caches is copied. Of bfloat16 numbers, and for the matrix unit, both factors are
// packed, always. What a tile is, who packs and who multiplies: float-tiles.h and unit-tiles.h.
#include <algorithm>

#include "../simd/math.h"
#include "float-tiles.h"
#include "kernel.h"
#include "tickets.h"
#include "unit-tiles.h"

namespace seqgrad {

/// Tiles whose sums wait in L1 for what follows them: so many that it gets going.
constexpr int64_t FOLLOWED_TILES = 2;
/// So many columns of a result that even a left factor whose rows are contiguous is packed, if these lie apart. With
/// shorter vectors packing costs as much as it saves.
constexpr int64_t MANY_COLUMNS = 1024;
/// A left factor whose columns are contiguous is read where it lies for so few panels, if these columns are so short.
constexpr int64_t FEW_PANELS = 4, SHORT_ROW = 256;
/// Elements of a packed panel that the first cache holds; of rows so near to each other that many tiles can read them
/// where they lie; and of rows whose multiples share few sets of that cache.
constexpr int64_t NEAR_PANEL = 1 << 13, NEAR_ROW = 256, COLLIDING_ROW = 1024;
/// So few rows of a left factor that packing the right one for them costs more than reading it as it lies.
constexpr int64_t FEW_ROWS = 128;
/// So many parts use the panels of a right factor that one of them has packed: less for them than to pack their own.
/// Where sums are kept from block to block of K two are enough, if the panels of as many blocks find room; else c would
/// be met more often.
constexpr int64_t MANY_PARTS = 3;
/// Elements of a result that is surely in the core's caches, and of one of which little would be left there when it is
/// read.
constexpr int64_t NEAR_RESULT = 1 << 16, STREAMED_RESULT = 3 << 17;

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
template <class S, class Tiles, bool adds, class Record>
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
        tiling_(M_, Tiles::ROWS),
        panels_(pieces(N_, WIDTH)) {
    // No sum depends on where the result is cut, so this may depend on the lanes.
    const int64_t lanes = context.team.lanes(), fewest = pieces(M_, Tiles::MOST_ROWS),
                  enough = pieces(Tiles::TICKETS * lanes, panels_);
    parts_ = lanes == 1 ? fewest : std::clamp(enough, fewest, pieces(M_, Tiles::LEAST_ROWS));
    together_ = lanes == 1 ? 1 : least(enough, parts_);
    lie_ = lieOf(r, panels_);
    packs_ = Tiles::PACKS_ALL || r.bColumn != 1 || isWorthPacking<S>(b, r.bRow, K_, M_);
    streams_ = Tiles::STREAMS && !adds && K_ <= BLOCK && M_ * N_ > STREAMED_RESULT && !isFollowed(r) &&
               isAligned<S>(c, r.cRow);
    keepsSums_ = Tiles::KEEPS_SUMS && K_ > BLOCK && M_ * N_ > Tiles::FAR_RESULT;
    fetches_ = !streams_ && M_ * N_ > NEAR_RESULT;
    mostRows_ = pieces(tiling_.tiles * together_, parts_) * Tiles::ROWS;
    const int64_t packedTiles = mostRows_ * Tiles::depthOf(BLOCK), room = K_BLOCK * (M_ + N_ + K_BLOCK);
    const int64_t fittingIfKept = room / (packedTiles + panels_ * PANEL);
    keeps_ = packs_ && together_ == 1 && (keepsSums_ ? parts_ > 1 && fittingIfKept > 1 : parts_ >= MANY_PARTS);
    const int64_t fitting = keeps_ ? fittingIfKept : room / packedTiles;
    const int64_t usedAgain = keepsSums_ ? Tiles::USED_WITH_KEPT : Tiles::USED_AGAIN;
    span_ = std::clamp(usedAgain / (pieces(M_, parts_) * BLOCK), int64_t{1}, fitting) * BLOCK;
  }

  /// Also of no terms, K = 0: c is then what a sum of none becomes.
  void make() const {
    const auto forSpans = [&](const auto& body) {
      int64_t begin = 0;
      do {
        body(begin, least(begin + span_, K_));
        begin += span_;
      } while (begin < K_);
    };
    // Where panels are kept all parts meet them before the next ones are packed.
    if (keeps_) {
      return forSpans([&](int64_t begin, int64_t end) {
        for (int64_t part = 0; part < parts_; part++) makeParts(part, 1, begin, end);
      });
    }
    for (int64_t part = 0; part < parts_; part += together_) {
      forSpans([&](int64_t begin, int64_t end) { makeParts(part, least(together_, parts_ - part), begin, end); });
    }
  }

 private:
  static constexpr int64_t WIDTH = Tiles::WIDTH, BLOCK = Tiles::BLOCK, PANEL = Tiles::PANEL;

  const Record& r_;
  const float *a_, *b_, *bias_;
  float* c_;
  Context& context_;
  int64_t M_, N_, K_;
  Tiling tiling_;
  int64_t panels_, parts_, together_;
  Lie lie_;
  bool packs_;      // panels of the right factor
  bool keeps_;      // them, for all parts
  bool keepsSums_;  // of a panel, until the last of the blocks of K that are done together
  bool streams_, fetches_;
  // Some parts are done together, over a span of K, some blocks: what is packed of them stays in the cores' caches, and
  // fits the workspace.
  int64_t mostRows_, span_;

  // The workspace, K_BLOCK · (M + N + K_BLOCK): tiles [blocks of a span][tiles of some parts][packed], and kept panels
  // [blocks of a span][panels][packed].
  float* packedTiles() const { return context_.workspace; }
  float* keptPanel(int64_t panel, int64_t block) const {
    return packedTiles() + mostRows_ * Tiles::depthOf(span_) + (block * panels_ + panel) * PANEL;
  }

  static Lie lieOf(const Record& r, int64_t panels) {
    if (Tiles::PACKS_ALL) return Lie::packed;
    if (r.aColumn == 1) {
      if (r.M <= FEW_ROWS) return Lie::along;
      if (S::lanes == 16 && r.aRow > K_BLOCK && r.N >= MANY_COLUMNS) return Lie::packed;
      return r.aRow % COLLIDING_ROW == 0 && panels > FEW_PANELS ? Lie::copied : Lie::along;
    }
    return r.aRow == 1 && r.aColumn <= SHORT_ROW && panels <= FEW_PANELS ? Lie::across : Lie::packed;
  }

  int64_t firstTile(int64_t part) const { return tiling_.tiles * part / parts_; }
  /// Rows that are packed of some parts, and before a tile of those.
  int64_t packedRows(int64_t part, int64_t count) const { return packedRow(firstTile(part), firstTile(part + count)); }
  int64_t packedRow(int64_t first, int64_t tile) const {
    return Tiles::packedRow(tiling_, tile) - Tiles::packedRow(tiling_, first);
  }

  /// Some parts of the result, over K from begin to end.
  void makeParts(int64_t part, int64_t count, int64_t begin, int64_t end) const {
    const int64_t first = firstTile(part), last = firstTile(part + count);
    if (isPrepared()) packRows(first, last, begin, end);
    // Part by part, so that its rows stay in the core's cache.
    const int64_t rows = (tiling_.start(last) - tiling_.start(first)) / count;
    share(context_, Cut(count * panels_, rowsOf(Tiles::LEAST_TERMS, rows * WIDTH * (end - begin))),
          [&](int64_t i, int64_t stop) {
            const typename Tiles::Unit unit;
            for (; i < stop; i++) makePanel(part + i / panels_, i % panels_, begin, end, first, last);
          });
  }

  bool isPrepared() const { return lie_ == Lie::packed || lie_ == Lie::copied; }
  /// Where a tile's rows are, K from `at` on, of the tiles first … last − 1 packed for K from `begin` on.
  float* preparedTile(int64_t tile, int64_t at, int64_t k, int64_t begin, int64_t first, int64_t last) const {
    return packedTiles() + packedRow(first, last) * Tiles::depthOf(at - begin) +
           packedRow(first, tile) * Tiles::depthOf(k);
  }

  /// Packs these tiles of the left factor, K from begin to end.
  void packRows(int64_t first, int64_t last, int64_t begin, int64_t end) const {
    const int64_t runs = pieces(last - first, RUN_TILES), blocks = pieces(end - begin, BLOCK);
    const auto firstOf = [&](int64_t run) { return first + (last - first) * run / runs; };
    const auto pack = lie_ == Lie::copied ? copyTiles<S> : Tiles::packTiles;
    share(context_, Cut(blocks * runs, rowsOf(STREAMED, RUN_TILES * Tiles::ROWS * BLOCK)),
          [&](int64_t i, int64_t stop) {
            for (; i < stop; i++) {
              const int64_t from = firstOf(i % runs), at = begin + i / runs * BLOCK, k = least(end - at, BLOCK);
              pack(a_ + at * r_.aColumn, r_.aRow, r_.aColumn, k, tiling_, from, firstOf(i % runs + 1),
                   preparedTile(from, at, k, begin, first, last));
            }
          });
  }

  /// One part by one panel, over K from begin to end. The tiles first … last − 1 are packed, if any.
  void makePanel(int64_t part, int64_t panel, int64_t begin, int64_t end, int64_t first, int64_t last) const {
    alignas(64) float own[PANEL];
    alignas(64) float waiting[FOLLOWED_TILES * Tiles::ROWS * WIDTH];           // [rows][WIDTH]
    alignas(64) float kept[Tiles::KEEPS_SUMS ? Tiles::MOST_ROWS * WIDTH : 1];  // the same of all rows
    const int64_t column = panel * WIDTH;
    const int width = Tiles::PACKS_ALL ? WIDTH : pieces<int>(least(N_ - column, WIDTH), S::lanes) * S::lanes;
    const bool isPacked = packs_ || column + WIDTH > N_;
    int64_t at = begin;
    do {
      const int64_t k = least(end - at, BLOCK);
      float* packed = keeps_ ? keptPanel(panel, (at - begin) / BLOCK) : own;
      const float* source = b_ + at * r_.bRow + column * r_.bColumn;
      if (isPacked && !(keeps_ && part > 0)) {
        Tiles::packPanel(source, r_.bRow, r_.bColumn, k, N_ - column, packed, width);
      }
      ProductTile tile{};
      tile.panel = isPacked ? packed : source;
      tile.panelRow = isPacked ? width : r_.bRow;
      tile.K = Tiles::depthOf(k);
      tile.columns = least(N_ - column, WIDTH);
      tile.bias = bias_ == nullptr || at > 0 ? nullptr : bias_ + column;
      tile.adds = adds || at > 0;
      tile.streams = streams_;
      tile.aStep = lie_ == Lie::across ? r_.aColumn : lie_ == Lie::copied ? k : r_.aRow;
      const bool follows = isFollowed(r_) && at + k == K_;
      const bool wereKept = keepsSums_ && at > begin, areKept = keepsSums_ && at + k < end;
      tile.fetches = fetches_ && !areKept;
      tile.cRow = wereKept ? WIDTH : r_.cRow;
      tile.sumsRow = follows || areKept ? WIDTH : r_.cRow;
      const int64_t firstOfPart = firstTile(part), endOfPart = firstTile(part + 1);
      int64_t followed = firstOfPart;
      for (int64_t i = firstOfPart; i < endOfPart; i++) {
        const int64_t row = tiling_.start(i);
        float *place = c_ + row * r_.cRow + column, *its = kept + (row - tiling_.start(firstOfPart)) * WIDTH;
        tile.a = isPrepared() ? preparedTile(i, at, k, begin, first, last) : a_ + row * r_.aRow + at * r_.aColumn;
        tile.c = wereKept ? its : place;
        tile.sums = follows ? waiting + (row - tiling_.start(followed)) * WIDTH : areKept ? its : place;
        Tiles::finish(tile, tiling_.size(i), lie_);
        if constexpr (!adds) {
          if (!follows || (i + 1 < followed + FOLLOWED_TILES && i + 1 < endOfPart)) continue;
          const int64_t start = tiling_.start(followed);
          follow<S>(r_, waiting, WIDTH, c_ - r_.c + start * r_.cRow + column, tiling_.start(i + 1) - start,
                    tile.columns);
          followed = i + 1;
        }
      }
      at += BLOCK;
    } while (at < end);
    if (streams_) S::fence();
  }
};

template <class S, class Tiles, bool adds, class Record>
void multiplyAll(const Record& r, const float* bias, Context& context) {
  if (r.M == 0 || r.N == 0) return;
  for (int64_t i = 0; i < r.batch; i++) {
    const auto* a = r.a + i * r.aBatch;
    Product<S, Tiles, adds, Record>(r, a, r.b + i * r.bBatch, bias, r.c + i * r.cBatch, context).make();
  }
}

/// Whether the matrix unit makes a product of float32 sooner than multiply-adds do, with all that is packed for it.
template <class Record>
bool isLarge(const Record& r) {
  return least(r.M, r.N) >= 64 && int64_t{r.M} * r.N >= 64 * 96 && r.K >= 32;
}

template <class S, bool adds, class Record>
void multiplyBatch(const Record& r, const float* bias, Context& context) {
  const bool isBfloat16 = r.bfloat16 != 0;
  if constexpr (S::hasBfloat16) {
    const Bfloat16 by = context.bfloat16;
    if (isBfloat16 && by == Bfloat16::amx) return multiplyAll<S, UnitTiles<S, 1>, adds>(r, bias, context);
    if (isBfloat16 && by == Bfloat16::avx512) return multiplyAll<S, PairTiles<S, true>, adds>(r, bias, context);
    if (!isBfloat16 && by == Bfloat16::amx && isLarge(r)) {
      return multiplyAll<S, UnitTiles<S, 3>, adds>(r, bias, context);
    }
  }
  if (isBfloat16) return multiplyAll<S, PairTiles<S, false>, adds>(r, bias, context);
  multiplyAll<S, FloatTiles<S>, adds>(r, bias, context);
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
