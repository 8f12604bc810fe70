#include "../simd/avx2.h"

#include "../kernels/dispatch.h"
#include "../kernels/peak.h"
#include "isa.h"

namespace seqgrad {

void avx2Fast(const int32_t* words, float* heap, Context& context) { dispatch<Avx2<true>>(words, heap, context); }
void avx2Strict(const int32_t* words, float* heap, Context& context) { dispatch<Avx2<false>>(words, heap, context); }

double avx2FastAdds(int64_t steps, float* result) { return multiplyAdds<Avx2<true>>(steps, result); }
double avx2StrictAdds(int64_t steps, float* result) { return multiplyAdds<Avx2<false>>(steps, result); }

}  // namespace seqgrad
