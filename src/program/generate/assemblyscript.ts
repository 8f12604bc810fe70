/** The AssemblyScript decoder and dispatch derived from the instruction list. */
import { faults, RESERVED_ELEMENTS, sizeDims } from '../check.js';
import { fingerprint, HEADER_WORDS, recordWords } from '../encode.js';
import { codeOf, instructionNames, specOf } from '../instructions.js';
import { scalarSlots } from '../scalars.js';
import {
  BANNER,
  capital,
  extentInDouble,
  families,
  inDouble,
  isEmptyInDouble,
  isWritten,
  type Layout,
  layouts,
  visitsInDouble,
} from './layout.js';

function asRecord({ name, operands, dims, scalars }: Layout): string {
  const { meaning, order } = specOf(name);
  return `
/** ${meaning}${order === undefined ? '' : `\n *  Order: ${order}`} */
@unmanaged
export class ${capital(name)} {
${operands
  .map(
    ([operand, its, word]) =>
      `  /** ${its.access}${its.optional ? ', 0 when absent' : ''} */\n  @inline get ${operand}(): usize { return operandAt(changetype<usize>(this), ${word}); }\n`,
  )
  .join('')}${dims
  .map(([dim, word]) => `  @inline get ${dim}(): i32 { return load<i32>(changetype<usize>(this), ${word * 4}); }\n`)
  .join('')}${scalars
  .map(
    ([scalar, word]) => `  @inline get ${scalar}(): f32 { return load<f32>(changetype<usize>(this), ${word * 4}); }\n`,
  )
  .join('')}}
`;
}

const asDims = ({ dims }: Layout): string =>
  dims.map(([dim, word]) => `      const ${dim}: f64 = <f64>load<i32>(words, ${word * 4});\n`).join('');

function asCheck(layout: Layout): string {
  const { name, operands, dims } = layout;
  const sizes = sizeDims(name);
  return `    case ${codeOf(name)}: {
      if (load<i32>(words, 4) != ${recordWords(name)}) return fault(Fault.length, 0);
${dims
  .map(([dim, word], item) => {
    const value = `load<i32>(words, ${word * 4})`;
    const tooLarge = sizes.has(dim) ? ` || <f64>${value} > heapElements` : '';
    return `      if (${value} < 0${tooLarge}) return fault(Fault.dimension, ${item});\n`;
  })
  .join('')}${asDims(layout)}${operands
  .map(([, its, word], item) => {
    const missing = its.optional
      ? ''
      : `      if (load<i32>(words, ${word * 4}) == ABSENT) return fault(Fault.operand, ${item});\n`;
    const visited = isWritten(its)
      ? `      if (load<i32>(words, ${word * 4}) != ABSENT && ${visitsInDouble(its)} > heapElements) return fault(Fault.visits, ${item});\n`
      : '';
    return `${missing}      if (leaves(load<i32>(words, ${word * 4}), ${isEmptyInDouble(its)} ? 0.0 : ${extentInDouble(its)}, heapElements)) return fault(Fault.bounds, ${item});\n${visited}`;
  })
  .join('')}      return 0;
    }
`;
}

const asWorkspace = (layout: Layout): string => `    case ${codeOf(layout.name)}: {
${asDims(layout)}      return ${inDouble(specOf(layout.name).workspace as string)};
    }
`;

export function asDecoder(): string {
  return `// ${BANNER}

export const FINGERPRINT: i32 = ${fingerprint};
export const HEADER_WORDS: i32 = ${HEADER_WORDS};
export const ABSENT: i32 = -1;
/** Elements at the start of the heap that are this module's. */
export const RESERVED: u32 = ${RESERVED_ELEMENTS};

export namespace Fault {
${faults.map((fault, index) => `  export const ${fault}: i32 = ${index};\n`).join('')}}

/** Slots of the scalars tensor. */
export namespace Slot {
${scalarSlots.map((slot, index) => `  export const ${slot}: i32 = ${index};\n`).join('')}}

@inline function operandAt(record: usize, word: i32): usize {
  const offset = load<i32>(record + (word << 2));
  return offset == ABSENT ? 0 : <usize>(<u32>offset) << 2;
}
@inline function atLeastOne(size: f64): f64 { return size < 1.0 ? 1.0 : size; }
@inline function fault(code: i32, item: i32): i32 { return code | (item << 8); }
@inline function leaves(offset: i32, extent: f64, heapElements: f64): bool {
  return offset != ABSENT && (<u32>offset < RESERVED || !(<f64>(<u32>offset) + extent <= heapElements));
}
${layouts.map(asRecord).join('')}
/** Checks one record whose words are all there: 0, or a fault | item << 8. */
export function checkRecord(words: usize, heapElements: f64): i32 {
  switch (load<i32>(words)) {
${layouts.map(asCheck).join('')}    default:
      return fault(Fault.instruction, 0);
  }
}

/** Words of a record with this code, or 0 for an unknown code. */
export function recordWords(code: i32): i32 {
  switch (code) {
${layouts.map(({ name }) => `    case ${codeOf(name)}: return ${recordWords(name)};\n`).join('')}    default: return 0;
  }
}

/** Elements of private memory that an executor of so many lanes may use for a checked record. */
export function workspaceElements(words: usize, lanes: f64): f64 {
  switch (load<i32>(words)) {
${layouts
  .filter(({ name }) => specOf(name).workspace !== undefined)
  .map(asWorkspace)
  .join('')}    default: return 0;
  }
}
`;
}

export function asDispatch(): string {
  return `// ${BANNER}
import { ${layouts.map(({ name }) => capital(name)).join(', ')} } from './instructions';
${families
  .map((family) => {
    const members = instructionNames.filter((name) => specOf(name).family === family);
    return `import { ${members.join(', ')} } from '../kernels/${family}';\n`;
  })
  .join('')}
/** Runs one checked record. Kernels use the workspace as they like. */
export function dispatch(words: usize, workspace: usize): void {
  switch (load<i32>(words)) {
${layouts
  .map(({ name }) => {
    const workspace = specOf(name).workspace === undefined ? '' : ', workspace';
    return `    case ${codeOf(name)}: { ${name}(changetype<${capital(name)}>(words)${workspace}); break; }\n`;
  })
  .join('')}    default: unreachable();
  }
}
`;
}
