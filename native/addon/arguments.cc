#include "arguments.h"

#include "../pool.h"

namespace seqgrad::addon {

bool threadsOf(Napi::Env env, Napi::Value value, int& threads) {
  if (!value.IsNumber()) {
    refuse(env, "Expected a number of threads");
    return false;
  }
  const double count = value.As<Napi::Number>().DoubleValue();
  if (!(count >= 1 && count <= MOST_THREADS && std::floor(count) == count)) {
    const std::string received = value.ToString();
    Napi::RangeError::New(env, "Expected 1 to " + std::to_string(MOST_THREADS) + " threads but received " + received)
        .ThrowAsJavaScriptException();
    return false;
  }
  threads = static_cast<int>(count);
  return true;
}

void refuseThreads(Napi::Env env, int wanted, int given) {
  const std::string message =
      "Expected " + std::to_string(wanted) + " threads but the system gives " + std::to_string(given);
  Napi::Error::New(env, message).ThrowAsJavaScriptException();
}

bool millisecondsOf(Napi::Env env, Napi::Value value, double& milliseconds) {
  milliseconds = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (milliseconds >= 0 && milliseconds <= 60000) return true;
  refuse(env, "Expected 0 to 60000 milliseconds");
  return false;
}

bool kernelsOf(Napi::Env env, Napi::Value isaName, Napi::Value numericsName, Kernels& kernels) {
  if (!isaName.IsString() || !numericsName.IsString()) {
    refuse(env, "Expected strings for isa and numerics");
    return false;
  }
  const std::string isa = isaName.As<Napi::String>(), numerics = numericsName.As<Napi::String>();
  if (numerics != "fast" && numerics != "strict") {
    refuse(env, "Expected 'fast' or 'strict' for numerics but received " + numerics);
    return false;
  }
  kernels.numerics = numerics == "fast" ? Program::Numerics::fast : Program::Numerics::strict;
  kernels.isa = findIsa(isa.c_str(), numerics == "strict");
  if (kernels.isa != nullptr) return true;
  refuse(env, "Expected an ISA that is usable here with " + numerics + " numerics but received " + isa);
  return false;
}

bool bfloat16Of(Napi::Env env, Napi::Value name, const Isa& isa, Bfloat16& bfloat16) {
  bfloat16 = isa.best;
  if (name.IsUndefined()) return true;
  if (!name.IsString()) {
    refuse(env, "Expected a string for bfloat16");
    return false;
  }
  const std::string wanted = name.As<Napi::String>();
  if (findBfloat16(isa, wanted.c_str(), bfloat16)) return true;
  refuse(env, "Expected what multiplies bfloat16 numbers here but received " + wanted);
  return false;
}

}  // namespace seqgrad::addon
