// The addon: programs as objects of JavaScript. No maths; every argument is checked here, because a cast that trusts
// its caller would crash the process.
#include <napi.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <string>

#include "executor.h"
#include "generated/instructions.h"

namespace {

using seqgrad::Isa;
using seqgrad::ISA_COUNT;
using Executable = seqgrad::Program;

Napi::Value refuse(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

/// Memory of a typed array, of a SharedArrayBuffer too (which node-addon-api's own class does not promise).
struct View {
  void* data = nullptr;
  size_t length = 0;
};

bool viewOf(Napi::Value value, napi_typedarray_type type, View& view) {
  if (!value.IsTypedArray()) return false;
  napi_typedarray_type found;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &found, &view.length, &view.data, nullptr, nullptr);
  return status == napi_ok && found == type;
}

/// A whole number from 0 to 2⁵³.
bool isCount(Napi::Value value, double& count) {
  if (!value.IsNumber()) return false;
  count = value.As<Napi::Number>().DoubleValue();
  return count >= 0 && count <= 0x1p53 && std::floor(count) == count;
}

/// The kernels that an ISA and numerics name.
struct Kernels {
  const Isa* isa;
  Executable::Numerics numerics;
};

/// (isa: string, numerics: 'fast' | 'strict'); false with an exception on its way.
bool kernelsOf(Napi::Env env, Napi::Value isaName, Napi::Value numericsName, Kernels& kernels) {
  if (!isaName.IsString() || !numericsName.IsString()) {
    refuse(env, "Expected strings for isa and numerics");
    return false;
  }
  const std::string isa = isaName.As<Napi::String>(), numerics = numericsName.As<Napi::String>();
  kernels.isa = seqgrad::findIsa(isa.c_str());
  if (kernels.isa == nullptr || kernels.isa->fast == nullptr || !kernels.isa->usable) {
    refuse(env, "Expected an ISA that is usable here but received " + isa);
    return false;
  }
  if (numerics != "fast" && numerics != "strict") {
    refuse(env, "Expected 'fast' or 'strict' for numerics but received " + numerics);
    return false;
  }
  kernels.numerics = numerics == "fast" ? Executable::Numerics::fast : Executable::Numerics::strict;
  return true;
}

class Program : public Napi::ObjectWrap<Program> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Program",
                       {InstanceAccessor<&Program::recordCount>("recordCount"),
                        InstanceMethod<&Program::check>("check"), InstanceMethod<&Program::run>("run")});
  }

  /// (words: Int32Array, isa: string, numerics: 'fast' | 'strict')
  explicit Program(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Program>(info) {
    const Napi::Env env = info.Env();
    View words;
    if (!viewOf(info[0], napi_int32_array, words)) {
      refuse(env, "Expected an Int32Array for words");
      return;
    }
    Kernels kernels;
    if (!kernelsOf(env, info[1], info[2], kernels)) return;
    program_ =
        Executable::create(static_cast<const int32_t*>(words.data), words.length, *kernels.isa, kernels.numerics);
    if (program_ == nullptr) refuse(env, "Expected memory for the program but there is none");
  }

 private:
  Napi::Value recordCount(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), program_ == nullptr ? 0 : program_->recordCount());
  }

  /// (elements: number) → null, or what is wrong for a heap of so many elements
  Napi::Value check(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    double elements;
    if (program_ == nullptr || !isCount(info[0], elements)) return refuse(env, "Expected a count for elements");
    const seqgrad::ProgramFault found = program_->check(elements);
    if (found.fault == 0) return env.Null();
    Napi::Object fault = Napi::Object::New(env);
    fault.Set("fault", found.fault);
    fault.Set("record", found.record);
    fault.Set("item", found.item);
    return fault;
  }

  /// (heap: Uint8Array, elements: number, first: number, last: number)
  Napi::Value run(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    View heap;
    if (!viewOf(info[0], napi_uint8_array, heap)) return refuse(env, "Expected a Uint8Array for heap");
    double elements, first, last;
    if (program_ == nullptr || !isCount(info[1], elements)) return refuse(env, "Expected a count for elements");
    if (!isCount(info[2], first) || !isCount(info[3], last) || first > INT32_MAX || last > INT32_MAX) {
      return refuse(env, "Expected counts for first and last");
    }
    if (reinterpret_cast<uintptr_t>(heap.data) % sizeof(float) != 0) return refuse(env, "Expected an aligned heap");
    if (static_cast<double>(heap.length / sizeof(float)) < elements) {
      return refuse(env, "Expected a heap of at least " + std::to_string(static_cast<int64_t>(elements)) +
                             " elements but received " + std::to_string(heap.length / sizeof(float)));
    }
    const seqgrad::RunError error = program_->run(static_cast<float*>(heap.data), elements, static_cast<int32_t>(first),
                                                  static_cast<int32_t>(last));
    if (error != seqgrad::RunError::none) {
      Napi::Error::New(env, seqgrad::describe(error)).ThrowAsJavaScriptException();
    }
    return env.Undefined();
  }

  std::unique_ptr<Executable> program_;
};

Napi::Value candidates(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env, ISA_COUNT);
  for (uint32_t i = 0; i < ISA_COUNT; i++) {
    const Isa& isa = seqgrad::isas()[i];
    Napi::Object candidate = Napi::Object::New(env);
    candidate.Set("isa", isa.name);
    candidate.Set("compiled", Napi::Boolean::New(env, isa.fast != nullptr));
    candidate.Set("usable", Napi::Boolean::New(env, isa.fast != nullptr && isa.usable));
    candidate.Set("reason", isa.reason);
    list.Set(i, candidate);
  }
  return list;
}

/// (isa: string, numerics: 'fast' | 'strict', milliseconds: number) → the GFLOP/s of multiply-adds in registers
Napi::Value peak(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Kernels kernels;
  if (!kernelsOf(env, info[0], info[1], kernels)) return env.Undefined();
  const double milliseconds = info[2].IsNumber() ? info[2].As<Napi::Number>().DoubleValue() : -1;
  if (!(milliseconds >= 0 && milliseconds <= 60000)) return refuse(env, "Expected 0 to 60000 milliseconds");
  using Clock = std::chrono::steady_clock;
  const auto adds = kernels.numerics == Executable::Numerics::fast ? kernels.isa->fastAdds : kernels.isa->strictAdds;
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

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("contract", Napi::Number::New(env, seqgrad::FINGERPRINT));
  exports.Set("candidates", Napi::Function::New<candidates>(env, "candidates"));
  exports.Set("peak", Napi::Function::New<peak>(env, "peak"));
  exports.Set("Program", Program::define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(seqgrad, init)
