// The instruction sets this build has kernels for, and which of them this machine can use.
#pragma once
#include <cstdint>
#include <cstring>

#include "../team.h"

namespace seqgrad {

using Dispatch = void (*)(const int32_t* words, float* heap, Context& context);
/// See kernels/peak.h.
using MultiplyAdds = double (*)(int64_t steps, float* result);

struct Isa {
  const char* name;
  Dispatch fast, strict;  // null if not compiled
  MultiplyAdds fastAdds, strictAdds;
  bool usable;         // the processor has it and the operating system keeps its registers
  const char* reason;  // why usable or why not
  Multipliers best;    // here, in fast numerics
};

/// As people call it.
const char* nameOf(Float32 way);
const char* nameOf(Bfloat16 way);

/// The way of this name, of the best and those before it; false if there is none.
template <class Way>
bool findWay(Way best, const char* name, Way& found) {
  for (int way = static_cast<int>(best); way >= 0; way--) {
    found = static_cast<Way>(way);
    if (std::strcmp(name, nameOf(found)) == 0) return true;
  }
  return false;
}

/// All known ISAs, best first.
constexpr int ISA_COUNT = 4;
const Isa* isas();

/// The ISA of that name, the best usable one for "auto", or null.
const Isa* findIsa(const char* name);

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
