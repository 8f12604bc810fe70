#include "team.h"

#include <algorithm>
#include <new>

#include "huge-pages.h"
#include "pool.h"

namespace seqgrad {
namespace {

constexpr std::align_val_t LINE{64};

}  // namespace

Team::Team(int threads) {
  if (threads <= 1) return;
  pool_ = Pool::get();
  if (pool_ == nullptr) return;
  lanes_ = std::min(threads, MOST_THREADS);
  slot_ = pool_->enter(lanes_);
  if (slot_ < 0) pool_ = nullptr;
}

Team::~Team() {
  if (pool_ != nullptr) pool_->leave(slot_);
  ::operator delete(workspace_, LINE);
}

void Team::fork(int64_t tickets, Call call, const void* work) {
  for (int64_t first = 0; first < tickets; first += Pool::MOST_TICKETS) {
    pool_->fork(slot_, lanes_, first, std::min(first + Pool::MOST_TICKETS, tickets), {call, work, &cancelled_});
  }
}

float* Team::workspace(double elements) {
  if (elements > workspaceElements_) {
    ::operator delete(workspace_, LINE);
    workspaceElements_ = 0;
    constexpr double MOST_BYTES = 0x1p46;
    const double bytes = elements * sizeof(float);
    workspace_ = bytes < MOST_BYTES ? ::operator new(static_cast<size_t>(bytes), LINE, std::nothrow) : nullptr;
    if (workspace_ != nullptr) {
      workspaceElements_ = elements;
      preferHugePages(workspace_, static_cast<size_t>(bytes));
    }
  }
  return static_cast<float*>(workspace_);
}

}  // namespace seqgrad
