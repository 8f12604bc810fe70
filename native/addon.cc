// The addon: what JavaScript can reach. No maths; every argument is checked.
#include <napi.h>

#include <chrono>

#include "addon/arguments.h"
#include "addon/program.h"
#include "addon/thread.h"
#include "barrier.h"
#include "generated/instructions.h"
#include "huge-pages.h"

namespace seqgrad::addon {
namespace {

Napi::Value candidates(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env, ISA_COUNT);
  for (uint32_t i = 0; i < ISA_COUNT; i++) {
    const Isa& isa = isas()[i];
    Napi::Object candidate = Napi::Object::New(env);
    candidate.Set("isa", isa.name);
    candidate.Set("compiled", Napi::Boolean::New(env, isa.fast != nullptr));
    candidate.Set("usable", Napi::Boolean::New(env, isa.fast != nullptr && isa.usable));
    candidate.Set("reason", isa.reason);
    Napi::Array ways = Napi::Array::New(env);
    for (int way = static_cast<int>(isa.best); way >= static_cast<int>(isa.simplest); way--) {
      ways.Set(ways.Length(), nameOf(static_cast<Bfloat16>(way)));
    }
    candidate.Set("hasStrict", Napi::Boolean::New(env, isa.strict != nullptr));
    candidate.Set("bfloat16", ways);
    list.Set(i, candidate);
  }
  return list;
}

/// (isa: string, numerics: 'fast' | 'strict', milliseconds: number) → the GFLOP/s of multiply-adds in registers
Napi::Value peak(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Kernels kernels;
  double milliseconds;
  if (!kernelsOf(env, info[0], info[1], kernels) || !millisecondsOf(env, info[2], milliseconds)) return Napi::Value();
  using Clock = std::chrono::steady_clock;
  const auto adds = kernels.isa->adds(kernels.numerics == Program::Numerics::strict);
  const double wanted = milliseconds * 1e-3;
  double flops = 0, seconds = 0;
  float result;
  const auto start = Clock::now();
  do {
    flops += adds(1 << 12, &result);
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < wanted);
  return Napi::Number::New(env, flops / seconds * 1e-9);
}

/// (threads: number, milliseconds: number) → the nanoseconds of a fork and join of so many threads
Napi::Value barrier(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int threads;
  double milliseconds;
  if (!threadsOf(env, info[0], threads) || !millisecondsOf(env, info[1], milliseconds)) return Napi::Value();
  Team team(threads);
  if (team.lanes() < threads) {
    refuseThreads(env, threads, team.lanes());
    return Napi::Value();
  }
  return Napi::Number::New(env, barrierNanoseconds(team, milliseconds));
}

/// (heap: Uint8Array) → undefined
Napi::Value preferHugePagesFor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  View heap;
  if (!viewOf(info[0], napi_uint8_array, heap)) return refuse(env, "Expected a Uint8Array for the heap");
  preferHugePages(heap.data, heap.length);
  return env.Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("contract", Napi::Number::New(env, FINGERPRINT));
  exports.Set("candidates", Napi::Function::New<candidates>(env, "candidates"));
  exports.Set("peak", Napi::Function::New<peak>(env, "peak"));
  exports.Set("barrier", Napi::Function::New<barrier>(env, "barrier"));
  exports.Set("preferHugePages", Napi::Function::New<preferHugePagesFor>(env, "preferHugePages"));
  exports.Set("Program", ProgramObject::define(env));
  exports.Set("Thread", ThreadObject::define(env));
  return exports;
}

}  // namespace
}  // namespace seqgrad::addon

Napi::Object initSeqgrad(Napi::Env env, Napi::Object exports) { return seqgrad::addon::init(env, exports); }
NODE_API_MODULE(seqgrad, initSeqgrad)
