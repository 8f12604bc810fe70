// Any bytes as a program (libFuzzer): Program::check refuses them, or they run and stay within the heap.
//
// An input is a line of four words, which choose how it runs, and then the words of the program:
//
//     heap elements behind the reserved ones, kernels, seed of what the heap holds, (not used), words …
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "executor.h"
#include "generated/instructions.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t maximum);

namespace {

using seqgrad::Isa;
using seqgrad::Program;

constexpr size_t CHOICES = 4;
constexpr int THREADS = 2;
/// A run visits about as many elements at most; a heap has at most so many behind those that are reserved.
constexpr double MOST_WORK = 2e6, MOST_ELEMENTS = 40000;
/// A program that wants a larger workspace is not run: attention of no rows may have heads of any size.
constexpr double MOST_WORKSPACE = 1e8;

/// xorshift64* (Vigna 2016): what the heap holds shall depend on the input only.
struct Random {
  uint64_t state;
  uint32_t operator()() {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return static_cast<uint32_t>((state * 0x2545F4914F6CDD1Du) >> 32);
  }
  uint32_t below(uint32_t end) { return (*this)() % end; }
};

/// Words that decide something somewhere: sizes around vectors, labels, absent operands, the ends of the integers.
int32_t tellingWord(Random& random) {
  static const int32_t words[] = {0,   1,    2,    3,     4,     5,       7,          8,         15,        16,
                                  17,  31,   32,   33,    63,    64,      65,         255,       256,       257,
                                  512, 1000, 4096, 16383, 16384, 16385,   0x3f800000, INT32_MAX, INT32_MIN, -1,
                                  -2,  -100, -16,  65536, 65535, 1 << 30, 0x7fc00000};
  return words[random.below(sizeof words / sizeof *words)];
}

/// Small whole numbers, which tables of ids, labels, lengths and segments are made of; else floats and anything.
void fillHeap(float* heap, size_t elements, uint32_t seed) {
  Random random{seed * 0x9E3779B97F4A7C15u + 1};
  for (size_t i = seqgrad::RESERVED; i < elements; i++) {
    const uint32_t kind = random.below(8);
    int32_t word = static_cast<int32_t>(random());
    if (kind < 4) word &= 7;
    if (kind == 4) word = tellingWord(random);
    if (kind == 5 || kind == 6) {
      const float value = static_cast<float>(word) * 0x1p-31f;
      std::memcpy(&word, &value, sizeof word);
    }
    std::memcpy(heap + i, &word, sizeof word);
  }
}

/// The ISA of an input, among those that work here with such numerics.
const Isa& isaOf(uint32_t choice, bool isStrict) {
  std::vector<const Isa*> usable;
  for (int i = 0; i < seqgrad::ISA_COUNT; i++) {
    const Isa& isa = seqgrad::isas()[i];
    if (isa.usable && isa.dispatch(isStrict) != nullptr) usable.push_back(&isa);
  }
  return *usable[choice % usable.size()];
}

/// How many records can be run without taking too long.
int32_t quickRecords(const std::vector<int32_t>& words, int32_t recordCount, double elements) {
  double work = 0;
  size_t at = seqgrad::HEADER_WORDS;
  for (int32_t record = 0; record < recordCount; record++) {
    work += seqgrad::flops(words.data() + at) + elements - seqgrad::RESERVED;
    if (work > MOST_WORK) return record;
    at += words[at + 1];
  }
  return recordCount;
}

double workspaceOf(const std::vector<int32_t>& words, int32_t recordCount) {
  double elements = 0;
  size_t at = seqgrad::HEADER_WORDS;
  for (int32_t record = 0; record < recordCount; record++) {
    elements = std::max(elements, seqgrad::workspaceElements(words.data() + at, THREADS));
    at += words[at + 1];
  }
  return elements;
}

void runOn(size_t elements, uint32_t seed, Program& program, const std::vector<int32_t>& words) {
  // Exactly as large as was checked: an access behind it is one that AddressSanitizer sees.
  // (The planted fault, which test/fuzz wants to be found: one element less.)
  static const size_t missing = std::getenv("SEQGRAD_PLANTED_FAULT") == nullptr ? 0 : 1;
  float* heap = static_cast<float*>(std::malloc((elements - missing) * sizeof(float)));
  if (heap == nullptr) return;
  fillHeap(heap, elements - missing, seed);
  const double count = static_cast<double>(elements);
  static const seqgrad::Team keepsThreads(THREADS);
  seqgrad::Team team(THREADS);  // with a workspace of its own, exactly as large as this program wants
  program.run(heap, count, 0, quickRecords(words, program.recordCount(), count), team);
  std::free(heap);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t choices[CHOICES] = {};
  std::memcpy(choices, data, std::min(size, sizeof choices));
  std::vector<int32_t> words(size < sizeof choices ? 0 : (size - sizeof choices) / sizeof(int32_t));
  if (!words.empty()) std::memcpy(words.data(), data + sizeof choices, words.size() * sizeof(int32_t));

  const bool isStrict = choices[1] & 1;
  const Isa& isa = isaOf(choices[1] >> 1, isStrict);
  const auto numerics = isStrict ? Program::Numerics::strict : Program::Numerics::fast;
  const auto program = Program::create(words.data(), words.size(), isa, numerics, isa.best);
  if (program == nullptr) return 0;
  const size_t elements = seqgrad::RESERVED + std::min(choices[0], static_cast<uint32_t>(MOST_ELEMENTS));
  if (program->check(static_cast<double>(elements)).fault != 0) return 0;
  if (workspaceOf(words, program->recordCount()) > MOST_WORKSPACE) return 0;
  runOn(elements, choices[2], *program, words);
  return 0;
}

/// Half of the mutations change words of the program as such and set its counts right, so that they get past the
/// header.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t maximum, unsigned seed) {
  Random random{seed * 0x9E3779B97F4A7C15u + 1};
  constexpr size_t HEADER = CHOICES + seqgrad::HEADER_WORDS;
  if (random.below(2) == 0 || size < (HEADER + 1) * sizeof(int32_t)) return LLVMFuzzerMutate(data, size, maximum);

  std::vector<int32_t> words(size / sizeof(int32_t));
  std::memcpy(words.data(), data, words.size() * sizeof(int32_t));
  const auto place = [&] { return HEADER + random.below(static_cast<uint32_t>(words.size() - HEADER)); };
  for (uint32_t changes = 1 + random.below(3); changes > 0; changes--) {
    int32_t& word = words[place()];
    switch (random.below(6)) {
      case 0:
        word = tellingWord(random);
        break;
      case 1:
        word = static_cast<int32_t>(static_cast<uint32_t>(word) + random.below(33) - 16);
        break;
      case 2:
        word = words[place()];
        break;
      case 3:  // an operand near the end of the heap
        word = static_cast<int32_t>(seqgrad::RESERVED + static_cast<uint32_t>(words[0]) - random.below(300));
        break;
      case 4:
        words[random.below(3)] = random.below(2) ? tellingWord(random) : static_cast<int32_t>(random.below(5000));
        break;
      case 5:
        word = static_cast<int32_t>(random.below(2) * seqgrad::RESERVED + random.below(64));
        break;
    }
  }
  words[CHOICES] = seqgrad::FINGERPRINT;
  words[CHOICES + 1] = static_cast<int32_t>(words.size() - CHOICES);
  const size_t bytes = std::min(words.size() * sizeof(int32_t), maximum);
  std::memcpy(data, words.data(), bytes);
  return bytes;
}
