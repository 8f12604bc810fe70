#pragma once

#if defined(_MSC_VER)
#define SEQGRAD_INLINE __forceinline
#define SEQGRAD_NOINLINE __declspec(noinline)
#else
#define SEQGRAD_INLINE inline __attribute__((always_inline))
#define SEQGRAD_NOINLINE __attribute__((noinline))
#endif
