// Classes of JavaScript whose methods cannot be called on anything else: N-API would hand a method of one class an
// object of another without a word.
#pragma once
#include <napi.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "arguments.h"

namespace seqgrad::addon {

/// T has `static constexpr const char* NAME` and `static constexpr napi_type_tag TAG`.
template <class T>
class Wrapped : public Napi::ObjectWrap<T> {
 public:
  explicit Wrapped(const Napi::CallbackInfo& info) : Napi::ObjectWrap<T>(info) {
    napi_type_tag_object(info.Env(), info.This(), &T::TAG);
  }

  /// The object behind a value; null if the value is something else.
  static T* of(Napi::Value value) {
    bool isOne = false;
    if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &T::TAG, &isOne) != napi_ok || !isOne) {
      return nullptr;
    }
    return T::Unwrap(value.As<Napi::Object>());
  }

 protected:
  using Method = Napi::Value (T::*)(const Napi::CallbackInfo&);

  template <Method method>
  static Napi::ClassPropertyDescriptor<T> describeMethod(const char* name) {
    return napi_property_descriptor{name,    nullptr, call<method>,        nullptr,
                                    nullptr, nullptr, napi_default_method, nullptr};
  }
  template <Method getter>
  static Napi::ClassPropertyDescriptor<T> describeGetter(const char* name) {
    return napi_property_descriptor{name, nullptr, nullptr, call<getter>, nullptr, nullptr, napi_enumerable, nullptr};
  }

 private:
  template <Method method>
  static napi_value call(napi_env env, napi_callback_info info) {
    const Napi::CallbackInfo callback(env, info);
    T* self = of(callback.This());
    if (self == nullptr) return refuse(env, std::string("Expected a ") + T::NAME + " as `this`");
    return (self->*method)(callback);
  }
};

}  // namespace seqgrad::addon
