// Programs as objects of JavaScript.
#pragma once
#include <memory>

#include "wrapped.h"

namespace seqgrad::addon {

class ProgramObject : public Wrapped<ProgramObject> {
 public:
  static constexpr const char* NAME = "Program";
  static constexpr napi_type_tag TAG{0x5e96ad0000000001, 0x8f2b51c94d7ea603};
  static Napi::Function define(Napi::Env env);

  /// (words: Int32Array, isa: string, numerics: 'fast' | 'strict')
  explicit ProgramObject(const Napi::CallbackInfo& info);

  const Program& program() const { return *program_; }

  /// Runs that have been asked for and are not over; while there are any the program does not change.
  int runs = 0;

 private:
  Napi::Value recordCount(const Napi::CallbackInfo& info);
  Napi::Value check(const Napi::CallbackInfo& info);

  std::unique_ptr<Program> program_;
};

}  // namespace seqgrad::addon
