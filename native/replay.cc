// Runs programs without Node: for sanitizers, emulators and profilers.
//
//     replay run ISA fast|strict THREADS HEAP PROGRAM [OUT]
//     replay serve ISA fast|strict THREADS [amx|avx512-bf16|emulated]
//
// What multiplies bfloat16 numbers is the best there is, unless it is named. `run` takes files: HEAP of 4-byte
// elements, PROGRAM of int32 words; OUT gets the heap. `serve` is an executor: requests from standard input, replies to
// standard output.
//
// A request is a Request and its words, a reply a Reply and its words; test/support/replay.ts is the other side. The
// heap is exactly as large as asked for, and every run has a workspace of its own, so that AddressSanitizer sees each
// access outside of them.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "executor.h"
#include "pool.h"

namespace {

using seqgrad::Bfloat16;
using seqgrad::Isa;
using seqgrad::Program;

[[noreturn]] void fail(const char* expected, const char* received) {
  std::fprintf(stderr, "replay: Expected %s but received %s\n", expected, received);
  std::exit(2);
}

/// How programs run.
struct Kernels {
  const Isa& isa;
  Program::Numerics numerics;
  int threads;
  Bfloat16 bfloat16;
};

/// The way of that name, or the ISA's best if there is none.
Bfloat16 bfloat16Of(const Isa& isa, const char* name) {
  Bfloat16 found = isa.best;
  if (name != nullptr && !findBfloat16(isa, name, found)) fail("what multiplies bfloat16 numbers here", name);
  return found;
}

Kernels kernelsOf(const char* name, const char* numerics, const char* threads, const char* bfloat16 = nullptr) {
  const bool strict = std::strcmp(numerics, "strict") == 0;
  if (!strict && std::strcmp(numerics, "fast") != 0) fail("fast or strict", numerics);
  const Isa* isa = seqgrad::findIsa(name, strict);
  if (isa == nullptr) fail("an ISA that is usable here with such numerics", name);
  const int count = std::atoi(threads);
  if (count < 1 || count > seqgrad::MOST_THREADS) fail("1 to 256 threads", threads);
  return {*isa, strict ? Program::Numerics::strict : Program::Numerics::fast, count, bfloat16Of(*isa, bfloat16)};
}

std::unique_ptr<Program> programOf(const std::vector<int32_t>& words, Kernels kernels) {
  auto program = Program::create(words.data(), words.size(), kernels.isa, kernels.numerics, kernels.bfloat16);
  if (program == nullptr) fail("memory for the program", "none");
  return program;
}

// One program on one heap, from files.

template <class T>
std::vector<T> readFile(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) fail("a readable file", path);
  std::vector<T> content;
  T chunk[4096];
  for (size_t read; (read = std::fread(chunk, sizeof(T), 4096, file)) > 0;) {
    content.insert(content.end(), chunk, chunk + read);
  }
  std::fclose(file);
  return content;
}

void writeFile(const char* path, const std::vector<float>& content) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr || std::fwrite(content.data(), sizeof(float), content.size(), file) != content.size() ||
      std::fclose(file) != 0) {
    fail("a writable file", path);
  }
}

int runFiles(Kernels kernels, const char* heapPath, const char* programPath, const char* outPath) {
  std::vector<float> heap = readFile<float>(heapPath);
  const auto program = programOf(readFile<int32_t>(programPath), kernels);
  const double elements = static_cast<double>(heap.size());
  const seqgrad::ProgramFault fault = program->check(elements);
  if (fault.fault != 0) {
    std::fprintf(stderr, "fault %d in record %d, item %d\n", fault.fault, fault.record, fault.item);
    return 1;
  }
  seqgrad::Team team(kernels.threads);
  const seqgrad::RunError error = program->run(heap.data(), elements, 0, program->recordCount(), team);
  if (error != seqgrad::RunError::none) {
    std::fprintf(stderr, "%s\n", seqgrad::describe(error));
    return 1;
  }
  if (outPath != nullptr) writeFile(outPath, heap);
  return 0;
}

// The executor.

enum class Command : uint32_t { grow = 1, write, read, clear, check, run, profile };

struct Request {
  Command command;
  uint32_t address;     // write, read, clear
  uint32_t elements;    // grow, check, run and profile: of the heap; read, clear: from the address on
  int32_t first, last;  // records of run and profile
  uint32_t words;       // of a write, or of the program
};

enum class Status : uint32_t { done, fault, error };

struct Reply {
  Status status;
  uint32_t words;  // what was read, milliseconds in float64, record count; fault, record, item; or a message in bytes
};

void readAll(void* to, size_t bytes) {
  if (std::fread(to, 1, bytes, stdin) != bytes) fail("a whole request", "less");
}

void reply(Status status, const void* words, size_t count) {
  const Reply head{status, static_cast<uint32_t>(count)};
  std::fwrite(&head, sizeof head, 1, stdout);
  if (count > 0) std::fwrite(words, sizeof(int32_t), count, stdout);
  std::fflush(stdout);
}

void replyError(const char* message) {
  std::vector<char> bytes(message, message + std::strlen(message));
  while (bytes.size() % sizeof(int32_t) != 0) bytes.push_back(' ');
  reply(Status::error, bytes.data(), bytes.size() / sizeof(int32_t));
}

struct Heap {
  float* data = nullptr;
  size_t elements = 0;

  ~Heap() { std::free(data); }

  bool grow(size_t wanted) {
    if (wanted <= elements) return true;
    float* grown = static_cast<float*>(std::malloc(wanted * sizeof(float)));
    if (grown == nullptr) return false;
    std::copy_n(data, elements, grown);
    std::fill(grown + elements, grown + wanted, 0.0f);
    std::free(data);
    data = grown;
    elements = wanted;
    return true;
  }

  bool holds(size_t address, size_t count) const { return address + count <= elements; }
};

void runProgram(const Request& request, const std::vector<int32_t>& words, Kernels kernels, Heap& heap) {
  const auto program = programOf(words, kernels);
  const double elements = request.elements;
  const seqgrad::ProgramFault fault = program->check(elements);
  if (fault.fault != 0) return reply(Status::fault, &fault, sizeof fault / sizeof(int32_t));
  const int32_t recordCount = program->recordCount();
  if (request.command == Command::check) return reply(Status::done, &recordCount, 1);
  // The planted fault that test/prove.ts wants to be found: a heap that is smaller than the program was checked for.
  const bool believes = std::getenv("SEQGRAD_PLANTED_FAULT") != nullptr;
  if (!believes && !heap.holds(0, request.elements))
    return replyError("Expected a heap as large as the program was checked for");
  if (request.first < 0 || request.last < request.first) return replyError("Expected a range of records");

  std::vector<double> milliseconds(static_cast<size_t>(std::min(request.last, recordCount)));
  const bool isTimed = request.command == Command::profile;
  seqgrad::Team team(kernels.threads);
  const seqgrad::RunError error =
      program->run(heap.data, elements, request.first, request.last, team, isTimed ? milliseconds.data() : nullptr);
  if (error != seqgrad::RunError::none) return replyError(seqgrad::describe(error));
  const size_t count = isTimed ? static_cast<size_t>(request.last - request.first) : 0;
  reply(Status::done, milliseconds.data(), count * sizeof(double) / sizeof(int32_t));
}

void answer(const Request& request, const std::vector<int32_t>& words, Kernels kernels, Heap& heap) {
  const auto isOutside = [&](size_t elements) { return !heap.holds(request.address, elements); };
  switch (request.command) {
    case Command::grow:
      if (!heap.grow(request.elements)) return replyError("Expected memory for the heap but there is none");
      return reply(Status::done, nullptr, 0);
    case Command::write:
      if (isOutside(words.size())) break;
      std::memcpy(heap.data + request.address, words.data(), words.size() * sizeof(float));
      return reply(Status::done, nullptr, 0);
    case Command::read:
      if (isOutside(request.elements)) break;
      return reply(Status::done, heap.data + request.address, request.elements);
    case Command::clear:
      if (isOutside(request.elements)) break;
      std::fill_n(heap.data + request.address, request.elements, 0.0f);
      return reply(Status::done, nullptr, 0);
    case Command::check:
    case Command::run:
    case Command::profile:
      return runProgram(request, words, kernels, heap);
  }
  replyError("Expected an address within the heap, and a known command");
}

int serve(Kernels kernels) {
  Heap heap;
  const seqgrad::Team keepsThreads(kernels.threads);  // from run to run
  for (Request request; std::fread(&request, 1, sizeof request, stdin) == sizeof request;) {
    std::vector<int32_t> words(request.words);
    readAll(words.data(), words.size() * sizeof(int32_t));
    answer(request, words, kernels, heap);
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const auto is = [&](const char* command) { return count > 4 && std::strcmp(arguments[1], command) == 0; };
  if (is("run") && (count == 7 || count == 8)) {
    return runFiles(kernelsOf(arguments[2], arguments[3], arguments[4]), arguments[5], arguments[6],
                    count == 8 ? arguments[7] : nullptr);
  }
  if (is("serve") && (count == 5 || count == 6)) {
    return serve(kernelsOf(arguments[2], arguments[3], arguments[4], count == 6 ? arguments[5] : nullptr));
  }
  std::fputs(
      "usage: replay run ISA fast|strict THREADS HEAP PROGRAM [OUT]\n       replay serve ISA fast|strict THREADS "
      "[amx|avx512-bf16|emulated]\n",
      stderr);
  return 2;
}
