// The thread of an engine as an object of JavaScript.
#pragma once
#include <deque>
#include <memory>

#include "../engine-thread.h"
#include "program.h"
#include "wrapped.h"

namespace seqgrad::addon {

/// A run that JavaScript waits for, and what it needs until it is over.
struct PendingRun {
  Run run;
  napi_deferred promise;
  ProgramObject* program;
  Napi::ObjectReference programReference, heap, milliseconds;
  std::unique_ptr<double[]> times;  // what `milliseconds` will hold
};

class ThreadObject : public Wrapped<ThreadObject> {
 public:
  static constexpr const char* NAME = "Thread";
  static constexpr napi_type_tag TAG{0x5e96ad0000000002, 0xb1d7704ea92c3f58};
  static Napi::Function define(Napi::Env env);

  /// (threads: number)
  explicit ThreadObject(const Napi::CallbackInfo& info);
  ~ThreadObject();

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  static void notify(void* thread);                                           // on the engine's thread
  static void settleFinished(napi_env env, napi_value, void* thread, void*);  // then on that of JavaScript
  static void endWithEnvironment(void* thread);
  void settleFirst(Napi::Env env);
  void stop();

  napi_threadsafe_function function_ = nullptr;
  std::unique_ptr<EngineThread> engine_;
  std::deque<std::unique_ptr<PendingRun>> pending_;  // in the order of the calls, which is that of their ends
  uint64_t settled_ = 0;
};

}  // namespace seqgrad::addon
