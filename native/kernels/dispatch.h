// All kernels of one ISA behind one function.
#pragma once
#include "copy.h"
#include "cross-entropy.h"
#include "elementwise.h"
#include "embedding.h"
#include "gru.h"
#include "lstm.h"
#include "matmul.h"
#include "optimizer.h"
#include "projected-lstm.h"
#include "random.h"
#include "reduce.h"
#include "rnn.h"
#include "sequence.h"

namespace seqgrad {

/// Runs one checked record with the kernels for the vector trait S.
template <class S>
void dispatch(const int32_t* words, float* heap, Context& context) {
  switch (words[0]) {
#define SEQGRAD_CASE(code, name, Record) \
  case code:                             \
    return name<S>(decode##Record(words, heap), context);
    SEQGRAD_INSTRUCTIONS(SEQGRAD_CASE)
#undef SEQGRAD_CASE
  }
}

}  // namespace seqgrad
