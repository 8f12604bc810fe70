#include "program.h"

namespace seqgrad::addon {

Napi::Function ProgramObject::define(Napi::Env env) {
  return DefineClass(
      env, NAME,
      {describeGetter<&ProgramObject::recordCount>("recordCount"), describeMethod<&ProgramObject::check>("check")});
}

ProgramObject::ProgramObject(const Napi::CallbackInfo& info) : Wrapped(info) {
  const Napi::Env env = info.Env();
  View words;
  if (!viewOf(info[0], napi_int32_array, words)) {
    refuse(env, "Expected an Int32Array for words");
    return;
  }
  Kernels kernels;
  if (!kernelsOf(env, info[1], info[2], kernels)) return;
  Bfloat16 bfloat16;
  if (!bfloat16Of(env, info[3], *kernels.isa, bfloat16)) return;
  program_ =
      Program::create(static_cast<const int32_t*>(words.data), words.length, *kernels.isa, kernels.numerics, bfloat16);
  if (program_ == nullptr) refuse(env, "Expected memory for the program but there is none");
}

Napi::Value ProgramObject::recordCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), program_->recordCount());
}

/// (elements: number) → null, or what is wrong for a heap of so many elements
Napi::Value ProgramObject::check(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  double elements;
  if (!isCount(info[0], elements)) return refuse(env, "Expected a count for elements");
  if (runs > 0) return refuse(env, "Expected a program that is not running");
  const ProgramFault found = program_->check(elements);
  if (found.fault == 0) return env.Null();
  Napi::Object fault = Napi::Object::New(env);
  fault.Set("fault", found.fault);
  fault.Set("record", found.record);
  fault.Set("item", found.item);
  return fault;
}

}  // namespace seqgrad::addon
