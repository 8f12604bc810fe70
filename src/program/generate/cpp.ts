/**
 * The C++ header derived from the instruction list. Its functions have internal linkage: each file gets its own copy, compiled
 * for its own ISA.
 */
import { faults, RESERVED_ELEMENTS, sizeDims } from '../check.js';
import { fingerprint, HEADER_WORDS, recordWords } from '../encode.js';
import type { OperandSpec } from '../instructions.js';
import { codeOf, instructionNames, specOf } from '../instructions.js';
import { scalarSlots } from '../scalars.js';
import {
  BANNER,
  capital,
  extentInDouble,
  inDouble,
  isEmptyInDouble,
  isWritten,
  type Layout,
  layouts,
  visitsInDouble,
} from './layout.js';

function cppRecord({ name, operands, dims, scalars }: Layout): string {
  const { meaning, order } = specOf(name);
  const type = (operand: OperandSpec): string =>
    `${isWritten(operand) ? '' : 'const '}${operand.type === 'i32' ? 'int32_t' : 'float'}*`;
  return `
/// ${meaning}${order === undefined ? '' : `\n/// Order: ${order}`}
struct ${capital(name)} {
${operands.map(([operand, its]) => `  ${type(its)} ${operand};${its.optional ? '  // may be null' : ''}\n`).join('')}${dims
  .map(([dim]) => `  int32_t ${dim};\n`)
  .join('')}${scalars.map(([scalar]) => `  float ${scalar};\n`).join('')}
};

static inline ${capital(name)} decode${capital(name)}([[maybe_unused]] const int32_t* words, float* heap) {
  ${capital(name)} record;
${operands.map(([operand, its, word]) => `  record.${operand} = operandAt<${its.type === 'i32' ? 'int32_t' : 'float'}>(words[${word}], heap);\n`).join('')}${dims
  .map(([dim, word]) => `  record.${dim} = words[${word}];\n`)
  .join(
    '',
  )}${scalars.map(([scalar, word]) => `  record.${scalar} = floatAt(words[${word}]);\n`).join('')}  return record;
}
`;
}

const cppDims = ({ dims }: Layout): string =>
  dims.map(([dim, word]) => `      [[maybe_unused]] const double ${dim} = words[${word}];\n`).join('');

function cppCheck(layout: Layout): string {
  const { name, operands, dims } = layout;
  const sizes = sizeDims(name);
  return `    case ${codeOf(name)}: {
      if (words[1] != ${recordWords(name)}) return {Fault::length, 0};
${dims.map(([dim, word], item) => `      if (words[${word}] < 0${sizes.has(dim) ? ` || words[${word}] > heapElements` : ''}) return {Fault::dimension, ${item}};\n`).join('')}${cppDims(layout)}${operands
  .map(([, its, word], item) => {
    const missing = its.optional ? '' : `      if (words[${word}] == ABSENT) return {Fault::operand, ${item}};\n`;
    const visited = isWritten(its)
      ? `      if (words[${word}] != ABSENT && ${visitsInDouble(its)} > heapElements) return {Fault::visits, ${item}};\n`
      : '';
    return `${missing}      if (words[${word}] != ABSENT && !fits(words[${word}], ${isEmptyInDouble(its)} ? 0.0 : ${extentInDouble(its)}, heapElements)) return {Fault::bounds, ${item}};\n${visited}`;
  })
  .join('')}      return {Fault::none, 0};
    }
`;
}

export function cppHeader(): string {
  return `// ${BANNER}
#pragma once
#include <cstdint>
#include <cstring>

namespace seqgrad {

constexpr int32_t FINGERPRINT = static_cast<int32_t>(${fingerprint >>> 0}u);
constexpr int32_t HEADER_WORDS = ${HEADER_WORDS};
constexpr int32_t ABSENT = -1;
/// Elements at the start of the heap that no operand may touch: they belong to the WASM module.
constexpr uint32_t RESERVED = ${RESERVED_ELEMENTS};
constexpr int32_t INSTRUCTION_COUNT = ${instructionNames.length};

enum class Fault : int32_t { ${faults.join(', ')} };

/// Slots of the scalars tensor.
enum Slot : int32_t {
${scalarSlots.map((slot, index) => `  SLOT_${slot} = ${index},\n`).join('')}};

template <class T>
static inline T* operandAt(int32_t offset, float* heap) {
  return offset == ABSENT ? nullptr : reinterpret_cast<T*>(heap + static_cast<uint32_t>(offset));
}
static inline float floatAt(int32_t word) {
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}
static inline double atLeastOne(double size) { return size < 1.0 ? 1.0 : size; }
static inline bool fits(int32_t offset, double extent, double heapElements) {
  const uint32_t start = static_cast<uint32_t>(offset);
  return start >= RESERVED && static_cast<double>(start) + extent <= heapElements;
}
${layouts.map(cppRecord).join('')}
struct RecordFault {
  Fault fault;
  int32_t item;
};

/// Checks one record whose words are all there against a heap of \`heapElements\` 4-byte elements.
static inline RecordFault checkRecord(const int32_t* words, double heapElements) {
  switch (words[0]) {
${layouts.map(cppCheck).join('')}    default:
      return {Fault::instruction, 0};
  }
}

/// Words of a record with this code, or 0 for an unknown code.
static inline int32_t recordWords(int32_t code) {
  switch (code) {
${layouts.map(({ name }) => `    case ${codeOf(name)}: return ${recordWords(name)};\n`).join('')}    default: return 0;
  }
}

/// Elements of private memory that an executor of so many lanes may use for a checked record.
static inline double workspaceElements(const int32_t* words, [[maybe_unused]] double lanes) {
  switch (words[0]) {
${layouts
  .filter(({ name }) => specOf(name).workspace !== undefined)
  .map(
    (layout) =>
      `    case ${codeOf(layout.name)}: {\n${cppDims(layout)}      return ${inDouble(specOf(layout.name).workspace as string)};\n    }\n`,
  )
  .join('')}    default: return 0;
  }
}

/// Floating-point operations of a checked record.
static inline double flops(const int32_t* words) {
  switch (words[0]) {
${layouts.map((layout) => `    case ${codeOf(layout.name)}: {\n${cppDims(layout)}      return ${inDouble(specOf(layout.name).flops)};\n    }\n`).join('')}    default: return 0;
  }
}

/// One line for each instruction: X(code, name, Record).
#define SEQGRAD_INSTRUCTIONS(X) \\
${layouts.map(({ name }) => `  X(${codeOf(name)}, ${name}, ${capital(name)})`).join(' \\\n')}

}  // namespace seqgrad
`;
}
