import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runNode } from './command.js';

const SOURCES = 'assembly';
const MODULES = 'dist/wasm';
const require = createRequire(import.meta.url);

/** One name for the compiler's version and every file it reads. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256').update(require('assemblyscript/package.json').version);
  const files = (await readdir(SOURCES, { recursive: true })).filter((path) => /\.(ts|json)$/.test(path)).sort();
  for (const path of files) {
    hash.update(`\n${path}\n`).update(await readFile(join(SOURCES, path)));
  }
  return hash.digest('hex');
}

/**
 * Compiles each target of assembly/asconfig.json, unless nothing has changed since the last time.
 * @throws BuildError with the compiler's words.
 */
export async function buildWasm(): Promise<void> {
  const config = join(SOURCES, 'asconfig.json');
  const targets = Object.keys(JSON.parse(await readFile(config, 'utf8')).targets);
  const stamp = join(MODULES, 'sources.sha256');
  const wanted = await fingerprint();
  const modules = targets.map((target) => join(MODULES, `seqgrad.${target}.wasm`));
  if (modules.every(existsSync) && existsSync(stamp) && (await readFile(stamp, 'utf8')) === wanted) return;

  await mkdir(MODULES, { recursive: true });
  await rm(stamp, { force: true });
  const compiler = require.resolve('assemblyscript/bin/asc.js');
  await Promise.all(targets.map((target) => runNode(compiler, '--config', config, '--target', target)));
  await writeFile(stamp, wanted);
}
