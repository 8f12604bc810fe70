#include "../simd/neon.h"

#include "../kernels/dispatch.h"
#include "../kernels/peak.h"
#include "isa.h"

namespace seqgrad {

void neonFast(const int32_t* words, float* heap, Context& context) { dispatch<Neon<true>>(words, heap, context); }
void neonStrict(const int32_t* words, float* heap, Context& context) { dispatch<Neon<false>>(words, heap, context); }

double neonFastAdds(int64_t steps, float* result) { return multiplyAdds<Neon<true>>(steps, result); }
double neonStrictAdds(int64_t steps, float* result) { return multiplyAdds<Neon<false>>(steps, result); }

}  // namespace seqgrad
