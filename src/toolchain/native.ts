import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { run, runNodeIn } from './command.js';

const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');

/** The first of some programs that starts, or `undefined`. */
export async function findProgram(...names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    if ((await run(name, '--version')).code === 0) return name;
  }
  return undefined;
}

/** Where Node's own headers are, if they came with it; node-gyp would otherwise fetch them. */
function nodeFolder(): string | undefined {
  if (process.env.npm_config_nodedir) return process.env.npm_config_nodedir;
  const folder = dirname(dirname(process.execPath));
  return existsSync(join(folder, 'include/node/node_api.h')) ? folder : undefined;
}

/** What this machine lacks for compiling an addon, or `undefined`. Visual Studio is left for node-gyp to find. */
export async function findLack(): Promise<string | undefined> {
  if (process.platform !== 'win32') {
    const compilers = process.env.CXX ? [process.env.CXX] : ['g++', 'c++', 'clang++'];
    if ((await findProgram(...compilers)) === undefined) return `no C++ compiler (${compilers.join(', ')})`;
    if ((await findProgram('make', 'gmake')) === undefined) return 'no make';
    if ((await findProgram('python3', 'python')) === undefined) return 'no Python 3';
  }
  if (nodeFolder() === undefined && (await run(process.execPath, nodeGyp, 'install')).code !== 0) {
    return 'no Node headers, and they could not be fetched';
  }
  return undefined;
}

interface Compilation {
  /** Where binding.gyp is; the result goes to build/Release there. */
  readonly folder: string;
  /** For node-gyp. */
  readonly options?: readonly string[];
  /** Variables for binding.gyp. */
  readonly definitions?: readonly string[];
  /** What to make; everything, where none is named. */
  readonly targets?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Compiles what changed; writes the makefiles, unless those there are for the same binding.gyp, Node and compiler.
 * @throws BuildError with the compiler's words.
 */
export async function compile({
  folder,
  options = [],
  definitions = [],
  targets = [],
  environment = {},
}: Compilation): Promise<void> {
  const headers = nodeFolder();
  const all = [`--directory=${folder}`, ...options, ...(headers === undefined ? [] : [`--nodedir=${headers}`])];
  const stamp = join(folder, 'build/configured.json');
  const { version, arch, env } = process;
  const compiler = { CXX: env.CXX, ...environment };
  const wanted = JSON.stringify([version, arch, all, definitions, compiler, await readFile('binding.gyp', 'utf8')]);
  if (!existsSync(stamp) || (await readFile(stamp, 'utf8')) !== wanted) {
    await runNodeIn(environment, nodeGyp, 'configure', ...all, '--', ...definitions.map((name) => `-D${name}`));
    await mkdir(join(folder, 'build'), { recursive: true });
    await writeFile(stamp, wanted);
  }
  await runNodeIn(environment, nodeGyp, 'build', ...targets, `--jobs=${availableParallelism()}`, ...all);
}

/**
 * Builds build/Release/seqgrad.node, compiling only what changed. On a machine that cannot compile it says so in one line and
 * is content: WASM does everything the addon does.
 * @throws BuildError with the compiler's words, when there is a compiler and it refuses the source.
 */
export async function buildNative(): Promise<void> {
  const lack = await findLack();
  if (lack === undefined) await compile({ folder: '.' });
  else console.log(`seqgrad: native backend not built: ${lack}; everything runs on WASM`);
}
