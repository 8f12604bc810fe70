// The one place where work is spread. Kernels cut it into tickets at places fixed by shape only, so results do not
// depend on who works on which ticket.
#pragma once
#include <cstdint>

namespace seqgrad {

class Team {
 public:
  /// Calls work(0) … work(tickets − 1), in any order, and returns when all are done.
  template <class Work>
  void parallel(int64_t tickets, const Work& work) {
    for (int64_t ticket = 0; ticket < tickets; ticket++) work(ticket);
  }
};

/// What a kernel is given besides its record.
struct Context {
  Team& team;
  /// 64-byte aligned; as many elements as the instruction's definition says, meaning nothing before or after.
  float* workspace;
};

}  // namespace seqgrad
