/** What follows `tsc` in a build: the WASM modules and the native addon. Run as `node dist/src/toolchain/main.js`. */
import { BuildError } from './command.js';
import { buildNative } from './native.js';
import { prune } from './prune.js';
import { buildWasm } from './wasm.js';

try {
  await prune();
  await buildWasm();
  await buildNative();
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
