// The instruction sets this build has kernels for, and which of them this machine can use.
#pragma once
#include <cstdint>

#include "../team.h"

namespace seqgrad {

using Dispatch = void (*)(const int32_t* words, float* heap, Context& context);
/// See kernels/peak.h.
using MultiplyAdds = double (*)(int64_t steps, float* result);

struct Isa {
  const char* name;
  Dispatch fast, strict;  // null if not compiled, or if there are no such numerics
  MultiplyAdds fastAdds, strictAdds;
  bool usable;              // the processor has it and the operating system keeps its registers
  const char* reason;       // why usable or why not
  Bfloat16 best, simplest;  // that multiply bfloat16 numbers here, in fast numerics

  Dispatch dispatch(bool isStrict) const { return isStrict ? strict : fast; }
  MultiplyAdds adds(bool isStrict) const { return isStrict ? strictAdds : fastAdds; }
};

/// As people call it.
const char* nameOf(Bfloat16 bfloat16);

/// What an ISA can multiply bfloat16 numbers with that has this name; false if there is none.
bool findBfloat16(const Isa& isa, const char* name, Bfloat16& found);

/// All known ISAs, best first.
constexpr int ISA_COUNT = 5;
const Isa* isas();

/// The usable ISA of that name with such numerics, the best one for "auto", or null.
const Isa* findIsa(const char* name, bool isStrict);

// Each defined in the file of its ISA.
void avx512Fast(const int32_t*, float*, Context&);
void avx512Strict(const int32_t*, float*, Context&);
void avx2Fast(const int32_t*, float*, Context&);
void avx2Strict(const int32_t*, float*, Context&);
void sse2(const int32_t*, float*, Context&);
void neonFast(const int32_t*, float*, Context&);
void neonStrict(const int32_t*, float*, Context&);

double avx512FastAdds(int64_t, float*);
double avx512StrictAdds(int64_t, float*);
double avx2FastAdds(int64_t, float*);
double avx2StrictAdds(int64_t, float*);
double sse2Adds(int64_t, float*);
double neonFastAdds(int64_t, float*);
double neonStrictAdds(int64_t, float*);

}  // namespace seqgrad
