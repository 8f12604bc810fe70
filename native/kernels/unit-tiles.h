// Tiles of a product of bfloat16 numbers by the matrix unit: four registers of sums, 32 rows by 32 columns. Sums begin
// with what they are added to, so no sum depends on where K is cut.
#pragma once
#include <algorithm>

#include "../simd/amx.h"
#include "../simd/tile.h"
#include "product-tile.h"

namespace seqgrad {

template <class S>
struct UnitTiles {
  using Registers = Amx<S>;
  using Unit = typename Registers::Unit;
  static constexpr int HALF = Registers::ROWS;

  static constexpr int ROWS = 2 * HALF;
  static constexpr int64_t WIDTH = 2 * HALF, BLOCK = 256, PANEL = BLOCK / 2 * WIDTH, LEAST_TERMS = 1 << 22,
                           USED_WITH_KEPT = 1 << 19;
  static constexpr bool PACKS_ALL = true, STREAMS = false, KEEPS_SUMS = true;

  /// Words of a row or a column; the numbers that no word is left for are zeros.
  static int64_t depthOf(int64_t k) { return pieces<int64_t>(k, Registers::NUMBERS) * Registers::WORDS; }
  /// Every tile has room for all its rows.
  static int64_t packedRow(Tiling, int64_t tile) { return tile * ROWS; }

  /// [tiles][32 k][halves] registers.
  static void packTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, Tiling tiling, int64_t first,
                        int64_t end, float* packed) {
    for (int64_t tile = first; tile < end; tile++, packed += ROWS * depthOf(K)) {
      packLines<true>(a + tiling.start(tile) * aRow, aRow, aColumn, tiling.size(tile), K, packed);
    }
  }

  /// [32 k][halves] registers.
  static void packPanel(const float* b, int64_t bRow, int64_t bColumn, int64_t K, int64_t columns, float* packed, int) {
    packLines<false>(b, bColumn, bRow, least(columns, WIDTH), K, packed);
  }

  static void finish(const ProductTile& tile, int rows, Lie) {
    withConstant<2>(pieces(rows, HALF), [&](auto high) {
      withConstant<2>(static_cast<int>(pieces<int64_t>(tile.columns, HALF)),
                      [&](auto wide) { finishHalves<high.value, wide.value>(tile, rows); });
    });
  }

 private:
  using Floats = typename S::Floats;

  /// Up to 32 lines, rows of the left factor or columns of the right one: x(line, k) = source[line · lineStep + k ·
  /// kStep]. A register has words [line][pair of k], or the other way round.
  template <bool byLine>
  static void packLines(const float* source, ptrdiff_t lineStep, ptrdiff_t kStep, int64_t lines, int64_t K,
                        float* packed) {
    for (int64_t k = 0; k < K; k += Registers::NUMBERS) {
      const int numbers = static_cast<int>(least<int64_t>(K - k, Registers::NUMBERS));
      for (int64_t line = 0; line < ROWS; line += HALF, packed += Registers::REGISTER) {
        if (line >= lines) continue;  // nothing is made of what is there
        const float* from = source + line * lineStep + k * kStep;
        const int count = static_cast<int>(least<int64_t>(lines - line, HALF));
        if (kStep == 1) {
          packRegister<byLine>(count, packed, [&](int i) { return numbersAlong(from + i * lineStep, numbers); });
        } else {
          packRegister<!byLine>(pieces(numbers, 2), packed, [&](int i) {
            return numbersAcross(from + 2 * i * kStep, lineStep, kStep, count, numbers - 2 * i);
          });
        }
      }
    }
  }

  /// A register of the vectors `made(i)`, zeros behind them: its rows, or its columns.
  template <bool areRows, class Made>
  static SEQGRAD_INLINE void packRegister(int count, float* packed, const Made& made) {
    alignas(64) float columns[Registers::REGISTER];
    float* to = areRows ? packed : columns;
    int i = 0;
    for (; i < count; i++) S::store(to + i * Registers::WORDS, made(i));
    for (; i < HALF; i++) S::store(to + i * Registers::WORDS, S::zero());
    if (!areRows) S::transpose(columns, Registers::WORDS, packed, Registers::WORDS);
  }

  /// 32 numbers that follow each other.
  static SEQGRAD_INLINE Floats numbersAlong(const float* from, int count) {
    if (count == Registers::NUMBERS) return S::bfloat16s(S::load(from), S::load(from + S::lanes));
    return S::bfloat16s(S::loadFirst(from, least(count, S::lanes)),
                        S::loadFirst(from + (count > S::lanes ? S::lanes : 0), std::max(count - S::lanes, 0)));
  }

  /// The first and the second of 16 lines in turns.
  static SEQGRAD_INLINE Floats numbersAcross(const float* from, ptrdiff_t lineStep, ptrdiff_t kStep, int lines,
                                             int count) {
    const Floats first = lineAcross(from, lineStep, lines);
    return S::interleaved(S::bfloat16s(first, count > 1 ? lineAcross(from + kStep, lineStep, lines) : S::zero()));
  }
  static SEQGRAD_INLINE Floats lineAcross(const float* from, ptrdiff_t step, int count) {
    if (step == 1) return count == S::lanes ? S::load(from) : S::loadFirst(from, count);
    alignas(64) float line[S::lanes] = {};
    for (int i = 0; i < count; i++) line[i] = from[i * step];
    return S::load(line);
  }

  /// Sums of `high` halves of rows by `wide` halves of columns, in registers 0 … 3.
  template <int high, int wide>
  static void finishHalves(const ProductTile& tile, int rows) {
    const bool isWhole = rows == high * HALF && tile.columns == wide * HALF;
    const auto forSums = [&](const auto& body) {
      body(Constant<0>{}, 0, 0);
      if constexpr (wide > 1) body(Constant<1>{}, 0, HALF);
      if constexpr (high > 1) body(Constant<2>{}, HALF, 0);
      if constexpr (high > 1 && wide > 1) body(Constant<3>{}, HALF, HALF);
    };
    if (tile.adds) {
      forSums([&](auto sums, int row, int column) {
        const float* c = tile.c + row * tile.cRow + column;
        isWhole ? Registers::template load<sums.value>(c, tile.cRow)
                : loadRest<sums.value>(c, tile.cRow, rows - row, tile.columns - column);
      });
    } else if (tile.bias != nullptr) {
      forSums([&](auto sums, int, int column) {  // the same row again and again
        isWhole ? Registers::template load<sums.value>(tile.bias + column, 0)
                : loadRest<sums.value>(tile.bias + column, 0, HALF, tile.columns - column);
      });
    } else {
      forSums([](auto sums, int, int) { Registers::template zero<sums.value>(); });
    }
    const int64_t steps = tile.K / Registers::WORDS,
                  fetched = tile.fetches && steps > 0 ? pieces<int64_t>(rows, steps) : 0;
    const float *left = tile.a, *right = tile.panel, *fetchedRow = tile.sums;
    for (int64_t i = 0; i < steps; i++, left += 2 * Registers::REGISTER, right += 2 * Registers::REGISTER) {
      Registers::template load<6>(right, Registers::WORDS);
      Registers::template load<4>(left, Registers::WORDS);
      Registers::template multiplyAdd<0, 4, 6>();
      if constexpr (high > 1) {
        Registers::template load<5>(left + Registers::REGISTER, Registers::WORDS);
        Registers::template multiplyAdd<2, 5, 6>();
      }
      if constexpr (wide > 1) {
        Registers::template load<7>(right + Registers::REGISTER, Registers::WORDS);
        Registers::template multiplyAdd<1, 4, 7>();
      }
      if constexpr (high > 1 && wide > 1) Registers::template multiplyAdd<3, 5, 7>();
      for (int64_t r = 0; r < fetched; r++, fetchedRow += tile.sumsRow) {
        for (int v = 0; v < wide; v++) fetchToWrite(fetchedRow + v * HALF);
      }
    }
    forSums([&](auto sums, int row, int column) {
      float* to = tile.sums + row * tile.sumsRow + column;
      isWhole ? Registers::template store<sums.value>(to, tile.sumsRow)
              : storeRest<sums.value>(to, tile.sumsRow, rows - row, tile.columns - column);
    });
  }

  /// A register of so many rows and columns, of as many as there are; by way of one that has all.
  template <int sums>
  static void loadRest(const float* from, ptrdiff_t step, int rows, int64_t columns) {
    alignas(64) float its[Registers::REGISTER] = {};
    for (int r = 0; r < least(rows, HALF); r++) {
      S::store(its + r * HALF, S::loadFirst(from + r * step, static_cast<int>(least<int64_t>(columns, HALF))));
    }
    Registers::template load<sums>(its, HALF);
  }
  template <int sums>
  static void storeRest(float* to, ptrdiff_t step, int rows, int64_t columns) {
    alignas(64) float its[Registers::REGISTER];
    Registers::template store<sums>(its, HALF);
    for (int r = 0; r < least(rows, HALF); r++) {
      S::storeFirst(to + r * step, S::load(its + r * HALF), static_cast<int>(least<int64_t>(columns, HALF)));
    }
  }
};

}  // namespace seqgrad
