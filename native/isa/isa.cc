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
  return {name, nullptr, nullptr, nullptr, nullptr, false, "this build is for another kind of processor", {}};
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

/// AMX-TILE and AMX-BF16, in leaf 7, and that the system saves their registers.
bool hasAmx() { return has(cpuid(7).d, 1u << 24 | 1u << 22) && has(savedState(), STATE_TILES); }

/// Linux makes room for these registers in a process that asks for it (Documentation/arch/x86/xstate.rst).
bool mayUseAmx() {
#if defined(__linux__)
  constexpr long ASK_FOR_STATE = 0x1023, TILE_DATA = 18;
  return syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
#else
  return false;
#endif
}

Multipliers bestMultipliers() {
  if (!hasAvx512Bfloat16()) return {};
  if (hasAmx() && mayUseAmx()) return {Float32::amx, Bfloat16::amx};
  return {Float32::direct, Bfloat16::avx512};
}

struct Isas {
  Isa list[ISA_COUNT];
  Isas() {
    const Verdict avx512 = avx512Verdict(), avx2 = avx2Verdict();
    list[0] = {"avx512",         avx512Fast,    avx512Strict,  avx512FastAdds,
               avx512StrictAdds, avx512.usable, avx512.reason, avx512.usable ? bestMultipliers() : Multipliers{}};
    list[1] = {"avx2", avx2Fast, avx2Strict, avx2FastAdds, avx2StrictAdds, avx2.usable, avx2.reason, {}};
    list[2] = {"sse2", sse2, sse2, sse2Adds, sse2Adds, true, "every x86-64 processor has it", {}};
    list[3] = elsewhere("neon");
  }
};

#else

struct Isas {
  Isa list[ISA_COUNT];
  Isas() {
    list[0] = elsewhere("avx512");
    list[1] = elsewhere("avx2");
    list[2] = elsewhere("sse2");
#if defined(__aarch64__)
    list[3] = {"neon", neonFast, neonStrict, neonFastAdds, neonStrictAdds, true, "every 64-bit Arm processor has it",
               {}};
#else
    list[3] = elsewhere("neon");
#endif
  }
};

#endif

}  // namespace

const char* nameOf(Float32 way) { return way == Float32::amx ? "amx" : "direct"; }

const char* nameOf(Bfloat16 way) {
  switch (way) {
    case Bfloat16::amx:
      return "amx";
    case Bfloat16::avx512:
      return "avx512-bf16";
    case Bfloat16::emulated:
      break;
  }
  return "emulated";
}

const Isa* isas() {
  static const Isas machine;  // a fact about the machine, the same for every environment
  return machine.list;
}

const Isa* findIsa(const char* name) {
  for (const Isa* isa = isas(); isa < isas() + ISA_COUNT; isa++) {
    if (std::strcmp(name, "auto") == 0 ? isa->usable : std::strcmp(name, isa->name) == 0) return isa;
  }
  return nullptr;
}

}  // namespace seqgrad
