// Elementwise functions, each forward followed by its backward.
#include "../simd/math.h"
#include "kernel.h"
#include "tickets.h"

namespace seqgrad {

template <class S>
void add(const Add& r, Context& context) {
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, at.load(r.a) + at.load(r.b)); });
}

template <class S>
void mul(const Mul& r, Context& context) {
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, at.load(r.a) * at.load(r.b)); });
}

template <class S>
void div(const Div& r, Context& context) {
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, at.load(r.a) / at.load(r.b)); });
}

template <class S>
void sqrt(const Sqrt& r, Context& context) {
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, S::sqrt(at.load(r.x))); });
}

template <class S>
void scale(const Scale& r, Context& context) {
  const auto factor = S::broadcast(r.factor);
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, factor * at.load(r.x)); });
}

template <class S>
void scaleBy(const ScaleBy& r, Context& context) {
  const auto factor = S::broadcast(*r.factor);
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, factor * at.load(r.x)); });
}

template <class S>
void sigmoid(const Sigmoid& r, Context& context) {
  forElements<S>(context, r.n, COMPUTED, [&](auto at) { at.store(r.y, math::sigmoid<S>(at.load(r.x))); });
}

template <class S>
void sigmoidBackward(const SigmoidBackward& r, Context& context) {
  forElements<S>(context, r.n, STREAMED, [&](auto at) {
    const auto y = at.load(r.y);
    at.store(r.dx, at.load(r.dy) * S::fma(-y, y, y));
  });
}

template <class S>
void tanh(const Tanh& r, Context& context) {
  forElements<S>(context, r.n, COMPUTED, [&](auto at) { at.store(r.y, math::tanh<S>(at.load(r.x))); });
}

template <class S>
void tanhBackward(const TanhBackward& r, Context& context) {
  const auto one = S::broadcast(1.0f);
  forElements<S>(context, r.n, STREAMED, [&](auto at) {
    const auto y = at.load(r.y);
    at.store(r.dx, at.load(r.dy) * S::fma(-y, y, one));
  });
}

template <class S>
void relu(const Relu& r, Context& context) {
  forElements<S>(context, r.n, STREAMED, [&](auto at) { at.store(r.y, math::relu<S>(at.load(r.x))); });
}

template <class S>
void reluBackward(const ReluBackward& r, Context& context) {
  forElements<S>(context, r.n, STREAMED,
                 [&](auto at) { at.store(r.dx, S::select(S::zero() < at.load(r.y), at.load(r.dy), S::zero())); });
}

template <class S>
void gelu(const Gelu& r, Context& context) {
  forElements<S>(context, r.n, COMPUTED, [&](auto at) { at.store(r.y, math::gelu<S>(at.load(r.x))); });
}

template <class S>
void geluBackward(const GeluBackward& r, Context& context) {
  forElements<S>(context, r.n, COMPUTED,
                 [&](auto at) { at.store(r.dx, at.load(r.dy) * math::geluSlope<S>(at.load(r.x))); });
}

template <class S>
void geluTanh(const GeluTanh& r, Context& context) {
  forElements<S>(context, r.n, COMPUTED, [&](auto at) { at.store(r.y, math::geluTanh<S>(at.load(r.x))); });
}

template <class S>
void geluTanhBackward(const GeluTanhBackward& r, Context& context) {
  forElements<S>(context, r.n, COMPUTED,
                 [&](auto at) { at.store(r.dx, at.load(r.dy) * math::geluTanhSlope<S>(at.load(r.x))); });
}

SEQGRAD_KERNEL(add, Add);
SEQGRAD_KERNEL(mul, Mul);
SEQGRAD_KERNEL(scale, Scale);
SEQGRAD_KERNEL(scaleBy, ScaleBy);
SEQGRAD_KERNEL(sigmoid, Sigmoid);
SEQGRAD_KERNEL(sigmoidBackward, SigmoidBackward);
SEQGRAD_KERNEL(tanh, Tanh);
SEQGRAD_KERNEL(tanhBackward, TanhBackward);
SEQGRAD_KERNEL(relu, Relu);
SEQGRAD_KERNEL(reluBackward, ReluBackward);
SEQGRAD_KERNEL(gelu, Gelu);
SEQGRAD_KERNEL(geluBackward, GeluBackward);
SEQGRAD_KERNEL(geluTanh, GeluTanh);
SEQGRAD_KERNEL(geluTanhBackward, GeluTanhBackward);
SEQGRAD_KERNEL(div, Div);
SEQGRAD_KERNEL(sqrt, Sqrt);

}  // namespace seqgrad
