#include "barrier.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "spin.h"

namespace seqgrad {

double barrierNanoseconds(Team& team, double milliseconds) {
  using Clock = std::chrono::steady_clock;
  using Nanoseconds = std::chrono::duration<double, std::nano>;
  constexpr int FORKS = 8;
  // Longer than any helper needs that has a core; one that has none must not hold this up.
  constexpr std::chrono::milliseconds PATIENCE{5};
  const auto end = Clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
  double best = std::numeric_limits<double>::infinity();
  do {
    const auto start = Clock::now();
    for (int i = 0; i < FORKS; i++) {
      std::atomic<int> present{0};
      team.parallel(team.lanes(), [&](int64_t) {
        present.fetch_add(1, std::memory_order_relaxed);
        spin(PATIENCE, [&] { return present.load(std::memory_order_relaxed) == team.lanes(); });
      });
    }
    best = std::min(best, Nanoseconds(Clock::now() - start).count() / FORKS);
  } while (Clock::now() < end);
  return best;
}

}  // namespace seqgrad
