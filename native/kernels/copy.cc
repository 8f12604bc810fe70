// fill, copy, copyAdd, copyIf.
#include "../simd/vectors.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

template <class S>
void fill(const Fill& r, Context& context) {
  const auto value = S::broadcast(r.value);
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, value); });
}

/// One axis of a box: its size and the step on each side.
struct Axis {
  int64_t size, x, y;
};

/// y = x, or y += x, along two axes.
template <class S, bool adds>
void copyPlane(const float* x, float* y, Axis outer, Axis inner) {
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

/// Whether no two places of the box are one element of y, by strides that leave room for the axes behind them.
SEQGRAD_INLINE bool isSeparate(const Axis (&axes)[4]) {
  int64_t extent = 1;
  for (int i = 3; i >= 0; i--) {
    if (axes[i].size == 1) continue;
    if (axes[i].y < extent) return false;
    extent += (axes[i].size - 1) * axes[i].y;
  }
  return true;
}

template <class S, bool adds, class Record>
void copyBox(const Record& r, Context& context) {
  const Axis axes[4] = {{r.n0, r.x0, r.y0}, {r.n1, r.x1, r.y1}, {r.n2, r.x2, r.y2}, {r.n3, r.x3, r.y3}};
  for (const Axis& axis : axes) {
    if (axis.size == 0) return;
  }
  const auto copyPart = [&](int64_t plane, int64_t row, int64_t column, Axis outer, Axis inner) {
    const int64_t i0 = plane / r.n1, i1 = plane % r.n1;
    copyPlane<S, adds>(r.x + i0 * r.x0 + i1 * r.x1 + row * r.x2 + column * r.x3,
                       r.y + i0 * r.y0 + i1 * r.y1 + row * r.y2 + column * r.y3, outer, inner);
  };
  const int64_t planes = int64_t{r.n0} * r.n1;
  if (!isSeparate(axes)) {
    // A step of 0 sums over an axis: in order.
    for (int64_t plane = 0; plane < planes; plane++) copyPart(plane, 0, 0, axes[2], axes[3]);
    return;
  }
  // Planes together if they are small, else parts of a plane, of sixteen rows at least: a transposition wants blocks.
  constexpr int64_t BLOCK = 16;
  const int64_t fitting = rowsOf(STREAMED, r.n3), rows = fitting <= BLOCK ? BLOCK : fitting / BLOCK * BLOCK;
  const int64_t columns =
      rows > BLOCK ? r.n3 : least<int64_t>(r.n3, STREAMED / least<int64_t>(r.n2, BLOCK) / BLOCK * BLOCK);
  const int64_t rowParts = pieces<int64_t>(r.n2, rows), columnParts = pieces<int64_t>(r.n3, columns);
  const int64_t parts = rowParts * columnParts;
  share(context, Cut(planes * parts, rowsOf(STREAMED, least<int64_t>(rows, r.n2) * columns)),
        [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; i++) {
            const int64_t row = i % parts / columnParts * rows, column = i % columnParts * columns;
            const Axis outer{least<int64_t>(rows, r.n2 - row), r.x2, r.y2};
            const Axis inner{least<int64_t>(columns, r.n3 - column), r.x3, r.y3};
            copyPart(i / parts, row, column, outer, inner);
          }
        });
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
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, at.load(r.x)); });
}

SEQGRAD_KERNEL(fill, Fill);
SEQGRAD_KERNEL(copy, Copy);
SEQGRAD_KERNEL(copyAdd, CopyAdd);
SEQGRAD_KERNEL(copyIf, CopyIf);

}  // namespace seqgrad
