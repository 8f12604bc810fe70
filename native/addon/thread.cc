#include "thread.h"

#include <algorithm>
#include <new>
#include <string>

namespace seqgrad::addon {
namespace {

constexpr const char* CLOSED = "Expected an engine that is open but received one that was closed";

/// A promise that is rejected with `error`: what returns promises does not throw.
Napi::Value rejected(Napi::Env env, const Napi::Error& error) {
  const auto promise = Napi::Promise::Deferred::New(env);
  promise.Reject(error.Value());
  return promise.Promise();
}

Napi::Value refused(Napi::Env env, const std::string& message) {
  return rejected(env, Napi::TypeError::New(env, message));
}

}  // namespace

Napi::Function ThreadObject::define(Napi::Env env) {
  return DefineClass(env, NAME,
                     {describeMethod<&ThreadObject::run>("run"), describeMethod<&ThreadObject::close>("close")});
}

ThreadObject::ThreadObject(const Napi::CallbackInfo& info) : Wrapped(info) {
  const Napi::Env env = info.Env();
  int threads;
  if (!threadsOf(env, info[0], threads)) return;
  const Napi::String name = Napi::String::New(env, "seqgrad");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, settleFinished,
                                      &function_) != napi_ok) {
    function_ = nullptr;
    Napi::Error::New(env, "Expected a way back to JavaScript but there is none").ThrowAsJavaScriptException();
    return;
  }
  napi_unref_threadsafe_function(env, function_);
  // After the function, so that at the end of the environment this hook comes first and the function is still there for
  // the engine's thread.
  napi_add_env_cleanup_hook(env, endWithEnvironment, this);
  engine_ = EngineThread::create(threads, notify, this);
  if (engine_ == nullptr || engine_->lanes() < threads) {
    const int given = engine_ == nullptr ? 0 : engine_->lanes();
    stop();
    refuseThreads(env, threads, given);
  }
}

ThreadObject::~ThreadObject() { stop(); }

/// (program: Program, heap: Uint8Array, elements: number, first: number, last: number, milliseconds: Float64Array |
/// null) → Promise<void>
Napi::Value ThreadObject::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ProgramObject* program = ProgramObject::of(info[0]);
  if (program == nullptr) return refused(env, "Expected a Program");
  View heap, milliseconds;
  if (!viewOf(info[1], napi_uint8_array, heap)) return refused(env, "Expected a Uint8Array for heap");
  double elements, first, last;
  if (!isCount(info[2], elements)) return refused(env, "Expected a count for elements");
  if (!isCount(info[3], first) || !isCount(info[4], last) || first > INT32_MAX || last > INT32_MAX) {
    return refused(env, "Expected counts for first and last");
  }
  if (reinterpret_cast<uintptr_t>(heap.data) % sizeof(float) != 0) return refused(env, "Expected an aligned heap");
  if (static_cast<double>(heap.length / sizeof(float)) < elements) {
    return refused(env, "Expected a heap of at least " + std::to_string(static_cast<int64_t>(elements)) +
                            " elements but received " + std::to_string(heap.length / sizeof(float)));
  }
  const bool isTimed = !info[5].IsNull() && !info[5].IsUndefined();
  if (isTimed && !viewOf(info[5], napi_float64_array, milliseconds)) {
    return refused(env, "Expected a Float64Array or null for milliseconds");
  }
  if (isTimed && static_cast<double>(milliseconds.length) < last - first) {
    return refused(env, "Expected room for " + std::to_string(static_cast<int64_t>(last - first)) +
                            " milliseconds but received " + std::to_string(milliseconds.length));
  }
  if (engine_ == nullptr) return rejected(env, Napi::Error::New(env, CLOSED));

  auto pending = std::make_unique<PendingRun>();
  pending->program = program;
  pending->programReference = Napi::Persistent(info[0].As<Napi::Object>());
  pending->heap = Napi::Persistent(info[1].As<Napi::Object>());
  if (isTimed) {
    pending->milliseconds = Napi::Persistent(info[5].As<Napi::Object>());
    pending->times.reset(new double[milliseconds.length]);
  }
  Run& run = pending->run;
  run.program = &program->program();
  run.heap = static_cast<float*>(heap.data);
  run.heapElements = elements;
  run.first = static_cast<int32_t>(first);
  run.last = static_cast<int32_t>(last);
  run.milliseconds = pending->times.get();
  napi_value promise;
  if (napi_create_promise(env, &pending->promise, &promise) != napi_ok) return Napi::Value();
  program->runs++;
  if (pending_.empty()) {
    Ref();  // the engine's thread works for this object, and the process waits for it
    napi_ref_threadsafe_function(env, function_);
  }
  pending_.push_back(std::move(pending));
  engine_->submit(run);
  return Napi::Value(env, promise);
}

/// Ends what is running; its promise and those of all that waits are rejected.
Napi::Value ThreadObject::close(const Napi::CallbackInfo& info) {
  stop();
  while (!pending_.empty()) settleFirst(info.Env());
  return info.Env().Undefined();
}

void ThreadObject::notify(void* thread) {
  napi_call_threadsafe_function(static_cast<ThreadObject*>(thread)->function_, nullptr, napi_tsfn_nonblocking);
}

void ThreadObject::settleFinished(napi_env env, napi_value, void* thread, void*) {
  if (env == nullptr) return;  // the environment is ending, and this object may be gone
  auto* self = static_cast<ThreadObject*>(thread);
  while (self->engine_ != nullptr && self->settled_ < self->engine_->finished()) self->settleFirst(env);
}

/// Settles the promise of the run that was asked for first. The statuses of N-API do not matter: they say no more than
/// that the environment is ending.
void ThreadObject::settleFirst(Napi::Env env) {
  const Napi::HandleScope scope(env);
  const std::unique_ptr<PendingRun> pending = std::move(pending_.front());
  pending_.pop_front();
  settled_++;
  pending->program->runs--;
  const Run& run = pending->run;
  if (run.error == RunError::none) {
    View view;
    const size_t count = static_cast<size_t>(run.last - run.first);
    if (pending->times != nullptr && viewOf(pending->milliseconds.Value(), napi_float64_array, view)) {
      std::copy_n(pending->times.get(), std::min(count, view.length), static_cast<double*>(view.data));
    }
    napi_resolve_deferred(env, pending->promise, env.Undefined());
  } else {
    napi_reject_deferred(env, pending->promise, Napi::Error::New(env, describe(run.error)).Value());
  }
  if (!pending_.empty()) return;
  if (function_ != nullptr) napi_unref_threadsafe_function(env, function_);
  Unref();
}

void ThreadObject::endWithEnvironment(void* thread) {
  auto* self = static_cast<ThreadObject*>(thread);
  self->stop();
  self->pending_.clear();  // nobody hears of them any more
}

/// Joins the engine's thread. What has not been settled stays in `pending_`.
void ThreadObject::stop() {
  if (function_ == nullptr) return;
  if (engine_ != nullptr) engine_->stop();
  engine_ = nullptr;
  napi_remove_env_cleanup_hook(Env(), endWithEnvironment, this);
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

}  // namespace seqgrad::addon
