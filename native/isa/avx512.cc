#include "../simd/avx512.h"

#include "../kernels/dispatch.h"
#include "../kernels/peak.h"
#include "isa.h"

namespace seqgrad {

void avx512Fast(const int32_t* words, float* heap, Context& context) { dispatch<Avx512<true>>(words, heap, context); }
void avx512Strict(const int32_t* words, float* heap, Context& context) {
  dispatch<Avx512<false>>(words, heap, context);
}

double avx512FastAdds(int64_t steps, float* result) { return multiplyAdds<Avx512<true>>(steps, result); }
double avx512StrictAdds(int64_t steps, float* result) { return multiplyAdds<Avx512<false>>(steps, result); }

}  // namespace seqgrad
