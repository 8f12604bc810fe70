// Tiles of a product by the matrix unit: four registers of sums, 32 rows by 32 columns. Sums begin with what they are
// added to, so no sum depends on where K is cut.
//
// The unit multiplies bfloat16 numbers, of 8 bits. A factor is one of them, the nearest; or it is a float32 number, of
// 24 bits, and exactly the sum of three: x = x₀ + x₁ + x₂, each near to what the ones before leave. Of the nine
// products of parts of a and b the unit makes six: a₁b₂ + a₂b₁ + a₂b₂ is at most 2⁻²⁴ |ab|, half a bit of the last
// place. (G. Henry, P. T. P. Tang, A. Heinecke: "Leveraging the bfloat16 Artificial Intelligence Datatype For
// Higher-Precision Computations", 2019.) What the unit takes for zero, below 2⁻¹²⁶, may be a part; an infinite factor
// leaves NaN.
#pragma once
#include <algorithm>

#include "../simd/amx.h"
#include "../simd/bfloat16.h"
#include "../simd/tile.h"
#include "product-tile.h"

namespace seqgrad {

/// `parts` of a factor: 1 or 3.
template <class S, int parts>
struct UnitTiles {
  static_assert(parts == 1 || parts == 3);
  using Registers = Amx<S>;
  using Unit = typename Registers::Unit;
  static constexpr int HALF = Registers::ROWS;

  static constexpr int ROWS = 2 * HALF;
  static constexpr int64_t WIDTH = 2 * HALF, BLOCK = parts == 1 ? 256 : 128, PANEL = parts * (BLOCK / 2) * WIDTH,
                           LEAST_TERMS = 1 << 22;
  static constexpr bool PACKS_ALL = true, STREAMS = false, KEEPS_SUMS = true;
  static constexpr int64_t LEAST_ROWS = 128, TICKETS = 16;
  static constexpr int64_t FAR_RESULT = parts == 1 ? 3 << 18 : 1 << 15;
  static constexpr int64_t MOST_ROWS = parts == 1 ? 512 : 256, USED_AGAIN = 1 << 17,
                           USED_WITH_KEPT = parts == 1 ? 1 << 19 : 1 << 17;

  /// Words of a row or a column, all its parts; the numbers that no word is left for are zeros.
  static int64_t depthOf(int64_t k) { return pieces<int64_t>(k, Registers::NUMBERS) * Registers::WORDS * parts; }
  /// Every tile has room for all its rows.
  static int64_t packedRow(Tiling, int64_t tile) { return tile * ROWS; }

  /// [tiles][32 k][parts][halves] registers.
  static void packTiles(const float* a, int64_t aRow, int64_t aColumn, int64_t K, Tiling tiling, int64_t first,
                        int64_t end, float* packed) {
    for (int64_t tile = first; tile < end; tile++, packed += ROWS * depthOf(K)) {
      packLines<true>(a + tiling.start(tile) * aRow, aRow, aColumn, tiling.size(tile), K, packed);
    }
  }

  /// [32 k][parts][halves] registers.
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
  /// Of both halves.
  static constexpr int PART = 2 * Registers::REGISTER;

  /// Up to 32 lines, rows of the left factor or columns of the right one: x(line, k) = source[line · lineStep + k ·
  /// kStep]. A register has words [line][i] of the numbers i and i + 16, or the other way round.
  template <bool byLine>
  static void packLines(const float* source, ptrdiff_t lineStep, ptrdiff_t kStep, int64_t lines, int64_t K,
                        float* packed) {
    for (int64_t k = 0; k < K; k += Registers::NUMBERS, packed += parts * PART) {
      const int numbers = static_cast<int>(least<int64_t>(K - k, Registers::NUMBERS));
      for (int64_t line = 0; line < least<int64_t>(lines, ROWS); line += HALF) {
        const float* from = source + line * lineStep + k * kStep;
        float* to = packed + (line == 0 ? 0 : Registers::REGISTER);
        const int count = static_cast<int>(least<int64_t>(lines - line, HALF));
        const bool isWhole = numbers == Registers::NUMBERS && count == HALF && (kStep == 1 || lineStep == 1);
        if (parts > 1 && isWhole) {  // of one part this is slower
          packWhole<byLine>(from, lineStep, kStep, to);
        } else if (kStep == 1) {
          packRegisters<byLine>(count, to, [&](int i) { return numbersAlong(from + i * lineStep, numbers); });
        } else {
          packRegisters<!byLine>(least(numbers, HALF), to, [&](int i) {
            return numbersAcross(from + i * kStep, lineStep, kStep, count, numbers - i);
          });
        }
      }
    }
  }

  /// 16 lines of 32 numbers, where nothing has to be asked of each.
  template <bool byLine>
  static void packWhole(const float* from, ptrdiff_t lineStep, ptrdiff_t kStep, float* packed) {
    if (kStep == 1) {
      packRegisters<byLine>(HALF, packed, [&](int i) {
        const float* line = from + i * lineStep;
        return Two{S::load(line), S::load(line + HALF)};
      });
    } else {
      packRegisters<!byLine>(HALF, packed, [&](int i) {
        const float* numbers = from + i * kStep;
        return Two{S::load(numbers), S::load(numbers + HALF * kStep)};
      });
    }
  }

  /// Of each lane two numbers, in order.
  struct Two {
    Floats first, second;
  };

  /// Registers of the parts of what `made(i)` is, zeros behind them: their rows, or their columns.
  template <bool areRows, class Made>
  static SEQGRAD_INLINE void packRegisters(int count, float* packed, const Made& made) {
    alignas(64) float columns[parts][Registers::REGISTER];
    const auto put = [&](int part, int i, Floats words) {
      S::store((areRows ? packed + part * PART : columns[part]) + i * Registers::WORDS, words);
    };
    int i = 0;
    for (; i < count; i++) {
      Two numbers = made(i);
      if constexpr (parts == 1) {
        put(0, i, S::interleaved(S::bfloat16s(numbers.first, numbers.second)));
      } else {
        for (int part = 0; part + 1 < parts; part++) put(part, i, takePart(numbers));
        put(parts - 1, i, upperHalves(numbers));  // all that is left
      }
    }
    for (; i < HALF; i++) {
      for (int part = 0; part < parts; part++) put(part, i, S::zero());
    }
    if (areRows) return;
    for (int part = 0; part < parts; part++) {
      S::transpose(columns[part], Registers::WORDS, packed + part * PART, Registers::WORDS);
    }
  }

  /// The bfloat16 numbers nearest to these, of two the one further from 0, in words; the numbers become what is left.
  static SEQGRAD_INLINE Floats takePart(Two& numbers) {
    const auto nearest = [](Floats x) { return firstOf<S>(S::fromBits(S::bitsOf(x) + S::broadcast(int32_t{0x8000}))); };
    const Two part{nearest(numbers.first), nearest(numbers.second)};
    numbers = {numbers.first - part.first, numbers.second - part.second};
    return upperHalves(part);
  }
  static SEQGRAD_INLINE Floats upperHalves(Two numbers) {
    return S::fromBits(S::template shiftRight<16>(S::bitsOf(numbers.first)) | S::bitsOf(firstOf<S>(numbers.second)));
  }

  /// 32 numbers that follow each other.
  static SEQGRAD_INLINE Two numbersAlong(const float* from, int count) {
    if (count == Registers::NUMBERS) return {S::load(from), S::load(from + S::lanes)};
    return {S::loadFirst(from, least(count, S::lanes)),
            S::loadFirst(from + (count > S::lanes ? S::lanes : 0), std::max(count - S::lanes, 0))};
  }

  /// One of each of 16 lines, and the one 16 further on if there are so many.
  static SEQGRAD_INLINE Two numbersAcross(const float* from, ptrdiff_t lineStep, ptrdiff_t kStep, int lines,
                                          int count) {
    const Floats first = lineAcross(from, lineStep, lines);
    return {first, count > HALF ? lineAcross(from + HALF * kStep, lineStep, lines) : S::zero()};
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
    const int64_t steps = tile.K / (parts * Registers::WORDS),
                  fetched = tile.fetches && steps > 0 ? pieces<int64_t>(rows, steps) : 0;
    const float *left = tile.a, *right = tile.panel, *fetchedRow = tile.sums;
    for (int64_t i = 0; i < steps; i++, left += parts * PART, right += parts * PART) {
      const auto loadLeft = [&](int part) {
        const float* its = left + part * PART;
        Registers::template load<4>(its, Registers::WORDS);
        if constexpr (high > 1) Registers::template load<5>(its + Registers::REGISTER, Registers::WORDS);
      };
      const auto loadRight = [&](int part) {
        const float* its = right + part * PART;
        Registers::template load<6>(its, Registers::WORDS);
        if constexpr (wide > 1) Registers::template load<7>(its + Registers::REGISTER, Registers::WORDS);
      };
      const auto multiplyAdd = [] {
        Registers::template multiplyAdd<0, 4, 6>();
        if constexpr (high > 1) Registers::template multiplyAdd<2, 5, 6>();
        if constexpr (wide > 1) Registers::template multiplyAdd<1, 4, 7>();
        if constexpr (high > 1 && wide > 1) Registers::template multiplyAdd<3, 5, 7>();
      };
      if constexpr (parts == 3) {  // lesser products first, and in an order in which little is loaded twice
        loadLeft(2);
        loadRight(0);
        multiplyAdd();
        loadLeft(1);
        multiplyAdd();
        loadRight(1);
        multiplyAdd();
        loadLeft(0);
        multiplyAdd();
        loadRight(2);
        multiplyAdd();
        loadRight(0);
        multiplyAdd();
      } else {
        loadLeft(0);
        loadRight(0);
        multiplyAdd();
      }
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
