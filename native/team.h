// The one place where work is spread. Kernels cut sums at places fixed by shape only, so results do not depend on how
// many tickets there are, or on who works on which.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "simd/inline.h"

namespace seqgrad {

class Pool;

/// Those who run the programs of one engine: the thread that calls, and helpers from the process's pool. One thread at
/// a time may use a team.
class Team {
 public:
  /// The caller and threads − 1 helpers, or as many as the system gives: see `lanes`.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// How many threads there are, the caller among them.
  int lanes() const { return lanes_; }

  /// Calls work(0) … work(tickets − 1), in any order, and returns when all are done. Each lane begins with its own
  /// contiguous part, the same for the same number of tickets, and then takes from the others. After `cancel` the
  /// tickets that nobody has begun are left out.
  template <class Work>
  SEQGRAD_INLINE void parallel(int64_t tickets, const Work& work) {
    if (tickets > 1 && lanes_ > 1) {
      fork(
          tickets, [](const void* its, int64_t ticket) { (*static_cast<const Work*>(its))(ticket); }, &work);
      return;
    }
    for (int64_t ticket = 0; ticket < tickets && !isCancelled(); ticket++) work(ticket);
  }

  /// Ends what is running, within a ticket, for good. Any thread may call it.
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  SEQGRAD_INLINE bool isCancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  /// Memory for so many floats, 64-byte aligned, meaning nothing before or after a run; null if there is none. It stays
  /// until the team goes or more is wanted.
  float* workspace(double elements);

 private:
  using Call = void (*)(const void* work, int64_t ticket);
  void fork(int64_t tickets, Call call, const void* work);

  std::shared_ptr<Pool> pool_;  // null for a caller alone
  int lanes_ = 1;
  int slot_ = -1;
  std::atomic<bool> cancelled_{false};
  void* workspace_ = nullptr;
  double workspaceElements_ = 0;
};

/// What multiplies bfloat16 numbers: multiply-adds of floats, AVX512-BF16, or the matrix unit AMX-BF16, which then
/// multiplies large matrices of float32, too.
enum class Bfloat16 { emulated, avx512, amx };

/// What a kernel is given besides its record.
struct Context {
  Team& team;
  /// 64-byte aligned; as many elements as the instruction's definition says, meaning nothing before or after.
  float* workspace;
  /// Which of the instructions that a trait with `hasBfloat16` may use are used.
  Bfloat16 bfloat16;
};

}  // namespace seqgrad
