// The thread that runs the programs of one engine, one after the other. Knows nothing of Node.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "executor.h"
#include "team.h"

namespace seqgrad {

/// A run of a program. Whoever submits it keeps it and all it points to until it has finished.
struct Run {
  const Program* program;
  float* heap;
  double heapElements;
  int32_t first, last;
  double* milliseconds;  // null, or a place for each record
  RunError error = RunError::cancelled;
};

class EngineThread {
 public:
  /// Called on the engine's thread whenever a run has finished.
  using Finished = void (*)(void* context);

  /// Null if the system gives no thread for it.
  static std::unique_ptr<EngineThread> create(int threads, Finished finished, void* context);
  ~EngineThread() { stop(); }

  /// How many threads work on a program.
  int lanes() const { return team_.lanes(); }

  void submit(Run& run);

  /// How many of the runs have finished, in the order in which they were submitted.
  uint64_t finished() const { return finished_.load(std::memory_order_acquire); }

  /// Ends the program that is running, within a ticket, and the thread. Runs that have not finished never will.
  void stop();

 private:
  EngineThread(int threads, Finished finished, void* context)
      : team_(threads), whenFinished_(finished), context_(context) {}
  void work();
  Run* next(std::chrono::microseconds patience);

  Team team_;
  const Finished whenFinished_;
  void* const context_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Run*> queue_;
  std::atomic<uint64_t> submitted_{0}, finished_{0};
  std::thread thread_;
};

}  // namespace seqgrad
