// The arithmetic a core can do at most, for benchmarks to be compared with.
#pragma once
#include "../simd/inline.h"

namespace seqgrad {

/// Does `steps` rounds of multiply-adds that never leave the registers; returns the number of operations.
template <class S>
double multiplyAdds(int64_t steps, float* result) {
  // They hide a multiplication and an addition (8 cycles) where two are begun in each; 12 + 2 of 16 registers.
  constexpr int CHAINS = 12;
  const auto factor = S::broadcast(0.5f), term = S::broadcast(1.0f);
  typename S::Floats x[CHAINS];
#pragma GCC unroll 16
  for (int i = 0; i < CHAINS; i++) x[i] = S::broadcast(static_cast<float>(i));  // all different, or one would do
  for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++) x[i] = S::fma(x[i], factor, term);
  }
  for (int i = 1; i < CHAINS; i++) x[0] = x[0] + x[i];
  *result = S::firstLane(x[0]);
  return 2.0 * S::lanes * CHAINS * static_cast<double>(steps);
}

}  // namespace seqgrad
