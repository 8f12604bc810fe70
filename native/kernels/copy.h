// fill, copy, copyAdd, copyIf.
#pragma once
#include "../generated/instructions.h"
#include "../simd/vectors.h"
#include "../team.h"

namespace seqgrad {

/// Elements of an array that one ticket takes: 64 KiB.
constexpr int64_t TICKET_ELEMENTS = 16384;

/// Runs `body` over n elements, in tickets, with a cursor of vectors.
template <class S, class Body>
void forElements(Context& context, int64_t n, const Body& body) {
  context.team.parallel(pieces(n, TICKET_ELEMENTS), [&](int64_t ticket) {
    const int64_t begin = ticket * TICKET_ELEMENTS;
    forVectors<S>(begin, least(begin + TICKET_ELEMENTS, n), body);
  });
}

template <class S>
void fill(const Fill& r, Context& context) {
  const auto value = S::broadcast(r.value);
  forElements<S>(context, r.n, [&](auto at) { at.store(r.y, value); });
}

/// One axis of a box: its size and the step on each side.
struct Axis {
  int64_t size, x, y;
};

/// y = x, or y += x, along two axes.
template <class S, bool adds>
SEQGRAD_INLINE void copyPlane(const float* x, float* y, Axis outer, Axis inner) {
  const auto put = [](auto at, const float* from, float* to, auto value) {
    (void)from;
    if constexpr (adds) {
      at.store(to, at.load(to) + value);
    } else {
      at.store(to, value);
    }
  };
  const bool blocks = !adds && inner.y == 1 && outer.x == 1 && outer.y >= inner.size;
  for (int64_t i = 0; i < outer.size; i++, x += outer.x, y += outer.y) {
    if (blocks && i % S::lanes == 0 && i + S::lanes <= outer.size) {
      // A transposition, block by block; what does not fill a block follows below.
      int64_t j = 0;
      for (; j + S::lanes <= inner.size; j += S::lanes) S::transpose(x + j * inner.x, inner.x, y + j, outer.y);
      for (int k = 0; k < S::lanes; k++) {
        for (int64_t rest = j; rest < inner.size; rest++) y[k * outer.y + rest] = x[k + rest * inner.x];
      }
      i += S::lanes - 1;
      x += (S::lanes - 1) * outer.x;
      y += (S::lanes - 1) * outer.y;
    } else if (inner.x == 1 && inner.y == 1) {
      forVectors<S>(0, inner.size, [&](auto at) { put(at, x, y, at.load(x)); });
    } else if (inner.x == 0 && inner.y == 1) {
      const auto value = S::broadcast(*x);
      forVectors<S>(0, inner.size, [&](auto at) { put(at, x, y, value); });
    } else {
      for (int64_t j = 0; j < inner.size; j++) {
        const float value = x[j * inner.x];
        y[j * inner.y] = adds ? y[j * inner.y] + value : value;
      }
    }
  }
}

template <class S, bool adds, class Record>
void copyBox(const Record& r, Context& context) {
  const Axis axes[4] = {{r.n0, r.x0, r.y0}, {r.n1, r.x1, r.y1}, {r.n2, r.x2, r.y2}, {r.n3, r.x3, r.y3}};
  for (const Axis& axis : axes) {
    if (axis.size == 0) return;
  }
  // Axes 0 and 1 give a plane each. Planes that share elements of y (a step of 0 sums over an axis) must come in order.
  const int64_t plane = (axes[2].size - 1) * axes[2].y + (axes[3].size - 1) * axes[3].y + 1;
  const int64_t slab = (axes[1].size - 1) * axes[1].y + plane;
  const bool separate = (axes[1].size == 1 || axes[1].y >= plane) && (axes[0].size == 1 || axes[0].y >= slab);
  const auto copyPlaneAt = [&](int64_t i0, int64_t i1) {
    copyPlane<S, adds>(r.x + i0 * r.x0 + i1 * r.x1, r.y + i0 * r.y0 + i1 * r.y1, axes[2], axes[3]);
  };
  if (separate) {
    const int64_t planes = axes[0].size * axes[1].size;
    context.team.parallel(planes, [&](int64_t ticket) { copyPlaneAt(ticket / r.n1, ticket % r.n1); });
  } else {
    for (int64_t i0 = 0; i0 < r.n0; i0++) {
      for (int64_t i1 = 0; i1 < r.n1; i1++) copyPlaneAt(i0, i1);
    }
  }
}

template <class S>
void copy(const Copy& r, Context& context) {
  copyBox<S, false>(r, context);
}

template <class S>
void copyAdd(const CopyAdd& r, Context& context) {
  copyBox<S, true>(r, context);
}

template <class S>
void copyIf(const CopyIf& r, Context& context) {
  if (*r.flag == 0) return;
  forElements<S>(context, r.n, [&](auto at) { at.store(r.y, at.load(r.x)); });
}

}  // namespace seqgrad
