// All kernels of one ISA behind one function. Each is defined in the file of its family and made there (kernel.h).
#pragma once
#include "../generated/instructions.h"
#include "../team.h"

namespace seqgrad {

#define SEQGRAD_DECLARE(code, name, Record) \
  template <class S>                        \
  void name(const Record& r, Context& context);
SEQGRAD_INSTRUCTIONS(SEQGRAD_DECLARE)
#undef SEQGRAD_DECLARE

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
