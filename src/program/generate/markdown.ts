/** docs/instructions.md: the instruction list as a table for readers. */
import { instructionNames, type OperandSpec, specOf } from '../instructions.js';

function operandText(name: string, { shape, type, access, optional }: OperandSpec): string {
  return `${access === 'read' ? '' : `**${access}** `}\`${name}\`${optional ? '?' : ''} [${shape.join(', ')}]${type === 'i32' ? ' i32' : ''}`;
}

function section(name: (typeof instructionNames)[number]): string {
  const { family, meaning, order, operands, dims, scalars = [], flops } = specOf(name);
  const constants = [...dims, ...scalars].map((each) => `\`${each}\``).join(', ');
  return [
    `### ${name}`,
    '',
    `${meaning}.`,
    '',
    `- operands: ${Object.entries(operands)
      .map(([operand, spec]) => operandText(operand, spec))
      .join('; ')}`,
    ...(constants === '' ? [] : [`- constants: ${constants}`]),
    ...(order === undefined ? [] : [`- order: ${order}`]),
    `- flops: ${flops}; files: \`${family}\` in src/backends/reference, native/kernels, assembly/kernels`,
    '',
  ].join('\n');
}

export const instructionsMarkdown = (): string => `# The instruction set

This page is made from \`src/program/instructions.ts\` by \`npm run build\`. Every instruction runs on every backend: native (sse2, avx2,
avx512, amx, neon), WASM (simd, relaxed simd) and the reference (float32, float64). The source says what the words of access (read where nothing is
said, **write**, **accumulate**, **update**) and of order (\`Σ\`, \`lanes\`, \`fold\`) mean. A question mark: the operand may be left out.

| instruction | family | meaning |
|---|---|---|
${instructionNames.map((name) => `| [${name}](#${name.toLowerCase()}) | ${specOf(name).family} | ${specOf(name).meaning.split(/[.;] /)[0]} |\n`).join('')}
${instructionNames.map(section).join('\n')}`;
