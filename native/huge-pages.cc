#include "huge-pages.h"

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace seqgrad {

void preferHugePages([[maybe_unused]] void* begin, [[maybe_unused]] size_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t HUGE_PAGE = uintptr_t{1} << 21;
  const auto start = reinterpret_cast<uintptr_t>(begin);
  const uintptr_t first = (start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
                  end = (start + bytes) / HUGE_PAGE * HUGE_PAGE;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

}  // namespace seqgrad
