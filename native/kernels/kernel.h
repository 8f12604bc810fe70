// What a kernel's file begins with. It is compiled once for each instruction set (binding.gyp says for which), and its
// kernels, templates over the vector trait, are made for both numerics where these differ.
#pragma once
#include "../generated/instructions.h"
#include "../team.h"

#define SEQGRAD_INSTANCE(name, Record, Trait) template void name<Trait>(const Record&, Context&)

#if defined(SEQGRAD_AVX512)
#include "../simd/avx512.h"
#define SEQGRAD_KERNEL(name, Record)            \
  SEQGRAD_INSTANCE(name, Record, Avx512<true>); \
  SEQGRAD_INSTANCE(name, Record, Avx512<false>)
#elif defined(SEQGRAD_AVX2)
#include "../simd/avx2.h"
#define SEQGRAD_KERNEL(name, Record)          \
  SEQGRAD_INSTANCE(name, Record, Avx2<true>); \
  SEQGRAD_INSTANCE(name, Record, Avx2<false>)
#elif defined(SEQGRAD_SSE2)
#include "../simd/sse2.h"
#define SEQGRAD_KERNEL(name, Record) SEQGRAD_INSTANCE(name, Record, Sse2)
#elif defined(SEQGRAD_NEON)
#include "../simd/neon.h"
#define SEQGRAD_KERNEL(name, Record)          \
  SEQGRAD_INSTANCE(name, Record, Neon<true>); \
  SEQGRAD_INSTANCE(name, Record, Neon<false>)
#else
#error "Expected one of SEQGRAD_AVX512, SEQGRAD_AVX2, SEQGRAD_SSE2 and SEQGRAD_NEON"
#endif
