// What all recurrences over a sequence share: the order of steps, rows that have ended or start anew, packed recurrent
// weights, and how a step is cut into tickets and tiles. T steps, B rows, H units; names follow the reference.
//
// A weight is packed once and serves all steps. A tile of the recurrent product holds a few rows; what follows from it
// is computed while the sums are in registers.
#pragma once
#include "../simd/tile.h"
#include "row-order.h"
#include "tickets.h"

namespace seqgrad {

/// to [n] = from, or zero where there is none
template <class S>
void copyOrZero(const float* from, float* to, int64_t n, Context& context) {
  forElements<S>(context, n, STREAMED, [&](auto at) { at.store(to, from == nullptr ? S::zero() : at.load(from)); });
}

/// One step of some rows, cut into tickets. A tile is a few rows of one panel of units.
///
/// A lane that keeps its rows from step to step finds their states in its own cache. A lane that keeps its units finds
/// their part of the weight there, which matters more when the whole weight is too large for a core's cache. What a
/// step has read last of its part the next one reads first: every other step goes backwards.
template <class S>
struct StepCut {
  Rows rows;
  Tiling tiling;
  int64_t panels, unitParts, rowParts;
  bool rowsFirst;

  /// At least one row. `leastPanels` is what a ticket takes at least, `weight` the elements of the recurrent weight.
  SEQGRAD_INLINE StepCut(Rows its, int64_t panelCount, int64_t leastPanels, int64_t weight, int64_t lanes)
      : rows(its), tiling(its.count, S::recurrentRows), panels(panelCount), rowsFirst(weight <= CACHED) {
    // Gate maths comes on top of the product, so half of what a product's ticket has is enough; a large step has more
    // tickets, so that no lane waits long for the last one.
    const int64_t product = rows.count * weight;
    const int64_t worth = product / (LEAST_PRODUCT / 2), large = product / (8 * LEAST_PRODUCT);
    const int64_t most = worth < 1 || lanes == 1 ? 1 : large > FEW ? least(large, MANY) : least(worth, FEW);
    if (rowsFirst) {
      rowParts = least(most, tiling.tiles);
      unitParts = least(most / rowParts, pieces(panels, leastPanels));
    } else {
      unitParts = least(most, pieces(panels, leastPanels));
      rowParts = least(most / unitParts, tiling.tiles);
    }
  }

  /// Calls `work(panel, rows)` for every tile of step t; how many rows it has is a compile-time constant.
  template <class Work>
  SEQGRAD_INLINE void share(int64_t t, Context& context, const Work& work) const {
    const bool goesBack = t % 2 != 0;
    context.team.parallel(unitParts * rowParts, [&](int64_t ticket) {
      const int64_t unitPart = rowsFirst ? ticket % unitParts : ticket / rowParts;
      const int64_t rowPart = rowsFirst ? ticket / unitParts : ticket % rowParts;
      const int64_t firstTile = tiling.tiles * rowPart / rowParts;
      const int64_t endOfTiles = tiling.tiles * (rowPart + 1) / rowParts;
      // All rows before the next panel, which a core's first cache then keeps.
      const int64_t begin = panels * unitPart / unitParts, end = panels * (unitPart + 1) / unitParts;
      for (int64_t i = begin; i < end; i++) {
        const int64_t panel = goesBack ? begin + end - 1 - i : i;
        for (int64_t tile = firstTile; tile < endOfTiles; tile++) {
          const int32_t* first = rows.rows + tiling.start(tile);
          withConstant<S::recurrentRows>(tiling.size(tile),
                                         [&](auto count) { work(panel, TileRows<count.value>(first)); });
        }
      }
    });
  }

 private:
  static constexpr int64_t FEW = 16, MANY = 64;
  static constexpr int64_t CACHED = 1 << 17;
};

/// Calls `work(panel)` for all panels, of so many elements each.
template <class Work>
SEQGRAD_INLINE void sharePanels(Context& context, int64_t panels, int64_t elements, const Work& work) {
  share(context, Cut(panels, rowsOf(STREAMED, elements)), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; panel++) work(panel);
  });
}

/// The states before and after step t.
template <class Record>
SEQGRAD_INLINE int64_t stateBefore(const Record& r, int64_t t) {
  return r.reverse ? t + 1 : t;
}
template <class Record>
SEQGRAD_INLINE int64_t stateAfter(const Record& r, int64_t t) {
  return r.reverse ? t : t + 1;
}

/// Whether step t of row b takes the state before it as zero.
template <class Record>
SEQGRAD_INLINE bool isCut(const Record& r, int64_t t, int64_t b) {
  if (r.resets == nullptr) return false;
  const int64_t boundary = stateBefore(r, t);
  return boundary < r.T && r.resets[boundary * r.B + b] != 0;
}

/// Whether a sequence is so large that what a step meets has to be fetched: little of it is in the core's caches.
template <class Record>
SEQGRAD_INLINE bool isFar(const Record& r) {
  constexpr int64_t NEAR = 1 << 15;
  return int64_t{r.T} * r.B * r.H > NEAR;
}

/// The rows of a tile from array [B, W], the left factor of its product.
template <int count>
SEQGRAD_INLINE Scattered<count> rowsAt(const float* array, int64_t W, const TileRows<count>& rows) {
  Scattered<count> left;
#pragma GCC unroll 16
  for (int row = 0; row < count; row++) left.rows[row] = array + rows.b[row] * W;
  return left;
}

// Panels of units: all gates of a vector of units side by side.

/// weight [gates · H, K] → packed [units / lanes][K][gates][lanes]
template <class S, int gates>
void packUnits(const float* weight, int64_t H, int64_t K, float* packed, Context& context) {
  constexpr int WIDTH = gates * S::lanes;
  sharePanels(context, pieces<int64_t>(H, S::lanes), K * WIDTH, [&](int64_t panel) {
    const int64_t u = panel * S::lanes;
    for (int gate = 0; gate < gates; gate++) {
      packPanel<S>(weight + (gate * H + u) * K, 1, K, K, H - u, packed + panel * K * WIDTH + gate * S::lanes, WIDTH,
                   S::lanes);
    }
  });
}

/// Calls `body(rows, units)` for all tiles of step t of these rows: a few of them, and the units of a vector. `weight`
/// is how many elements the recurrent weight has.
template <class S, class Body>
SEQGRAD_INLINE void unitTiles(Rows its, int64_t t, int64_t H, int64_t weight, Context& context, const Body& body) {
  if (its.count == 0) return;
  const StepCut<S> cut(its, pieces<int64_t>(H, S::lanes), 32 / S::lanes, weight, context.team.lanes());
  cut.share(t, context, [&](int64_t panel, auto rows) {
    const int64_t u = panel * S::lanes;
    if (u + S::lanes <= H) {
      body(rows, Whole<S>{u});
    } else {
      body(rows, Rest<S>{u, static_cast<int>(H - u)});
    }
  });
}

// Panels of columns: four vectors of them; the last panel as many as it needs.

template <class S>
constexpr int64_t PANEL = 4 * S::lanes;

template <class S>
SEQGRAD_INLINE int vectorsOf(int64_t N, int64_t column) {
  return static_cast<int>(pieces<int64_t>(least(N - column, PANEL<S>), S::lanes));
}

/// The right factor of a product, w(k, column) = weight[k · rowStep + column · columnStep] → packed
/// [panels][K][vectors][lanes]
template <class S>
void packColumns(const float* weight, ptrdiff_t rowStep, ptrdiff_t columnStep, int64_t K, int64_t N, float* packed,
                 Context& context) {
  sharePanels(context, pieces(N, PANEL<S>), K * PANEL<S>, [&](int64_t panel) {
    const int64_t column = panel * PANEL<S>;
    const int width = vectorsOf<S>(N, column) * S::lanes;
    packPanel<S>(weight + column * columnStep, rowStep, columnStep, K, N - column, packed + column * K, width, width);
  });
}

/// Calls `body(rows, vectors, column)` for all tiles of step t of these rows: a few of them, and some vectors of
/// columns, a compile-time constant. `weight` is how many elements the weight has.
template <class S, class Body>
SEQGRAD_INLINE void columnTiles(Rows its, int64_t t, int64_t N, int64_t weight, Context& context, const Body& body) {
  if (its.count == 0) return;
  const StepCut<S> cut(its, pieces(N, PANEL<S>), 1, weight, context.team.lanes());
  cut.share(t, context, [&](int64_t panel, auto rows) {
    const int64_t column = panel * PANEL<S>;
    withConstant<4>(vectorsOf<S>(N, column), [&](auto vectors) { body(rows, vectors, column); });
  });
}

/// Calls `body(v, units)` for the vectors of a tile whose first column is `column`.
template <class S, int vectors, class Body>
SEQGRAD_INLINE void forTileVectors(int64_t N, int64_t column, const Body& body) {
#pragma GCC unroll 8
  for (int v = 0; v < vectors; v++) {
    const int64_t at = column + v * S::lanes;
    if (at + S::lanes <= N) {
      body(v, Whole<S>{at});
    } else {
      body(v, Rest<S>{at, static_cast<int>(N - at)});
    }
  }
}

// Through time.

/// states [T + 1, B, W] of the steps that rows lack: what each row ended with, or for `reverse` what it will begin
/// with.
template <class S, class Record>
void carryEnded(const Record& r, const RowOrder& order, float* states, int64_t W, Context& context) {
  const int64_t T = r.T, B = r.B;
  const Rows ended = order.ended();
  share(context, Cut(ended.count, rowsOf(STREAMED, T * W)), [&](int64_t begin, int64_t end) {
    for (; begin < end; begin++) {
      const int64_t b = ended.rows[begin], length = order.lengthOf(b);
      const float* from = states + ((r.reverse ? T : length) * B + b) * W;
      for (int64_t t = length; t < T; t++) {
        float* to = states + (stateAfter(r, t) * B + b) * W;
        forVectors<S>(0, W, [&](auto at) { at.store(to, at.load(from)); });
      }
    }
  });
}

/// values [T, B, W] = 0 at the steps that rows lack. Nothing if there are no values.
template <class S>
void clearEnded(const RowOrder& order, float* values, int64_t T, int64_t B, int64_t W, Context& context) {
  if (values == nullptr) return;
  const Rows ended = order.ended();
  share(context, Cut(ended.count, rowsOf(STREAMED, T * W)), [&](int64_t begin, int64_t end) {
    for (; begin < end; begin++) {
      const int64_t b = ended.rows[begin];
      for (int64_t t = order.lengthOf(b); t < T; t++) {
        forVectors<S>(0, W, [&](auto at) { at.store(values + (t * B + b) * W, S::zero()); });
      }
    }
  });
}

/// Calls `body(t, rows)` from the first step to the last with the rows that have it; and `carry()` for the states of
/// the others, when what they carry is there.
template <class Record, class Carry, class Body>
SEQGRAD_INLINE void forForwardSteps(const Record& r, const RowOrder& order, const Carry& carry, const Body& body) {
  const int64_t T = r.T;
  if (r.reverse) carry();
  for (int64_t done = 0; done < T; done++) {
    const int64_t t = r.reverse ? T - 1 - done : done;
    body(t, order.having(t));
  }
  if (!r.reverse) carry();
}

/// What the backward pass does with one step.
struct BackwardStep {
  int64_t t;         // −1 or T for what lies before the first step: the initial states
  int64_t followed;  // the step that followed t in time, or −1
  bool isInitial;
  Rows rows;  // those that have either
};

/// Calls `body(step)` from the last step to the first, and once more for the initial states.
template <class Record, class Body>
SEQGRAD_INLINE void forBackwardSteps(const Record& r, const RowOrder& order, const Body& body) {
  const int64_t T = r.T;
  for (int64_t done = 0; done <= T; done++) {
    const int64_t t = r.reverse ? done : T - 1 - done, followed = done == 0 ? -1 : r.reverse ? t - 1 : t + 1;
    const bool isInitial = done == T;
    // The earlier step has all rows that the later one has.
    body(BackwardStep{t, followed, isInitial, order.having(isInitial || (r.reverse && done > 0) ? followed : t)});
  }
}

/// Whether row b has step t.
template <class Record>
SEQGRAD_INLINE bool hasStep(const Record& r, int64_t t, int64_t b) {
  return r.lengths == nullptr || t < r.lengths[b];
}

/// Whether row b has the step that followed.
template <class Record>
SEQGRAD_INLINE bool hasFollower(const Record& r, BackwardStep step, int64_t b) {
  return step.followed >= 0 && hasStep(r, step.followed, b);
}

/// Whether row b has the step itself.
template <class Record>
SEQGRAD_INLINE bool isLive(const Record& r, BackwardStep step, int64_t b) {
  return !step.isInitial && hasStep(r, step.t, b);
}

/// recurrent = Σ over j of gradients[j] · weight[j][column], `gradients` [T, B, J] being those of the step that
/// followed: the sums of a tile. Zero where none followed, and for rows where that step took its state as zero.
template <class S, int count, int vectors, class Record, class Fetched>
SEQGRAD_INLINE void recurrentTile(const Record& r, BackwardStep step, const float* gradients, int64_t J,
                                  const float* panel, const TileRows<count>& rows,
                                  typename S::Floats (&sum)[count][vectors], const Fetched& ahead) {
  const bool none = step.followed < 0;
  const float* from = none ? nullptr : gradients + step.followed * r.B * J;
  multiplyTile<S>(rowsAt(from, J, rows), panel, vectors * S::lanes, none ? 0 : J, sum, ahead);
  if (none || r.resets == nullptr) return;
  for (int row = 0; row < count; row++) {
    if (!isCut(r, step.followed, rows.b[row])) continue;
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[row][v] = S::zero();
  }
}

}  // namespace seqgrad
