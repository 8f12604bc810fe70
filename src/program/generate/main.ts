/**
 * Derives, at build, the C++ header and the AssemblyScript decoder from the instruction list: codes, records with named operands,
 * the bounds check, the workspace size and the dispatch. Run as `node dist/src/program/generate/main.js`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { asDecoder, asDispatch } from './assemblyscript.js';
import { cppHeader } from './cpp.js';
import { instructionsMarkdown } from './markdown.js';

/** Writes a file if its text changed, so that builds stay incremental. */
function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  let old: string | undefined;
  try {
    old = readFileSync(path, 'utf8');
  } catch {
    old = undefined;
  }
  if (old !== text) writeFileSync(path, text);
}

write('native/generated/instructions.h', cppHeader());
write('assembly/generated/instructions.ts', asDecoder());
write('assembly/generated/dispatch.ts', asDispatch());
write('docs/instructions.md', instructionsMarkdown());
