// Programs: words that are checked against a heap and run on it. Knows nothing of Node.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "isa/isa.h"

namespace seqgrad {

struct ProgramFault {
  int32_t fault;  // a number of the contract's `faults`; 0 for none
  int32_t record;
  int32_t item;
};

enum class RunError { none, unchecked, records, memory, cancelled };

/// What is wrong with a run, in words.
const char* describe(RunError error);

class Program {
 public:
  enum class Numerics { fast, strict };

  /// Copies the words, so that what was checked is what runs. Null if there is no memory for them. `bfloat16` is the
  /// ISA's or less; strict numerics take the least.
  static std::unique_ptr<Program> create(const int32_t* words, size_t count, const Isa& isa, Numerics numerics,
                                         Bfloat16 bfloat16);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// The first fault for a heap of so many 4-byte elements. Only a program without faults runs.
  ProgramFault check(double heapElements);

  int32_t recordCount() const { return records_; }

  /// Runs the records first … last − 1 on a heap of at least as many elements as were checked. Several teams may run
  /// one program at the same time, each on its own heap. `milliseconds`, if given, has a place for each of these
  /// records.
  RunError run(float* heap, double heapElements, int32_t first, int32_t last, Team& team,
               double* milliseconds = nullptr) const;

 private:
  Program() = default;
  ProgramFault findFault(double heapElements);

  std::unique_ptr<int32_t[]> words_;
  std::unique_ptr<int32_t[]> starts_;  // [records] where each record begins
  size_t count_ = 0;
  int32_t records_ = 0;
  double checkedElements_ = -1;
  double workspaceOfAll_ = 0, workspaceOfLane_ = 0;  // elements; no instruction wants both
  Dispatch dispatch_ = nullptr;
  Numerics numerics_ = Numerics::fast;
  Bfloat16 bfloat16_ = Bfloat16::emulated;
};

}  // namespace seqgrad
