#include "../simd/sse2.h"

#include "../kernels/dispatch.h"
#include "../kernels/peak.h"
#include "isa.h"

namespace seqgrad {

void sse2(const int32_t* words, float* heap, Context& context) { dispatch<Sse2>(words, heap, context); }

double sse2Adds(int64_t steps, float* result) { return multiplyAdds<Sse2>(steps, result); }

}  // namespace seqgrad
