// The matrix unit of x86-64, AMX-BF16: eight registers of 16 rows of 64 bytes, and one instruction that multiplies two.
//
// A left register holds 16 rows of 32 numbers, a right one 16 columns of as many: [pair of k][column] words of two, as
// a left one has [row][pair of k]. Of each word the first is in the lower half. Bits: Intel SDM volume 2, TDPBF16PS.
#pragma once
#include <cstddef>
#include <cstdint>

#include "inline.h"
#include "sanitizers.h"

namespace seqgrad {

/// The instructions, for a trait whose ISA may have them. The compiler's own functions for them do not say that they
/// read and write memory.
template <class S>
struct Amx {
  /// Rows of a register, words of its rows, and numbers of bfloat16 in these.
  static constexpr int ROWS = 16, WORDS = 16, NUMBERS = 32;
  static constexpr int REGISTER = ROWS * WORDS;

  /// While it is there the calling thread's registers have that size. Whoever leaves them that way makes every change
  /// of threads dearer.
  class Unit {
   public:
    SEQGRAD_INLINE Unit() {
      alignas(64) Configuration configuration{};
      configuration.palette = 1;
      for (int i = 0; i < 8; i++) {
        configuration.rowBytes[i] = WORDS * sizeof(float);
        configuration.rows[i] = ROWS;
      }
      __asm__ volatile("ldtilecfg %0" : : "m"(configuration));
    }
    SEQGRAD_INLINE ~Unit() { __asm__ volatile("tilerelease" : : : "memory"); }
    Unit(const Unit&) = delete;
    Unit& operator=(const Unit&) = delete;

   private:
    struct Configuration {
      uint8_t palette, start, reserved[14];
      uint16_t rowBytes[16];
      uint8_t rows[16];
    };
    static_assert(sizeof(Configuration) == 64, "as the instruction reads it");
  };

  template <int to>
  static SEQGRAD_INLINE void zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(to));
  }
  /// Rows that lie so many floats apart.
  template <int to>
  static SEQGRAD_INLINE void load(const float* rows, ptrdiff_t step) {
    for (int r = 0; r < ROWS; r++) tellReads(rows + r * step, WORDS);
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2"
                     :
                     : "r"(rows), "r"(step * static_cast<ptrdiff_t>(sizeof *rows)), "i"(to)
                     : "memory");
  }
  template <int from>
  static SEQGRAD_INLINE void store(float* rows, ptrdiff_t step) {
    for (int r = 0; r < ROWS; r++) tellWrites(rows + r * step, WORDS);
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                     :
                     : "r"(rows), "r"(step * static_cast<ptrdiff_t>(sizeof *rows)), "i"(from)
                     : "memory");
  }
  /// sums[r][j] += Σ over 32 k: those of even and those of odd k apart, each by rounded multiply-adds, then both
  /// together. Subnormal numbers are zeros.
  template <int sums, int left, int right>
  static SEQGRAD_INLINE void multiplyAdd() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(sums), "i"(left), "i"(right));
  }
};

}  // namespace seqgrad
