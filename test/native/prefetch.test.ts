/** The compiler keeps what kernels ask for ahead. It once dropped nearly all of it, and nothing but time told. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { absence, file } from './addon.js';

const unreadable = process.arch === 'x64' ? absence : 'only the opcodes of x86-64 are known here';
const it = unreadable === undefined ? test : test.skip;
const titleOf = (title: string): string => (unreadable === undefined ? title : `${title} (skipped: ${unreadable})`);

/** `prefetcht0` and `prefetchw` (Intel SDM, volume 2): both with 1 in the middle bits of the byte behind, whose upper bits name an address. */
const READ_AHEAD = Buffer.of(0x0f, 0x18);
const WRITE_AHEAD = Buffer.of(0x0f, 0x0d);

function occurrences(code: Buffer, opcode: Buffer): number {
  let count = 0;
  for (let at = code.indexOf(opcode); at >= 0; at = code.indexOf(opcode, at + 1)) {
    const operand = code[at + 2] ?? 0xff;
    if ((operand & 0x38) === 0x08 && operand < 0xc0) count++;
  }
  return count;
}

it(titleOf('the addon holds a thousand prefetches and more, for reading and for writing'), (t) => {
  const code = readFileSync(file);
  for (const opcode of [READ_AHEAD, WRITE_AHEAD]) t.true(occurrences(code, opcode) > 1000);
});
