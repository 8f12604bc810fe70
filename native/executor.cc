#include "executor.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "float-environment.h"
#include "generated/instructions.h"

namespace seqgrad {

const char* describe(RunError error) {
  switch (error) {
    case RunError::none:
      return "";
    case RunError::unchecked:
      return "Expected a program that was checked for a heap of this size but received one that was not";
    case RunError::records:
      return "Expected a range of records within the program but received another";
    case RunError::memory:
      return "Expected memory for the workspace of the program but there is none";
    case RunError::cancelled:
      return "Expected the program to run to its end but its engine was closed";
  }
  return "";
}

std::unique_ptr<Program> Program::create(const int32_t* words, size_t count, const Isa& isa, Numerics numerics,
                                         Bfloat16 bfloat16) {
  std::unique_ptr<Program> program(new (std::nothrow) Program);
  if (program == nullptr) return nullptr;
  program->words_.reset(new (std::nothrow) int32_t[count + 1]);
  if (program->words_ == nullptr) return nullptr;
  std::copy_n(words, count, program->words_.get());
  program->count_ = count;
  program->dispatch_ = isa.dispatch(numerics == Numerics::strict);
  program->numerics_ = numerics;
  program->bfloat16_ = bfloat16;
  return program;
}

ProgramFault Program::check(double heapElements) {
  checkedElements_ = -1;
  records_ = 0;
  const ProgramFault fault = findFault(heapElements);
  if (fault.fault == 0) checkedElements_ = heapElements;
  return fault;
}

ProgramFault Program::findFault(double heapElements) {
  const auto is = [](Fault fault, int32_t record, int32_t item) {
    return ProgramFault{static_cast<int32_t>(fault), record, item};
  };
  const int32_t* words = words_.get();
  if (count_ < HEADER_WORDS || words[0] != FINGERPRINT) return is(Fault::header, 0, 0);
  if (words[1] < 0 || static_cast<size_t>(words[1]) != count_ || words[2] < 0) return is(Fault::length, 0, 0);

  // A record has at least three words, so more records than words is a fault found below.
  const int32_t records = words[2];
  const size_t room = std::min(static_cast<size_t>(records), count_);
  starts_.reset(new (std::nothrow) int32_t[room + 1]);
  if (starts_ == nullptr) return is(Fault::length, 0, 0);
  double ofAll = 0, ofLane = 0;
  size_t at = HEADER_WORDS;
  for (int32_t record = 0; record < records; record++) {
    if (at >= count_) return is(Fault::length, record, 0);
    const int32_t size = recordWords(words[at]);
    if (size == 0) return is(Fault::instruction, record, 0);
    if (at + 1 >= count_ || words[at + 1] != size || at + size > count_) return is(Fault::length, record, 0);
    const RecordFault found = checkRecord(words + at, heapElements);
    if (found.fault != Fault::none) return is(found.fault, record, found.item);
    const double none = workspaceElements(words + at, 0);
    ofAll = std::max(ofAll, none);
    ofLane = std::max(ofLane, workspaceElements(words + at, 1) - none);
    starts_[record] = static_cast<int32_t>(at);
    at += size;
  }
  if (at != count_) return is(Fault::length, records, 0);

  workspaceOfAll_ = ofAll;
  workspaceOfLane_ = ofLane;
  records_ = records;
  return is(Fault::none, 0, 0);
}

RunError Program::run(float* heap, double heapElements, int32_t first, int32_t last, Team& team,
                      double* milliseconds) const {
  if (!(checkedElements_ >= 0) || !(heapElements >= checkedElements_)) return RunError::unchecked;
  if (first < 0 || first > last || last > records_) return RunError::records;
  Context context{team, nullptr, bfloat16_};
  const double workspace = std::max(workspaceOfAll_, team.lanes() * workspaceOfLane_);
  if (workspace > 0) {
    context.workspace = team.workspace(workspace);
    if (context.workspace == nullptr) return RunError::memory;
  }
  const FloatEnvironment environment(numerics_ == Numerics::fast);
  using Clock = std::chrono::steady_clock;
  auto start = milliseconds == nullptr ? Clock::time_point() : Clock::now();
  for (int32_t record = first; record < last && !team.isCancelled(); record++) {
    dispatch_(words_.get() + starts_[record], heap, context);
    if (milliseconds == nullptr) continue;
    const auto end = Clock::now();
    milliseconds[record - first] = std::chrono::duration<double, std::milli>(end - start).count();
    start = end;
  }
  return team.isCancelled() ? RunError::cancelled : RunError::none;
}

}  // namespace seqgrad
