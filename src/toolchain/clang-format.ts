/** Checks the layout of the C++ sources, or with `--write` mends it. Run as `node dist/src/toolchain/clang-format.js [--write]`. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.js';

const files = readdirSync('native', { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.(cc|h)$/.test(path) && !path.startsWith('generated'))
  .map((path) => join('native', path));
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '-Werror'];

if ((await run('clang-format', '--version')).code !== 0) {
  console.error('clang-format is not installed: the layout of native/ cannot be checked');
  process.exitCode = 1;
} else if (files.length > 0) {
  const { code, output } = await run('clang-format', ...mode, ...files);
  if (output !== '') console.error(output.trimEnd());
  if (code !== 0) process.exitCode = 1;
}
