// The threads that help. One pool serves all teams of the process; it ends with the last of them.
//
// A fork gives each lane a contiguous range of tickets. What is left of a range, and the number of the fork, are one
// word, so that a ticket is taken by one compare-exchange: by the lane itself, or by one that has nothing left to do.
// The caller takes whatever nobody else has taken; a helper that sleeps, or that the system has put aside, holds it up
// only for the ticket in its hands.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace seqgrad {

/// The threads a team may have at most.
constexpr int MOST_THREADS = 256;

class Pool {
 public:
  /// The pool of this process; a new one if the last has ended. Null if there is no memory.
  static std::shared_ptr<Pool> get();
  ~Pool();

  /// A place for a team, with helpers for so many lanes; −1 if there is none. `lanes` becomes what there is.
  int enter(int& lanes);
  void leave(int slot);

  using Call = void (*)(const void* work, int64_t ticket);
  struct Job {
    Call call;
    const void* work;
    const std::atomic<bool>* cancelled;
  };
  /// Does the tickets first … end − 1, at most MOST_TICKETS, on so many lanes, the caller's among them. A caller who
  /// had to wait for a helper that had lost its core works alone for a while.
  void fork(int slot, int lanes, int64_t first, int64_t end, Job job);
  static constexpr int64_t MOST_TICKETS = int64_t{1} << 30;

 private:
  /// A lane's part in a fork. Everything but `state` may be read only by whoever has taken a ticket of that fork: until
  /// the ticket is done nobody changes it. (Atomic all the same, for a reader that comes too late and takes nothing.)
  struct alignas(64) Seat {
    std::atomic<uint64_t> state{0};  // number of the fork · 2³² + tickets left
    std::atomic<int64_t> end{0};     // one behind the last ticket
    std::atomic<Call> call{nullptr};
    std::atomic<const void*> work{nullptr};
    std::atomic<const std::atomic<bool>*> cancelled{nullptr};
    std::atomic<uint64_t> floatMode{0};
    std::atomic<int> lanes{0};
  };

  using Clock = std::chrono::steady_clock;

  /// A team's place.
  struct alignas(128) Slot {
    Seat caller;
    alignas(64) std::atomic<uint64_t> done{0};  // tickets that helpers have done, and WAITING
    uint32_t number = 0;                        // of the last fork
    Clock::time_point aloneUntil{};
    bool taken = false;
    std::mutex mutex;
    std::condition_variable finished;
  };

  static constexpr int SLOTS = 256;
  static constexpr uint64_t WAITING = uint64_t{1} << 63;

  /// A thread; helper h is lane h + 1 of every team that has so many.
  struct alignas(128) Helper {
    int lane;
    Seat seats[SLOTS];
    uint32_t seen[SLOTS] = {};  // fork that this helper has looked at
    alignas(64) std::atomic<bool> asleep{false};
    std::mutex mutex;
    std::condition_variable called;
    std::thread thread;
  };

  Pool() = default;
  Seat& seatOf(int slot, int lane) { return lane == 0 ? slots_[slot].caller : helpers_[lane - 1]->seats[slot]; }
  static bool take(Seat& seat, uint32_t number, int64_t& ticket);
  template <class Do>
  static int64_t takeAll(Seat& seat, uint32_t number, const Do& work);
  static void report(Slot& slot, int64_t tickets);
  static void waitFor(Slot& slot, uint64_t tickets, Clock::time_point start);
  bool addHelper();
  void help(Helper& me);
  bool serve(Helper& me, int slot);
  bool isCalled(Helper& me);
  void sleep(Helper& me);
  static void wake(Helper& helper);

  std::mutex mutex_;  // for entering and leaving
  std::unique_ptr<Helper> helpers_[MOST_THREADS - 1];
  int helperCount_ = 0;
  std::atomic<int> slotCount_{0};  // slots that have ever been taken
  std::atomic<bool> ends_{false};
  Slot slots_[SLOTS];
};

}  // namespace seqgrad
