// Which ISAs this machine can use: on x86-64 by cpuid and xgetbv (Intel SDM volume 1, 13.2–13.5, 14.3 and 15.2).
#include "isa.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace seqgrad {
namespace {

/// An ISA that this build has no kernels for.
Isa elsewhere(const char* name) {
  return {name, nullptr, nullptr, nullptr, nullptr, false, "this build is for another kind of processor", {}, {}};
}

#if defined(__x86_64__)

struct Registers {
  unsigned a, b, c, d;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r{};
  if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

constexpr bool has(unsigned word, unsigned bits) { return (word & bits) == bits; }

/// The register state that the operating system saves: 0 where it does not say.
unsigned savedState() {
  if (!has(cpuid(1).c, bit_OSXSAVE)) return 0;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

constexpr unsigned STATE_YMM = 0x6, STATE_ZMM = 0xe6, STATE_TILES = 0x60000;

struct Verdict {
  bool usable;
  const char* reason;
};

Verdict avx512Verdict() {
  if (!has(cpuid(7).b, bit_AVX512F | bit_AVX512VL | bit_AVX512DQ | bit_AVX512BW)) {
    return {false, "the processor lacks AVX-512 F, VL, DQ or BW"};
  }
  if (!has(savedState(), STATE_ZMM)) return {false, "the operating system does not save the AVX-512 registers"};
  return {true, "the processor has AVX-512 F, VL, DQ and BW"};
}

Verdict avx2Verdict() {
  if (!has(cpuid(7).b, bit_AVX2) || !has(cpuid(1).c, bit_FMA)) return {false, "the processor lacks AVX2 or FMA"};
  if (!has(savedState(), STATE_YMM)) return {false, "the operating system does not save the AVX registers"};
  return {true, "the processor has AVX2 and FMA"};
}

/// AVX512-BF16: leaf 7 says in eax how many subleaves it has, and this in the second of them.
bool hasAvx512Bfloat16() { return cpuid(7).a >= 1 && has(cpuid(7, 1).a, 1u << 5); }

/// Linux makes room for the unit's registers in a process that asks for it (Documentation/arch/x86/xstate.rst).
bool mayUseAmx() {
#if defined(__linux__)
  constexpr long ASK_FOR_STATE = 0x1023, TILE_DATA = 18;
  return syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
#else
  return false;
#endif
}

/// AMX-TILE and AMX-BF16, in leaf 7, beside AVX-512.
Verdict amxVerdict(Verdict avx512) {
  if (!avx512.usable) return avx512;
  if (!hasAvx512Bfloat16() || !has(cpuid(7).d, 1u << 24 | 1u << 22)) return {false, "the processor lacks AMX-BF16"};
  if (!has(savedState(), STATE_TILES) || !mayUseAmx()) {
    return {false, "the operating system does not lend the registers of the matrix unit"};
  }
  return {true, "the processor has AVX-512 F, VL, DQ and BW, and a matrix unit, AMX-BF16"};
}

struct Isas {
  Isa list[ISA_COUNT];
  Isas() {
    constexpr Bfloat16 amx = Bfloat16::amx, emulated = Bfloat16::emulated;
    const Verdict avx512 = avx512Verdict(), unit = amxVerdict(avx512), avx2 = avx2Verdict();
    const Bfloat16 best = avx512.usable && hasAvx512Bfloat16() ? Bfloat16::avx512 : emulated;
    // The unit adds in an order of its own, so it has no strict numerics. What it does not multiply AVX-512 does.
    list[0] = {"amx", avx512Fast, nullptr, avx512FastAdds, nullptr, unit.usable, unit.reason, amx, amx};
    list[1] = {"avx512",      avx512Fast,    avx512Strict, avx512FastAdds, avx512StrictAdds,
               avx512.usable, avx512.reason, best,         emulated};
    list[2] = {"avx2",      avx2Fast,    avx2Strict, avx2FastAdds, avx2StrictAdds,
               avx2.usable, avx2.reason, emulated,   emulated};
    list[3] = {"sse2", sse2, sse2, sse2Adds, sse2Adds, true, "every x86-64 processor has it", emulated, emulated};
    list[4] = elsewhere("neon");
  }
};

#else

struct Isas {
  Isa list[ISA_COUNT];
  Isas() {
    list[0] = elsewhere("amx");
    list[1] = elsewhere("avx512");
    list[2] = elsewhere("avx2");
    list[3] = elsewhere("sse2");
#if defined(__aarch64__)
    constexpr Bfloat16 emulated = Bfloat16::emulated;
    list[4] = {"neon",   neonFast, neonStrict, neonFastAdds, neonStrictAdds, true, "every 64-bit Arm processor has it",
               emulated, emulated};
#else
    list[4] = elsewhere("neon");
#endif
  }
};

#endif

}  // namespace

const char* nameOf(Bfloat16 bfloat16) {
  switch (bfloat16) {
    case Bfloat16::amx:
      return "amx";
    case Bfloat16::avx512:
      return "avx512-bf16";
    case Bfloat16::emulated:
      break;
  }
  return "emulated";
}

bool findBfloat16(const Isa& isa, const char* name, Bfloat16& found) {
  for (int way = static_cast<int>(isa.best); way >= static_cast<int>(isa.simplest); way--) {
    found = static_cast<Bfloat16>(way);
    if (std::strcmp(name, nameOf(found)) == 0) return true;
  }
  return false;
}

const Isa* isas() {
  static const Isas machine;  // a fact about the machine, the same for every environment
  return machine.list;
}

const Isa* findIsa(const char* name, bool isStrict) {
  for (const Isa* isa = isas(); isa < isas() + ISA_COUNT; isa++) {
    const bool isMeant = std::strcmp(name, "auto") == 0 || std::strcmp(name, isa->name) == 0;
    if (isMeant && isa->usable && isa->dispatch(isStrict) != nullptr) return isa;
  }
  return nullptr;
}

}  // namespace seqgrad
