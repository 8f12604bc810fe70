#pragma once

#if defined(_MSC_VER)
#define SEQGRAD_INLINE __forceinline
#else
#define SEQGRAD_INLINE inline __attribute__((always_inline))
#endif
