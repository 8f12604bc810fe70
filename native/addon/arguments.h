// What JavaScript hands over is checked before it is used: a cast that trusts its caller would crash the process.
#pragma once
#include <napi.h>

#include <cmath>
#include <string>

#include "../executor.h"

namespace seqgrad::addon {

/// Throws a TypeError.
inline Napi::Value refuse(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return Napi::Value();
}

/// Memory of a typed array, of a SharedArrayBuffer too (which node-addon-api's own class does not promise).
struct View {
  void* data = nullptr;
  size_t length = 0;
};

inline bool viewOf(Napi::Value value, napi_typedarray_type type, View& view) {
  if (!value.IsTypedArray()) return false;
  napi_typedarray_type found;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &found, &view.length, &view.data, nullptr, nullptr);
  return status == napi_ok && found == type;
}

/// A whole number from 0 to 2⁵³.
inline bool isCount(Napi::Value value, double& count) {
  if (!value.IsNumber()) return false;
  count = value.As<Napi::Number>().DoubleValue();
  return count >= 0 && count <= 0x1p53 && std::floor(count) == count;
}

/// A number of threads that a team can have; false with an exception on its way.
bool threadsOf(Napi::Env env, Napi::Value value, int& threads);

/// Throws an Error: the system gives fewer threads than wanted.
void refuseThreads(Napi::Env env, int wanted, int given);

/// A time to measure for; false with an exception on its way.
bool millisecondsOf(Napi::Env env, Napi::Value value, double& milliseconds);

/// The kernels that an ISA and numerics name.
struct Kernels {
  const Isa* isa;
  Program::Numerics numerics;
};

/// (isa: string, numerics: 'fast' | 'strict'); false with an exception on its way.
bool kernelsOf(Napi::Env env, Napi::Value isaName, Napi::Value numericsName, Kernels& kernels);

/// What multiplies bfloat16 numbers, by a name that `nameOf` gives, or the ISA's best if none is given; false with an
/// exception on its way.
bool bfloat16Of(Napi::Env env, Napi::Value name, const Isa& isa, Bfloat16& bfloat16);

}  // namespace seqgrad::addon
