// Sanitizers see whole vectors read and written, but not the part of one that goes through a mask: they are told.
#pragma once
#include <cstddef>

#include "inline.h"

#if defined(__has_feature)
#define SEQGRAD_HAS_FEATURE(name) __has_feature(name)
#else
#define SEQGRAD_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SEQGRAD_HAS_FEATURE(address_sanitizer)
extern "C" void __asan_loadN(const void* address, size_t bytes);
extern "C" void __asan_storeN(const void* address, size_t bytes);
#define SEQGRAD_SANITIZER_READS __asan_loadN
#define SEQGRAD_SANITIZER_WRITES __asan_storeN
#elif defined(__SANITIZE_THREAD__) || SEQGRAD_HAS_FEATURE(thread_sanitizer)
extern "C" void __tsan_read_range(const void* address, size_t bytes);
extern "C" void __tsan_write_range(const void* address, size_t bytes);
#define SEQGRAD_SANITIZER_READS __tsan_read_range
#define SEQGRAD_SANITIZER_WRITES __tsan_write_range
#endif

namespace seqgrad {

/// The first n elements at p are about to be read.
SEQGRAD_INLINE void tellReads([[maybe_unused]] const float* p, [[maybe_unused]] int n) {
#ifdef SEQGRAD_SANITIZER_READS
  if (n > 0) SEQGRAD_SANITIZER_READS(p, static_cast<size_t>(n) * sizeof *p);
#endif
}

/// The first n elements at p are about to be written.
SEQGRAD_INLINE void tellWrites([[maybe_unused]] const float* p, [[maybe_unused]] int n) {
#ifdef SEQGRAD_SANITIZER_WRITES
  if (n > 0) SEQGRAD_SANITIZER_WRITES(p, static_cast<size_t>(n) * sizeof *p);
#endif
}

}  // namespace seqgrad
