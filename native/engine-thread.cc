#include "engine-thread.h"

#include <algorithm>
#include <new>
#include <system_error>

#include "spin.h"
#include "thread-name.h"

namespace seqgrad {
namespace {

using Clock = std::chrono::steady_clock;

/// How long the thread looks out for the next program before it sleeps: the way of a result to JavaScript and back,
/// which is long where that thread's core has gone to sleep. Never longer than it has just worked.
constexpr std::chrono::microseconds PATIENCE{300};

}  // namespace

std::unique_ptr<EngineThread> EngineThread::create(int threads, Finished finished, void* context) {
  std::unique_ptr<EngineThread> engine(new (std::nothrow) EngineThread(threads, finished, context));
  if (engine == nullptr) return nullptr;
  try {
    EngineThread* it = engine.get();
    engine->thread_ = std::thread([it] { it->work(); });
  } catch (const std::system_error&) {  // the system gives no more threads
    return nullptr;
  }
  return engine;
}

void EngineThread::submit(Run& run) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(&run);
    submitted_.fetch_add(1, std::memory_order_release);
  }
  changed_.notify_one();
}

void EngineThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    team_.cancel();
  }
  changed_.notify_one();
  thread_.join();
}

/// The next run, looked out for so long before the thread sleeps; null when it is time to stop.
Run* EngineThread::next(std::chrono::microseconds patience) {
  spin(patience, [&] {
    return submitted_.load(std::memory_order_acquire) != finished_.load(std::memory_order_relaxed) ||
           team_.isCancelled();
  });
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return team_.isCancelled() || !queue_.empty(); });
  if (team_.isCancelled()) return nullptr;
  Run* run = queue_.front();
  queue_.pop_front();
  return run;
}

void EngineThread::work() {
  nameThisThread("seqgrad engine");
  std::chrono::microseconds patience{0};
  while (Run* run = next(patience)) {
    const Clock::time_point start = Clock::now();
    run->error = run->program->run(run->heap, run->heapElements, run->first, run->last, team_, run->milliseconds);
    finished_.fetch_add(1, std::memory_order_release);
    whenFinished_(context_);
    patience = std::min(PATIENCE, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start));
  }
}

}  // namespace seqgrad
