// Large tensors touch a new page with every row; with pages of 2 MiB the processor finds them faster.
#pragma once
#include <cstddef>

namespace seqgrad {

/// Asks the system to back memory that has not been touched with huge pages, where it lets programs ask (Linux: where
/// `/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`). Only a wish: what it holds and who may use it stay.
void preferHugePages(void* begin, size_t bytes);

}  // namespace seqgrad
