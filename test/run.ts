/**
 * Runs the compiled tests with AVA, shows its output as it comes, and ends with the line `N passed, N failed, N skipped`.
 * Run as `node dist/test/run.js [--slow] [AVA's options or test files]`. Without `--slow` the `*.slow.test.js` files are left out.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

const folder = relative('.', import.meta.dirname);
const slow = process.argv.includes('--slow');
const args = process.argv.slice(2).filter((arg) => arg !== '--slow');

function testFiles(): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js') && path.endsWith('.slow.test.js') === slow)
    .sort()
    .map((path) => join(folder, path));
}

/** What Node 20 needs to compile relaxed SIMD, which later versions have without it and refuse to be told about. */
function nodeArguments(): string[] {
  const flag = '--experimental-wasm-relaxed-simd';
  return spawnSync(process.execPath, [flag, '-e', '0']).status === 0 ? [`--node-arguments=${flag}`] : [];
}

const files = args.some((arg) => arg.endsWith('.js')) ? [] : testFiles();
const ava = 'node_modules/ava/entrypoints/cli.mjs';
const child = spawn(process.execPath, [ava, ...nodeArguments(), ...args, ...files], {
  stdio: ['inherit', 'pipe', 'inherit'],
});

// AVA's own totals leave out the passed tests when one has failed, so its lines are counted.
let passed = 0;
let failed = 0;
let skipped = 0;
let withoutReason = 0;
for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
  console.log(line);
  const text = stripVTControlCharacters(line).trimStart();
  if (text.startsWith('✔ ')) passed++;
  if (text.startsWith('✘ ')) failed++;
  if (text.startsWith('- [skip] ')) {
    skipped++;
    if (!text.includes('skipped: ')) withoutReason++;
  }
}
const code =
  child.exitCode ?? (await new Promise<number>((resolve) => child.once('exit', (exit) => resolve(exit ?? 1))));
if (withoutReason > 0) {
  console.log('A skipped test says why in its title: `… (skipped: the reason)`');
  failed += withoutReason;
}
if (code !== 0 && failed === 0) failed = 1; // an uncaught exception or a timeout belongs to no test
process.exitCode = failed > 0 ? 1 : code;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
