// Runs a dumped program on a dumped heap without Node: for sanitizers, fuzzers, profilers and emulators.
//
//     replay HEAP PROGRAM ISA fast|strict [OUT]
//
// HEAP holds 4-byte elements, PROGRAM int32 words; OUT receives the heap afterwards.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "executor.h"

namespace {

template <class T>
std::vector<T> readFile(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "Expected a readable file but received %s\n", path);
    std::exit(2);
  }
  std::vector<T> content;
  T chunk[4096];
  for (size_t read; (read = std::fread(chunk, sizeof(T), 4096, file)) > 0;) {
    content.insert(content.end(), chunk, chunk + read);
  }
  std::fclose(file);
  return content;
}

}  // namespace

int main(int argumentCount, char** arguments) {
  if (argumentCount < 5) {
    std::fputs("usage: replay HEAP PROGRAM ISA fast|strict [OUT]\n", stderr);
    return 2;
  }
  using seqgrad::Program;
  std::vector<float> heap = readFile<float>(arguments[1]);
  const std::vector<int32_t> words = readFile<int32_t>(arguments[2]);
  const seqgrad::Isa* isa = seqgrad::findIsa(arguments[3]);
  if (isa == nullptr || !isa->usable || isa->fast == nullptr) {
    std::fprintf(stderr, "Expected an ISA that is usable here but received %s\n", arguments[3]);
    return 2;
  }
  const bool strict = std::strcmp(arguments[4], "strict") == 0;
  const auto program =
      Program::create(words.data(), words.size(), *isa, strict ? Program::Numerics::strict : Program::Numerics::fast);
  if (program == nullptr) return 2;
  const seqgrad::ProgramFault fault = program->check(static_cast<double>(heap.size()));
  if (fault.fault != 0) {
    std::fprintf(stderr, "fault %d in record %d, item %d\n", fault.fault, fault.record, fault.item);
    return 1;
  }
  seqgrad::Team team(1);
  const seqgrad::RunError error =
      program->run(heap.data(), static_cast<double>(heap.size()), 0, program->recordCount(), team);
  if (error != seqgrad::RunError::none) {
    std::fprintf(stderr, "%s\n", seqgrad::describe(error));
    return 1;
  }
  if (argumentCount > 5) {
    std::FILE* file = std::fopen(arguments[5], "wb");
    if (file == nullptr || std::fwrite(heap.data(), sizeof(float), heap.size(), file) != heap.size()) return 2;
    std::fclose(file);
  }
  return 0;
}
