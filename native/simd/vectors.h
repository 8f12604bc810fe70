// Loops over an array of any length. The body is written once and works on a cursor: a whole vector, or the rest of the
// array.
#pragma once
#include <cstddef>
#include <cstdint>

#include "fetch.h"
#include "inline.h"

namespace seqgrad {

template <class S>
struct Whole {
  ptrdiff_t index;
  SEQGRAD_INLINE int count() const { return S::lanes; }
  SEQGRAD_INLINE typename S::Floats load(const float* array) const { return S::load(array + index); }
  SEQGRAD_INLINE void store(float* array, typename S::Floats x) const { S::store(array + index, x); }
};

/// A whole vector at the beginning of a line, of a long array: what follows is asked for.
template <class S>
struct Fetching : Whole<S> {
  SEQGRAD_INLINE typename S::Floats load(const float* array) const {
    fetch(array + this->index + AHEAD);
    return Whole<S>::load(array);
  }
};

/// A whole vector, aligned, that is not stored in caches: nobody will soon read it.
template <class S>
struct Streamed {
  ptrdiff_t index;
  SEQGRAD_INLINE typename S::Floats load(const float* array) const { return S::load(array + index); }
  SEQGRAD_INLINE void store(float* array, typename S::Floats x) const { S::stream(array + index, x); }
};

template <class S>
struct Rest {
  ptrdiff_t index;
  int rest;
  SEQGRAD_INLINE int count() const { return rest; }
  SEQGRAD_INLINE typename S::Floats load(const float* array) const { return S::loadFirst(array + index, rest); }
  SEQGRAD_INLINE void store(float* array, typename S::Floats x) const { S::storeFirst(array + index, x, rest); }
};

template <class S, class Body>
SEQGRAD_INLINE void forVectors(ptrdiff_t begin, ptrdiff_t end, const Body& body) {
  for (; begin + S::lanes <= end; begin += S::lanes) body(Whole<S>{begin});
  if (begin < end) body(Rest<S>{begin, static_cast<int>(end - begin)});
}

/// The same of long arrays, which are not in the caches.
template <class S, class Body>
SEQGRAD_INLINE void forManyVectors(ptrdiff_t begin, ptrdiff_t end, const Body& body) {
  for (; begin + LINE <= end; begin += LINE) {
    body(Fetching<S>{{begin}});
    for (ptrdiff_t i = S::lanes; i < LINE; i += S::lanes) body(Whole<S>{begin + i});
  }
  forVectors<S>(begin, end, body);
}

template <int n>
struct Constant {
  static constexpr int value = n;
};

/// Calls `body` with `n`, 1 ≤ n ≤ most, as a compile-time constant.
template <int most, class Body>
SEQGRAD_INLINE void withConstant(int n, const Body& body) {
  if constexpr (most > 1) {
    if (n < most) return withConstant<most - 1>(n, body);
  }
  body(Constant<most>{});
}

/// The smaller of two sizes.
template <class T>
constexpr SEQGRAD_INLINE T least(T a, T b) {
  return b < a ? b : a;
}

/// a / b rounded up.
template <class T>
constexpr SEQGRAD_INLINE T pieces(T a, T b) {
  return a / b + (a % b != 0);
}

}  // namespace seqgrad
